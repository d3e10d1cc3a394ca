/** Elliptic curves for `crypto.subtle`, from @noble/curves. */
export { ed25519, x25519 } from '@noble/curves/ed25519.js';
export { p256, p384, p521 } from '@noble/curves/nist.js';
