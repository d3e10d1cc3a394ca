import _ from 'underscore';
import { using } from '../using.js';

export default using(async () => {
  return {
    chain: _.chain([3, 1, 2])
      .sortBy()
      .map((n) => n * 2)
      .value(),
    count: _.countBy(['a', 'b', 'a']),
    diff: _.difference([1, 2, 3], [2]),
    memo: _.memoize((n) => n + 1)(1),
  };
});
