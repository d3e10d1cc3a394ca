/** Secret keys of `crypto.subtle`: HMAC, AES, HKDF, PBKDF2. */
import { expand, extract } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { pbkdf2 } from '@noble/hashes/pbkdf2.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { part, random } from '../given.ts';
import {
  type Algorithm,
  bytesOf,
  type CryptoKey,
  dataError,
  fail,
  fromUrl64,
  type Jwk,
  jwkFor,
  jwkOf,
  keyOf,
  material,
  needUsages,
  notSupported,
  same,
  toUrl64,
  type Usage,
  usagesWithin,
} from './key.ts';
import type { Kind } from './kinds.ts';

const HASHES = { 'SHA-1': sha1, 'SHA-256': sha256, 'SHA-384': sha384, 'SHA-512': sha512 } as const;
export type HashName = keyof typeof HASHES;

/** @throws NotSupportedError */
export function hashOf(given: unknown): { readonly name: HashName; readonly run: (typeof HASHES)[HashName] } {
  const asked = String(typeof given === 'object' && given !== null ? (given as { name?: unknown }).name : given).toUpperCase();
  for (const name of Object.keys(HASHES) as HashName[]) if (name === asked) return { name, run: HASHES[name] };
  return notSupported(`hash ${JSON.stringify(asked.slice(0, 40))}; there are ${Object.keys(HASHES).join(', ')}`);
}

const secretOf = (key: CryptoKey): Uint8Array => material(key).secret!;

function importSecret(
  format: string,
  data: unknown,
  jwkName: (bytes: Uint8Array) => string,
  usages: readonly Usage[],
  extractable: boolean,
): Uint8Array {
  if (format === 'raw') return bytesOf(data, 'key data');
  if (format !== 'jwk') return notSupported(`format "${format}" of a secret key`);
  const jwk = jwkOf(data, 'oct', usages, extractable);
  const bytes = fromUrl64(jwk['k'], 'k');
  const expected = jwkName(bytes);
  if (jwk['alg'] !== undefined && jwk['alg'] !== expected) dataError(`jwk: alg: expected "${expected}"`);
  return bytes;
}
const exportSecret = (format: string, key: CryptoKey, jwkName: string): Uint8Array | Jwk => {
  if (format === 'raw') return secretOf(key).slice();
  if (format === 'jwk') return jwkFor(key, { kty: 'oct', k: toUrl64(secretOf(key)), alg: jwkName });
  return notSupported(`format "${format}" of a secret key`);
};

const hmacName = (hash: string) => `HS${hash.slice(4)}`;
const hmacKey = (bytes: Uint8Array, hash: string, extractable: boolean, usages: readonly Usage[]) =>
  keyOf('secret', extractable, { name: 'HMAC', hash: { name: hash }, length: bytes.length * 8 }, needUsages(usages), {
    secret: bytes,
  });
const hmacHash = (key: CryptoKey) => hashOf(key.algorithm['hash']);

const HMAC: Kind = {
  generate(algorithm, extractable, asked) {
    const hash = hashOf(algorithm['hash']);
    const bits = algorithm['length'] === undefined ? hash.run.blockLen * 8 : Number(algorithm['length']);
    if (!(bits > 0 && bits % 8 === 0 && bits <= 65_536)) fail('OperationError', 'HMAC: length: expected whole octets');
    return hmacKey(random(new Uint8Array(bits / 8)), hash.name, extractable, usagesWithin(asked, ['sign', 'verify']));
  },
  import(format, data, algorithm, extractable, asked) {
    const { name } = hashOf(algorithm['hash']);
    const usages = usagesWithin(asked, ['sign', 'verify']);
    const bytes = importSecret(format, data, () => hmacName(name), usages, extractable);
    if (bytes.length === 0) dataError('HMAC: an empty key');
    return hmacKey(bytes, name, extractable, usages);
  },
  export: (format, key) => exportSecret(format, key, hmacName(hmacHash(key).name)),
  sign: (_, key, data) => hmac(hmacHash(key).run, secretOf(key), data),
  verify: (_, key, signature, data) => same(signature, hmac(hmacHash(key).run, secretOf(key), data)),
  length: (algorithm) =>
    algorithm['length'] === undefined ? hashOf(algorithm['hash']).run.blockLen * 8 : Number(algorithm['length']),
};

const bitsOfAes = (given: unknown): number => {
  const bits = Number(given);
  return bits === 128 || bits === 192 || bits === 256 ? bits : fail('OperationError', 'AES: length: expected 128, 192 or 256');
};
const ivOf = (algorithm: Algorithm, field: string, length?: number): Uint8Array => {
  const iv = bytesOf(algorithm[field], field);
  if (length !== undefined && iv.length !== length) fail('OperationError', `AES: ${field}: expected ${length} octets`);
  return iv;
};
const opened = (work: () => Uint8Array): Uint8Array => {
  try {
    return work();
  } catch {
    return fail('OperationError', 'AES: cannot be decrypted with this key');
  }
};

interface Cipher {
  encrypt(data: Uint8Array): Uint8Array;
  decrypt(data: Uint8Array): Uint8Array;
}

