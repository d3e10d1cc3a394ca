import { decode, encode } from 'cbor-x/index-no-eval';
import { using } from '../using.js';

export default using(async () => {
  const back = decode(encode({ a: 1, b: [true, 'x'], d: new Date(0) }));
  return { a: back.a, b: back.b, d: back.d.toISOString() };
});
