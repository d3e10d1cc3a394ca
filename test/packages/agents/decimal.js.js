import { Decimal } from 'decimal.js';
import { using } from '../using.js';

export default using(async () => {
  Decimal.set({ precision: 40 });
  return {
    sum: new Decimal('0.1').plus('0.2').toString(),
    root: new Decimal(2).sqrt().toString(),
    exp: Decimal.exp(1).toString(),
    cents: new Decimal('1.005').toDecimalPlaces(2, Decimal.ROUND_HALF_UP).toString(),
  };
});
