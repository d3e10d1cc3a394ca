import { blake3 } from '@noble/hashes/blake3.js';
import { scrypt } from '@noble/hashes/scrypt.js';
import { sha3_256 } from '@noble/hashes/sha3.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { using } from '../using.js';

export default using(async () => {
  const abc = utf8ToBytes('abc');
  return [sha3_256(abc), blake3(abc), scrypt('password', 'NaCl', { N: 1024, r: 8, p: 16, dkLen: 32 })].map(bytesToHex);
});
