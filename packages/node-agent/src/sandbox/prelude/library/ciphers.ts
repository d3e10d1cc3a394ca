/** AES for `crypto.subtle`, from @noble/ciphers. */
export { aeskw, cbc, ctr, gcm } from '@noble/ciphers/aes.js';
