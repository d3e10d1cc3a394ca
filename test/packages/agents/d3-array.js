import { bin, extent, group, quantile, rollup } from 'd3-array';
import { using } from '../using.js';

export default using(async () => {
  const roll = rollup(
    [
      ['a', 1],
      ['b', 2],
      ['a', 3],
    ],
    (rows) => rows.length,
    ([key]) => key,
  );
  return {
    extent: extent([3, 1, 2]),
    median: quantile([1, 2, 3, 4], 0.5),
    bins: bin()([1, 2, 2, 3, 9]).length,
    roll: [...roll],
    groups: group([1, 2, 3], (n) => n % 2).size,
  };
});
