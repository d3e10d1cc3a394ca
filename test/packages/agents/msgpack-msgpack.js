import { decode, encode } from '@msgpack/msgpack';
import { using } from '../using.js';

export default using(async () => {
  const bytes = encode({ a: [1, -2, 3.5], b: Uint8Array.of(1, 2), c: 'ü', d: null });
  const back = decode(bytes);
  return { size: bytes.length, back: { ...back, b: [...back.b] } };
});
