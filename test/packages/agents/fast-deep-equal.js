import equal from 'fast-deep-equal/es6/index.js';
import { using } from '../using.js';

export default using(async () => {
  return [
    equal({ a: [1, new Map([[1, 2]])] }, { a: [1, new Map([[1, 2]])] }),
    equal({ a: new Set([1]) }, { a: new Set([2]) }),
    equal(NaN, NaN),
    equal(/a/g, /a/i),
  ];
});
