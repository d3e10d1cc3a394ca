import { dump, load } from 'js-yaml';
import { using } from '../using.js';

export default using(async () => {
  let refused = '';
  try {
    load('a: [1, 2');
  } catch (error) {
    refused = error.name;
  }
  return { loaded: load('a: 1\nb:\n  - x\n  - {c: ~}\nd: 0x1f\n'), dumped: dump({ z: [1, { k: 'v: w' }], n: null }), refused };
});
