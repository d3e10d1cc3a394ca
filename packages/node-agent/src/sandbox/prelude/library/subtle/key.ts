/** CryptoKey, and what every algorithm of `crypto.subtle` needs: names, usages, bytes, and the errors the standard names. */
import { DOMException, part } from '../given.ts';

export type Usage = 'encrypt' | 'decrypt' | 'sign' | 'verify' | 'deriveKey' | 'deriveBits' | 'wrapKey' | 'unwrapKey';
export type Format = 'raw' | 'pkcs8' | 'spki' | 'jwk';
/** An algorithm as the guest named it: `name` as the standard spells it, the rest not yet looked at. */
export interface Algorithm {
  readonly name: string;
  readonly [parameter: string]: unknown;
}
/** What a key is made of: octets, or a point with or without its secret, or numbers. */
export interface Material {
  readonly secret?: Uint8Array;
  readonly point?: Uint8Array;
  readonly modulus?: bigint;
  readonly exponent?: bigint;
}

export const fail = (name: string, message: string): never => {
  throw new DOMException(message, name);
};
export const notSupported = (what: string): never => fail('NotSupportedError', `crypto.subtle: ${what}`);
export const dataError = (what: string): never => fail('DataError', `crypto.subtle: ${what}`);

const token = Symbol('made by the platform');
let materialOf: (key: CryptoKey) => Material;

export class CryptoKey {
  static {
    materialOf = (key) => key.#material;
  }
  readonly #type: 'secret' | 'public' | 'private';
  readonly #extractable: boolean;
  readonly #algorithm: Algorithm;
  readonly #usages: readonly Usage[];
  readonly #material: Material;

  constructor(
    sign: symbol,
    type: 'secret' | 'public' | 'private',
    extractable: boolean,
    algorithm: Algorithm,
    usages: readonly Usage[],
    material: Material,
  ) {
    if (sign !== token) throw new TypeError('Illegal constructor');
    this.#type = type;
    this.#extractable = extractable;
    this.#algorithm = Object.freeze({ ...algorithm });
    this.#usages = Object.freeze([...usages]);
    this.#material = material;
  }
  get type() {
    return this.#type;
  }
  get extractable() {
    return this.#extractable;
  }
  get algorithm() {
    return this.#algorithm;
  }
  get usages() {
    return this.#usages;
  }
}

export const keyOf = (
  type: 'secret' | 'public' | 'private',
  extractable: boolean,
  algorithm: Algorithm,
  usages: readonly Usage[],
  material: Material,
): CryptoKey => new CryptoKey(token, type, extractable, algorithm, usages, material);

/** The octets or numbers of a key. @throws TypeError when it is none */
export function material(key: unknown): Material {
  if (!(key instanceof CryptoKey)) throw new TypeError('crypto.subtle: expected a CryptoKey');
  return materialOf(key);
}

/** Those asked for, in the standard's order. @throws SyntaxError for one the algorithm does not have */
export function usagesWithin(asked: readonly Usage[], allowed: readonly Usage[]): readonly Usage[] {
  for (const usage of asked)
    if (!allowed.includes(usage)) fail('SyntaxError', `crypto.subtle: usage "${usage}" does not fit this key`);
  return allowed.filter((usage) => asked.includes(usage));
}
export function needUsages(usages: readonly Usage[]): readonly Usage[] {
  if (usages.length === 0) fail('SyntaxError', 'crypto.subtle: a key like this needs at least one usage');
  return usages;
}

/** A copy of what a guest gave as bytes. */
export function bytesOf(value: unknown, what: string): Uint8Array {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
  if (value instanceof ArrayBuffer) return new Uint8Array(value).slice();
  throw new TypeError(`crypto.subtle: ${what}: expected a BufferSource`);
}
export const bufferOf = (bytes: Uint8Array): ArrayBuffer =>
  (bytes.byteLength === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer) as ArrayBuffer;

export const toUrl64 = (bytes: Uint8Array): string =>
  (part('encoding').toBase64(bytes) as string).replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_');
export function fromUrl64(text: unknown, what: string): Uint8Array {
  if (typeof text !== 'string' || !/^[A-Za-z0-9_-]*$/.test(text)) return dataError(`jwk: ${what}: expected base64url`);
  const plain = text.replaceAll('-', '+').replaceAll('_', '/');
  try {
    return part('encoding').fromBase64(plain.padEnd(Math.ceil(plain.length / 4) * 4, '='));
  } catch {
    return dataError(`jwk: ${what}: expected base64url`);
  }
}

export type Jwk = Record<string, unknown>;
/** A JWK that may be used as asked. */
export function jwkOf(value: unknown, kty: string, usages: readonly Usage[], extractable: boolean): Jwk {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
    throw new TypeError('crypto.subtle: format "jwk": expected an object');
  const jwk = value as Jwk;
  if (jwk['kty'] !== kty) dataError(`jwk: kty: expected "${kty}", found ${JSON.stringify(jwk['kty'])}`);
  if (extractable && jwk['ext'] === false) dataError('jwk: ext is false');
  const operations = jwk['key_ops'];
  if (Array.isArray(operations) && usages.some((usage) => !operations.includes(usage))) dataError('jwk: key_ops lacks a usage');
  return jwk;
}
export const jwkFor = (key: CryptoKey, rest: Jwk): Jwk => ({ ...rest, ext: key.extractable, key_ops: [...key.usages] });

/** Compares in a time that does not tell where they differ. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let differs = 0;
  for (let i = 0; i < a.length; i += 1) differs |= a[i]! ^ b[i]!;
  return differs === 0;
}
