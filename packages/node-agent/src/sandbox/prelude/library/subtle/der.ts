/** As much DER as keys need (RFC 5280, 5208, 8410): writing and reading sequences, integers, strings of octets and bits. */
import { concat } from '../fetch/blob.ts';
import { dataError } from './key.ts';

export const TAG = { integer: 2, bits: 3, octets: 4, nothing: 5, oid: 6, sequence: 0x30 } as const;

export const OID = {
  ec: Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01),
  rsa: Uint8Array.of(0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01),
  Ed25519: Uint8Array.of(0x2b, 0x65, 0x70),
  X25519: Uint8Array.of(0x2b, 0x65, 0x6e),
  'P-256': Uint8Array.of(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07),
  'P-384': Uint8Array.of(0x2b, 0x81, 0x04, 0x00, 0x22),
  'P-521': Uint8Array.of(0x2b, 0x81, 0x04, 0x00, 0x23),
} as const;

export function write(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = concat(contents);
  const { length } = content;
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return concat([Uint8Array.of(tag, ...head), content]);
}
export const writeBits = (bytes: Uint8Array): Uint8Array => write(TAG.bits, Uint8Array.of(0), bytes);
export const writeSmall = (value: number): Uint8Array => write(TAG.integer, Uint8Array.of(value));

export interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
}

/** The elements one after the other in `bytes`. @throws DataError */
export function read(bytes: Uint8Array): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at]!;
    let length = bytes[at + 1] ?? dataError('DER: cut short');
    at += 2;
    if (length >= 128) {
      const count = length & 127;
      if (count === 0 || count > 3) dataError('DER: a length that is not one');
      length = 0;
      for (let i = 0; i < count; i += 1) length = length * 256 + (bytes[at + i] ?? dataError('DER: cut short'));
      at += count;
    }
    if (at + length > bytes.length) dataError('DER: cut short');
    found.push({ tag, content: bytes.subarray(at, at + length) });
    at += length;
  }
  return found;
}

/** The content of the element, which must have this tag. */
export function inside(element: Element | undefined, tag: number): Uint8Array {
  if (element?.tag !== tag) return dataError(`DER: expected an element of kind ${tag}`);
  return element.content;
}
/** The elements of the one sequence that `bytes` is. */
export function sequence(bytes: Uint8Array): Element[] {
  const all = read(bytes);
  if (all.length !== 1) dataError('DER: expected one sequence');
  return read(inside(all[0], TAG.sequence));
}
export function bitsOf(element: Element | undefined): Uint8Array {
  const content = inside(element, TAG.bits);
  if (content[0] !== 0) dataError('DER: a string of bits that is not of whole octets');
  return content.subarray(1);
}
export const isOid = (element: Element | undefined, oid: Uint8Array): boolean => {
  const content = inside(element, TAG.oid);
  return content.length === oid.length && content.every((byte, i) => byte === oid[i]);
};
export const numberOf = (bytes: Uint8Array): bigint => {
  let text = '0x0';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return BigInt(text);
};
