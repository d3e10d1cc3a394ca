import merge from 'deepmerge';
import { using } from '../using.js';

export default using(async () => {
  return merge.all([{ a: { b: 1 }, l: [1] }, { a: { c: 2 }, l: [2] }, { l: [3] }]);
});
