import jsonata from 'jsonata';
import { using } from '../using.js';

export default using(async () => {
  const lines = [
    { count: 2, price: 3 },
    { count: 1, price: 4 },
  ];
  return {
    total: await jsonata('$sum(lines.(count * price))').evaluate({ lines }),
    upper: await jsonata('$uppercase(name)').evaluate({ name: 'ada' }),
  };
});
