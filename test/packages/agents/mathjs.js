import { all, create } from 'mathjs';
import { using } from '../using.js';

export default using(async () => {
  const math = create(all, { number: 'BigNumber', precision: 40 });
  return {
    third: math.format(math.divide(math.bignumber(1), 3)),
    det: math.format(
      math.det(
        math.matrix([
          [2, 1],
          [1, 3],
        ]),
      ),
    ),
    units: math.format(math.evaluate('2 inch to cm')),
    derivative: math.derivative('x^3 + 2 x', 'x').toString(),
    complex: math.format(math.evaluate('(1 + 2i) * 3i')),
    fraction: math.format(math.fraction('0.125')),
  };
});