function aes(
  name: string,
  mode: string,
  usages: readonly Usage[],
  cipher?: (algorithm: Algorithm, key: Uint8Array, size: number) => Cipher,
): Kind {
  const jwkName = (bytes: Uint8Array) => `A${bytes.length * 8}${mode}`;
  const made = (bytes: Uint8Array, extractable: boolean, given: readonly Usage[]) =>
    keyOf('secret', extractable, { name, length: bytes.length * 8 }, needUsages(given), { secret: bytes });
  return {
    generate: (algorithm, extractable, asked) =>
      made(random(new Uint8Array(bitsOfAes(algorithm['length']) / 8)), extractable, usagesWithin(asked, usages)),
    import(format, data, _, extractable, asked) {
      const allowed = usagesWithin(asked, usages);
      const bytes = importSecret(format, data, jwkName, allowed, extractable);
      if (![16, 24, 32].includes(bytes.length)) dataError(`${name}: a key of ${bytes.length} octets`);
      return made(bytes, extractable, allowed);
    },
    export: (format, key) => exportSecret(format, key, jwkName(secretOf(key))),
    length: (algorithm) => bitsOfAes(algorithm['length']),
    ...(cipher === undefined
      ? {
          wrap: (_: Algorithm, key: CryptoKey, data: Uint8Array) =>
            part('ciphers').aeskw(secretOf(key)).encrypt(data) as Uint8Array,
          unwrap: (_: Algorithm, key: CryptoKey, data: Uint8Array) =>
            opened(() => part('ciphers').aeskw(secretOf(key)).decrypt(data)),
        }
      : {
          encrypt: (algorithm: Algorithm, key: CryptoKey, data: Uint8Array) =>
            cipher(algorithm, secretOf(key), data.length).encrypt(data),
          decrypt: (algorithm: Algorithm, key: CryptoKey, data: Uint8Array) => {
            const made = cipher(algorithm, secretOf(key), data.length);
            return opened(() => made.decrypt(data));
          },
        }),
  };
}

const ALL: readonly Usage[] = ['encrypt', 'decrypt', 'wrapKey', 'unwrapKey'];

function gcm(algorithm: Algorithm, key: Uint8Array): Cipher {
  const iv = ivOf(algorithm, 'iv');
  if (iv.length === 0) fail('OperationError', 'AES-GCM: iv: expected at least 1 octet');
  if (algorithm['tagLength'] !== undefined && Number(algorithm['tagLength']) !== 128)
    notSupported('AES-GCM with a tag shorter than 128 bits');
  const more = algorithm['additionalData'];
  return part('ciphers').gcm(key, iv, more === undefined ? undefined : bytesOf(more, 'additionalData'));
}
function ctr(algorithm: Algorithm, key: Uint8Array, size: number): Cipher {
  const counter = ivOf(algorithm, 'counter', 16);
  const bits = Number(algorithm['length']);
  if (!(bits >= 1 && bits <= 128)) fail('OperationError', 'AES-CTR: length: expected 1 to 128');
  const from = counter.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n) & ((1n << BigInt(bits)) - 1n);
  if (from + BigInt(Math.ceil(size / 16)) > 1n << BigInt(bits)) notSupported('AES-CTR with a counter that wraps');
  return part('ciphers').ctr(key, counter);
}

const bitsAsked = (length: number | null): number =>
  length === null || length % 8 !== 0 ? fail('OperationError', 'deriveBits: length: expected a multiple of 8') : length / 8;
const MOST_ROUNDS = 10_000_000;

const derived = (name: string, derive: NonNullable<Kind['derive']>): Kind => ({
  import(format, data, _, extractable, asked) {
    if (format !== 'raw') return notSupported(`format "${format}" for ${name}`);
    if (extractable) fail('SyntaxError', `${name}: a key to derive from cannot be extractable`);
    const usages = needUsages(usagesWithin(asked, ['deriveKey', 'deriveBits']));
    return keyOf('secret', false, { name }, usages, { secret: bytesOf(data, 'key data') });
  },
  derive,
});

export const secretKinds: Readonly<Record<string, Kind>> = {
  HMAC,
  'AES-GCM': aes('AES-GCM', 'GCM', ALL, gcm),
  'AES-CBC': aes('AES-CBC', 'CBC', ALL, (algorithm, key) => part('ciphers').cbc(key, ivOf(algorithm, 'iv', 16))),
  'AES-CTR': aes('AES-CTR', 'CTR', ALL, ctr),
  'AES-KW': aes('AES-KW', 'KW', ['wrapKey', 'unwrapKey']),
  HKDF: derived('HKDF', (algorithm, key, length) => {
    const { run } = hashOf(algorithm['hash']);
    const prk = extract(run, secretOf(key), bytesOf(algorithm['salt'], 'salt'));
    const size = bitsAsked(length);
    if (size > 255 * run.outputLen) fail('OperationError', 'HKDF: longer than the hash allows');
    return size === 0 ? new Uint8Array(0) : expand(run, prk, bytesOf(algorithm['info'], 'info'), size);
  }),
  PBKDF2: derived('PBKDF2', (algorithm, key, length) => {
    const c = Number(algorithm['iterations']);
    if (!(c >= 1)) fail('OperationError', 'PBKDF2: iterations: expected at least 1');
    if (c > MOST_ROUNDS) notSupported(`PBKDF2 with more than ${MOST_ROUNDS} iterations`);
    const size = bitsAsked(length);
    if (size === 0) return new Uint8Array(0);
    return pbkdf2(hashOf(algorithm['hash']).run, secretOf(key), bytesOf(algorithm['salt'], 'salt'), { c, dkLen: size });
  }),
};
