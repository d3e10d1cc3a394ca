import * as pako from 'pako';
import { using } from '../using.js';

export default using(async () => {
  const text = 'abc'.repeat(1000);
  const packed = pako.gzip(text);
  return {
    small: packed.length < 100,
    back: pako.ungzip(packed, { to: 'string' }) === text,
    raw: pako.inflateRaw(pako.deflateRaw(text), { to: 'string' }).length,
  };
});
