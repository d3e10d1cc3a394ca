/** crypto: getRandomValues and randomUUID, every byte from the host; `subtle` is a part of its own, loaded when first read. */
import { part } from '../parts.ts';
import { charCodeAt, defineProperty } from '../primordials.ts';
import { DOMException } from './exception.ts';

const POOL = 1024;
const MOST = 65_536;

let pool = '';
let at = 0;

const made = Symbol('made by the platform');

/** @param entropy gives so many random bytes as a string of characters 0 to 255 */
export function cryptoOf(entropy: (bytes: number) => string) {
  const byte = (): number => {
    if (at >= pool.length) {
      pool = entropy(POOL);
      at = 0;
    }
    at += 1;
    return charCodeAt(pool, at - 1);
  };
  class Crypto {
    constructor(sign?: unknown) {
      if (sign !== made) throw new TypeError('Illegal constructor');
    }
    get subtle() {
      return part('subtle').subtle;
    }
    getRandomValues<T extends ArrayBufferView>(array: T): T {
      const float = array instanceof Float32Array || array instanceof Float64Array || array instanceof DataView;
      if (!ArrayBuffer.isView(array)) throw new TypeError('expected an integer typed array');
      if (float) throw new DOMException('expected an integer typed array', 'TypeMismatchError');
      if (array.byteLength > MOST) throw new DOMException(`at most ${MOST} bytes at a time`, 'QuotaExceededError');
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      for (let i = 0; i < bytes.length; i += 1) bytes[i] = byte();
      return array;
    }
    randomUUID(): string {
      let text = '';
      for (let i = 0; i < 16; i += 1) {
        const raw = byte();
        const value = i === 6 ? (raw & 0x0f) | 0x40 : i === 8 ? (raw & 0x3f) | 0x80 : raw;
        text += `${i === 4 || i === 6 || i === 8 || i === 10 ? '-' : ''}${value < 16 ? '0' : ''}${value.toString(16)}`;
      }
      return text;
    }
  }
  defineProperty(Crypto.prototype, Symbol.toStringTag, { value: 'Crypto', configurable: true });
  return { Crypto, crypto: new Crypto(made) };
}
