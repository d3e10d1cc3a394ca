/**
 * crypto.subtle over the noble libraries: keys stay in the isolate, the work is interpreted like any other of the guest, in its own time
 * and memory. Curves and ciphers are parts of their own.
 */

import { part, tag } from './given.ts';
import {
  type Algorithm,
  bufferOf,
  bytesOf,
  CryptoKey,
  dataError,
  type Format,
  fail,
  type Jwk,
  material,
  notSupported,
  type Usage,
} from './subtle/key.ts';
import type { KeyPair, Kind } from './subtle/kinds.ts';
import { pairKinds } from './subtle/pairs.ts';
import { hashOf, secretKinds } from './subtle/secret.ts';

const KINDS: Readonly<Record<string, Kind>> = { ...secretKinds, ...pairKinds };
const FORMATS: readonly unknown[] = ['raw', 'pkcs8', 'spki', 'jwk'] satisfies Format[];
const USAGES: readonly unknown[] = ['encrypt', 'decrypt', 'sign', 'verify', 'deriveKey', 'deriveBits', 'wrapKey', 'unwrapKey'];

/** The algorithm with its name as the standard spells it. @throws NotSupportedError */
function named(given: unknown): { readonly algorithm: Algorithm; readonly kind: Kind } {
  const options = typeof given === 'object' && given !== null ? (given as Algorithm) : { name: String(given) };
  if (options.name === undefined) throw new TypeError('crypto.subtle: algorithm: expected a name');
  const asked = String(options.name).toUpperCase();
  const name = Object.keys(KINDS).find((known) => known.toUpperCase() === asked);
  if (name === undefined) return notSupported(`algorithm ${JSON.stringify(String(options.name).slice(0, 40))}`);
  return { algorithm: { ...options, name }, kind: KINDS[name]! };
}
const has = <F extends keyof Kind>(kind: Kind, name: string, operation: F): NonNullable<Kind[F]> =>
  kind[operation] ?? notSupported(`${operation} with ${name}`);
const usagesOf = (given: unknown): Usage[] =>
  [...(given as Iterable<unknown>)].map((usage) => {
    if (!USAGES.includes(usage)) throw new TypeError(`crypto.subtle: usage ${JSON.stringify(usage)} is not known`);
    return usage as Usage;
  });
const formatOf = (given: unknown): string => {
  if (!FORMATS.includes(given)) throw new TypeError(`crypto.subtle: format ${JSON.stringify(given)} is not known`);
  return given as string;
};
/** The key may be used so with this algorithm. */
function need(key: CryptoKey, { name }: Algorithm, ...usages: readonly Usage[]): void {
  material(key);
  if (key.algorithm.name !== name)
    fail('InvalidAccessError', `crypto.subtle: the key is for ${key.algorithm.name}, not for ${name}`);
  if (!usages.some((usage) => key.usages.includes(usage)))
    fail('InvalidAccessError', `crypto.subtle: the key is not for "${usages[0]}"`);
}
const exported = (key: CryptoKey, format: string): Uint8Array | Jwk => {
  material(key);
  if (!key.extractable) fail('InvalidAccessError', 'crypto.subtle: the key is not extractable');
  return has(KINDS[key.algorithm.name]!, key.algorithm.name, 'export')(format, key);
};
const bitsOf = (length: unknown): number | null => (length === null || length === undefined ? null : Number(length));

