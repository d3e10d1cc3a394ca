import qs from 'qs';
import { using } from '../using.js';

export default using(async () => {
  return {
    parsed: qs.parse('a[b][c]=d&list[]=1&list[]=2&x.y=z', { allowDots: true }),
    text: qs.stringify({ a: [1, 2], b: { c: 'ü d' } }, { arrayFormat: 'brackets' }),
  };
});
