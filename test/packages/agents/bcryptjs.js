import bcrypt from 'bcryptjs';
import { using } from '../using.js';

export default using(async () => {
  const hash = await bcrypt.hash('secret', 4);
  return { ok: await bcrypt.compare('secret', hash), no: await bcrypt.compare('other', hash), rounds: bcrypt.getRounds(hash) };
});
