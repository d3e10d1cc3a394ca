/**
 * The Ed25519 keys inside nkeys, for Node's native signer: nkeys' own arithmetic, in JavaScript, holds the thread for ten milliseconds and more
 * a signature, which neither a node with a thousand documents nor a registry that lets a thousand machines in can spare.
 *
 * Promises:
 * D1. The same seed signs the same bytes as nkeys does, and has the same public key (Ed25519 has no chance in it).
 * D2. What is no nkey is refused by nkeys' own reader: alphabet, prefix and checksum.
 * Format: base32 without padding of prefix, 32 bytes, CRC-16 (XMODEM, low byte first); a seed has two bytes of prefix.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { fromPublic, fromSeed, type KeyPair } from '@nats-io/nkeys';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Bytes of base32 without padding. */
function bytesOf(text: string): Buffer {
  let bits = 0n;
  for (const digit of text) bits = (bits << 5n) | BigInt(BASE32.indexOf(digit));
  const size = Math.floor((text.length * 5) / 8);
  bits >>= BigInt(text.length * 5 - size * 8);
  return Buffer.from(bits.toString(16).padStart(size * 2, '0'), 'hex');
}

function textOf(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += BASE32[(held >> (bits - 5)) & 31];
    held &= (1 << bits) - 1;
  }
  return bits === 0 ? text : text + BASE32[(held << (5 - bits)) & 31];
}

function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? 0x1021 : 0)) & 0xffff;
  }
  return crc;
}

/** Text of an nkey. @param prefix its first byte */
function nkey(prefix: number, payload: Uint8Array): string {
  const body = Uint8Array.of(prefix, ...payload);
  const crc = crc16(body);
  return textOf(Uint8Array.of(...body, crc & 0xff, crc >> 8));
}

/** First byte of a private nkey (`P…`). */
const PRIVATE = 15 << 3;
/** What stands before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410, section 7). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The 32 bytes of a public Ed25519 key. */
const rawPublic = (key: KeyObject): Buffer => Buffer.from(key.export({ format: 'jwk' }).x!, 'base64url');

/** Keys in use are few and are asked for again with every signature. */
const keyObjects = new Map<string, KeyObject>();
const MOST_KEYS = 1_000;

/** The Ed25519 key inside a public nkey. @throws when it is no nkey */
function publicKeyOf(key: string): KeyObject {
  const known = keyObjects.get(key);
  if (known) return known;
  fromPublic(key); // Checks prefix and checksum (D2).
  const x = bytesOf(key).subarray(1, 33).toString('base64url');
  const made = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  if (keyObjects.size >= MOST_KEYS) keyObjects.clear();
  keyObjects.set(key, made);
  return made;
}

/** Whether a signature is by a public nkey. @throws when `key` is no nkey */
export const verifyNative = (key: string, bytes: Uint8Array, signature: Uint8Array): boolean =>
  signature.length === 64 && verify(null, bytes, publicKeyOf(key), signature);

/**
 * A key pair of a seed, under the face of nkeys' own. A curve seed (`SX…`) is nkeys' own: it seals and does not sign.
 * @throws when it is no seed
 */
export function nativePair(seed: string): KeyPair {
  const held = fromSeed(new TextEncoder().encode(seed)); // Checks prefix and checksum (D2).
  if (seed.startsWith('SX')) return held;
  const raw = bytesOf(seed);
  const secret = raw.subarray(2, 34);
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, secret]), format: 'der', type: 'pkcs8' });
  const point = rawPublic(createPublicKey(key));
  const publicText = nkey(((raw[0]! & 7) << 5) | (raw[1]! >> 3), point);
  return {
    getSeed: () => held.getSeed(),
    getPublicKey: () => publicText,
    getPrivateKey: () => {
      held.getSeed(); // Throws once it was cleared.
      return new TextEncoder().encode(nkey(PRIVATE, Uint8Array.of(...secret, ...point)));
    },
    sign: (input) => {
      held.getSeed(); // Throws once it was cleared.
      return new Uint8Array(sign(null, input, key));
    },
    verify: (input, signature) => verifyNative(publicText, input, signature),
    clear: () => {
      held.clear();
      secret.fill(0);
    },
    seal: (...of) => held.seal(...of),
    open: (...of) => held.open(...of),
  };
}

/** The public half alone, under the face of nkeys' own. @throws when it is no nkey */
export function nativePublic(key: string): KeyPair {
  const held = fromPublic(key);
  return {
    getSeed: () => held.getSeed(),
    getPublicKey: () => held.getPublicKey(),
    getPrivateKey: () => held.getPrivateKey(),
    sign: (input) => held.sign(input),
    verify: (input, signature) => {
      const text = held.getPublicKey(); // Throws once it was cleared.
      return verifyNative(text, input, signature);
    },
    clear: () => held.clear(),
    seal: (...of) => held.seal(...of),
    open: (...of) => held.open(...of),
  };
}
