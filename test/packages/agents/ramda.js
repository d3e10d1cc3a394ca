import * as R from 'ramda';
import { using } from '../using.js';

export default using(async () => {
  const total = R.pipe(R.filter(R.propEq('x', 'kind')), R.pluck('n'), R.sum);
  return {
    total: total([
      { kind: 'x', n: 2 },
      { kind: 'y', n: 9 },
      { kind: 'x', n: 3 },
    ]),
    lens: R.over(R.lensPath(['a', 0]), R.inc, { a: [1] }),
    by: R.groupBy((n) => (n % 2 ? 'odd' : 'even'), [1, 2, 3]),
    curried: R.curry((a, b, c) => a + b + c)(1)(2)(3),
  };
});
