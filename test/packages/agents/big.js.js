import Big from 'big.js';
import { using } from '../using.js';

export default using(async () => {
  return {
    div: new Big(1).div(3).toString(),
    round: new Big('2.345').round(2, Big.roundHalfEven).toString(),
    less: new Big('1e-10').lt('1e-9'),
  };
});
