import { linearRegression, median, sampleCorrelation, standardDeviation } from 'simple-statistics';
import { using } from '../using.js';

export default using(async () => {
  return {
    line: linearRegression([
      [0, 1],
      [1, 3],
      [2, 5],
    ]),
    median: median([3, 1, 2, 10]),
    deviation: standardDeviation([2, 4, 4, 4, 5, 5, 7, 9]),
    r: sampleCorrelation([1, 2, 3], [2, 4, 6]).toFixed(6),
  };
});
