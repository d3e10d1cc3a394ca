import BigNumber from 'bignumber.js';
import { using } from '../using.js';

export default using(async () => {
  return {
    product: new BigNumber('123456789012345678901234567890').times('987654321').toFixed(),
    text: new BigNumber('1234567.891').toFormat(2),
    hex: new BigNumber(255).toString(16),
  };
});
