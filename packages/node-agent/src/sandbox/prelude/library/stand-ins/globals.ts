/**
 * Names that libraries of part `url` take from the global scope: the platform's own, whatever a guest made of the globals, and a
 * SharedArrayBuffer nothing is an instance of (the library keeps its getters to tell such buffers from others).
 */
import { part } from '../given.ts';

const { TextDecoder, TextEncoder } = part('encoding');
const foreign = () => {
  throw new TypeError('not a SharedArrayBuffer');
};
class ForeignBuffer {
  get byteLength() {
    return foreign();
  }
  get growable() {
    return foreign();
  }
}

export { ForeignBuffer as SharedArrayBuffer, TextDecoder, TextEncoder };
