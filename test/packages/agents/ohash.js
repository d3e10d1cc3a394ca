import { hash, isEqual, serialize } from 'ohash';
import { using } from '../using.js';

export default using(async () => {
  return {
    same: hash({ a: 1, b: [2] }) === hash({ b: [2], a: 1 }),
    hash: hash({ a: 1 }),
    equal: isEqual({ a: [1] }, { a: [1] }),
    text: serialize({ b: 1, a: new Date(0) }),
  };
});
