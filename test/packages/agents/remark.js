import { remark } from 'remark';
import { using } from '../using.js';

export default using(async () => {
  return String(await remark().process('# Hi\n* a\n* b\n\n__x__'));
});