class SubtleCrypto {
  constructor(sign?: unknown) {
    if (sign !== token) throw new TypeError('Illegal constructor');
  }
  async digest(algorithm: unknown, data: unknown): Promise<ArrayBuffer> {
    return bufferOf(hashOf(algorithm).run(bytesOf(data, 'data')));
  }
  async generateKey(given: unknown, extractable: unknown, usages: unknown): Promise<CryptoKey | KeyPair> {
    const { algorithm, kind } = named(given);
    return has(kind, algorithm.name, 'generate')(algorithm, Boolean(extractable), usagesOf(usages));
  }
  async importKey(format: unknown, data: unknown, given: unknown, extractable: unknown, usages: unknown): Promise<CryptoKey> {
    const { algorithm, kind } = named(given);
    return has(kind, algorithm.name, 'import')(formatOf(format), data, algorithm, Boolean(extractable), usagesOf(usages));
  }
  async exportKey(format: unknown, key: CryptoKey): Promise<ArrayBuffer | Jwk> {
    const out = exported(key, formatOf(format));
    return out instanceof Uint8Array ? bufferOf(out) : out;
  }
  async sign(given: unknown, key: CryptoKey, data: unknown): Promise<ArrayBuffer> {
    const { algorithm, kind } = named(given);
    need(key, algorithm, 'sign');
    return bufferOf(has(kind, algorithm.name, 'sign')(algorithm, key, bytesOf(data, 'data')));
  }
  async verify(given: unknown, key: CryptoKey, signature: unknown, data: unknown): Promise<boolean> {
    const { algorithm, kind } = named(given);
    need(key, algorithm, 'verify');
    return has(kind, algorithm.name, 'verify')(algorithm, key, bytesOf(signature, 'signature'), bytesOf(data, 'data'));
  }
  async encrypt(given: unknown, key: CryptoKey, data: unknown): Promise<ArrayBuffer> {
    const { algorithm, kind } = named(given);
    need(key, algorithm, 'encrypt');
    return bufferOf(has(kind, algorithm.name, 'encrypt')(algorithm, key, bytesOf(data, 'data')));
  }
  async decrypt(given: unknown, key: CryptoKey, data: unknown): Promise<ArrayBuffer> {
    const { algorithm, kind } = named(given);
    need(key, algorithm, 'decrypt');
    return bufferOf(has(kind, algorithm.name, 'decrypt')(algorithm, key, bytesOf(data, 'data')));
  }
  async deriveBits(given: unknown, key: CryptoKey, length: unknown = null): Promise<ArrayBuffer> {
    const { algorithm, kind } = named(given);
    need(key, algorithm, 'deriveBits');
    return bufferOf(has(kind, algorithm.name, 'derive')(algorithm, key, bitsOf(length)));
  }
  async deriveKey(given: unknown, key: CryptoKey, wanted: unknown, extractable: unknown, usages: unknown): Promise<CryptoKey> {
    const { algorithm, kind } = named(given);
    need(key, algorithm, 'deriveKey');
    const next = named(wanted);
    const length = next.kind.length?.(next.algorithm) ?? null;
    const bits = has(kind, algorithm.name, 'derive')(algorithm, key, length);
    return has(next.kind, next.algorithm.name, 'import')('raw', bits, next.algorithm, Boolean(extractable), usagesOf(usages));
  }
  async wrapKey(format: unknown, key: CryptoKey, wrapper: CryptoKey, given: unknown): Promise<ArrayBuffer> {
    const { algorithm, kind } = named(given);
    need(wrapper, algorithm, 'wrapKey');
    const out = exported(key, formatOf(format));
    const bytes = out instanceof Uint8Array ? out : (part('encoding').utf8(JSON.stringify(out)) as Uint8Array);
    return bufferOf((kind.wrap ?? has(kind, algorithm.name, 'encrypt'))(algorithm, wrapper, bytes));
  }
  async unwrapKey(
    format: unknown,
    data: unknown,
    wrapper: CryptoKey,
    given: unknown,
    wanted: unknown,
    extractable: unknown,
    usages: unknown,
  ): Promise<CryptoKey> {
    const { algorithm, kind } = named(given);
    need(wrapper, algorithm, 'unwrapKey');
    const bytes = (kind.unwrap ?? has(kind, algorithm.name, 'decrypt'))(algorithm, wrapper, bytesOf(data, 'wrapped key'));
    let read: unknown = bytes;
    if (format === 'jwk')
      try {
        read = JSON.parse(part('encoding').utf8Text(bytes));
      } catch {
        dataError('unwrapKey: what was wrapped is not a JWK');
      }
    return this.importKey(format, read, wanted, extractable, usages);
  }
}
const token = Symbol('made by the platform');
tag({ SubtleCrypto, CryptoKey });

const subtle = new SubtleCrypto(token);

export { CryptoKey, SubtleCrypto, subtle };
