import superjson from 'superjson';
import { using } from '../using.js';

export default using(async () => {
  const text = superjson.stringify({
    when: new Date(0),
    big: 12n,
    set: new Set([1]),
    map: new Map([['k', undefined]]),
    re: /x/gi,
  });
  const back = superjson.parse(text);
  return { text, big: String(back.big), when: back.when.toISOString(), has: back.map.has('k'), re: String(back.re) };
});
