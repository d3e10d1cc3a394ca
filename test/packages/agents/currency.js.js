import currency from 'currency.js';
import { using } from '../using.js';

export default using(async () => {
  return {
    total: currency(0.1).add(0.2).value,
    split: currency(100).distribute(3).map(String),
    text: currency(-1234.5, { symbol: '€ ', decimal: ',', separator: '.' }).format(),
  };
});
