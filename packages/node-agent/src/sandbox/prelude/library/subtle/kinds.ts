/** What an algorithm of `crypto.subtle` can do; what it has no function for it does not support. */
import type { Algorithm, CryptoKey, Jwk, Usage } from './key.ts';

export interface KeyPair {
  readonly publicKey: CryptoKey;
  readonly privateKey: CryptoKey;
}

export interface Kind {
  readonly generate?: (algorithm: Algorithm, extractable: boolean, usages: readonly Usage[]) => CryptoKey | KeyPair;
  readonly import?: (
    format: string,
    data: unknown,
    algorithm: Algorithm,
    extractable: boolean,
    usages: readonly Usage[],
  ) => CryptoKey;
  readonly export?: (format: string, key: CryptoKey) => Uint8Array | Jwk;
  readonly sign?: (algorithm: Algorithm, key: CryptoKey, data: Uint8Array) => Uint8Array;
  readonly verify?: (algorithm: Algorithm, key: CryptoKey, signature: Uint8Array, data: Uint8Array) => boolean;
  readonly encrypt?: (algorithm: Algorithm, key: CryptoKey, data: Uint8Array) => Uint8Array;
  readonly decrypt?: (algorithm: Algorithm, key: CryptoKey, data: Uint8Array) => Uint8Array;
  readonly wrap?: (algorithm: Algorithm, key: CryptoKey, data: Uint8Array) => Uint8Array;
  readonly unwrap?: (algorithm: Algorithm, key: CryptoKey, data: Uint8Array) => Uint8Array;
  /** @param length bits, or null for as many as there are */
  readonly derive?: (algorithm: Algorithm, key: CryptoKey, length: number | null) => Uint8Array;
  /** Bits of a key of this algorithm that is derived. */
  readonly length?: (algorithm: Algorithm) => number | null;
}
