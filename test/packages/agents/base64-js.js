import { byteLength, fromByteArray, toByteArray } from 'base64-js';
import { using } from '../using.js';

export default using(async () => {
  return {
    text: fromByteArray(Uint8Array.of(1, 2, 253, 254)),
    bytes: [...toByteArray('AQL9/g==')],
    length: byteLength('AQL9/g=='),
  };
});
