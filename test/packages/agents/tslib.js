import { __awaiter, __decorate, __rest, __values } from 'tslib';
import { using } from '../using.js';

export default using(async () => {
  const decorated = {};
  __decorate(
    [
      (target) => {
        target.x = 1;
      },
    ],
    decorated,
  );
  const value = await __awaiter(undefined, undefined, undefined, function* () {
    return (yield Promise.resolve(20)) + 1;
  });
  return {
    rest: __rest({ a: 1, b: 2, c: 3 }, ['a']),
    decorated,
    value,
    all: [...{ [Symbol.iterator]: () => __values([1, 2]) }],
  };
});
