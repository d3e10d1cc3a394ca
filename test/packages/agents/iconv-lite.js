import iconv from 'iconv-lite';
import { using } from '../using.js';

export default using(async () => {
  return { hex: iconv.encode('äöü', 'latin1').toString('hex'), text: iconv.decode(Uint8Array.of(0x82, 0xa0), 'shift_jis') };
});
