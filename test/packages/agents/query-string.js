import queryString from 'query-string';
import { using } from '../using.js';

export default using(async () => {
  return {
    parsed: queryString.parse('?a=1&b=x&b=y', { parseNumbers: true }),
    text: queryString.stringifyUrl({ url: 'https://a.test/p', query: { q: 'ä b', n: null } }),
  };
});
