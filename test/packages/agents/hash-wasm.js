import { sha256 } from 'hash-wasm';
import { using } from '../using.js';

export default using(async () => {
  return sha256('abc');
});
