/** Text and bytes: TextEncoder, TextDecoder and base64 from a kept library; atob and btoa with the leniency HTML asks of them. */
import { fromBase64, toBase64 } from '@exodus/bytes/base64.js';
import { TextDecoder, TextDecoderStream, TextEncoder, TextEncoderStream } from '@exodus/bytes/encoding-lite.js';
import { percentEncodeAfterEncoding } from '@exodus/bytes/whatwg.js';
import { DOMException } from './given.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Bytes of a string, lone surrogates replaced. */
const utf8 = (text: string): Uint8Array => encoder.encode(text);
/** A string of bytes, what is not UTF-8 replaced, a byte order mark kept. */
const utf8Text = (bytes: Uint8Array): string => decoder.decode(bytes);

/** Bytes as characters 0 to 255, in pieces that fit the stack. */
function latin1Text(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return text;
}

/** The one parameter is required: `atob()` is a TypeError, `atob(undefined)` is not. */
const needOne = (name: string, args: readonly unknown[]): string => {
  if (args.length === 0) throw new TypeError(`${name}: expected 1 argument, found 0`);
  return `${args[0] as string}`;
};

const atob = {
  atob(...args: unknown[]): string {
    let text = needOne('atob', args).replace(/[\t\n\f\r ]+/g, '');
    if (text.length % 4 === 0) text = text.replace(/==?$/, '');
    if (text.length % 4 === 1 || /[^A-Za-z0-9+/]/.test(text))
      throw new DOMException('atob: the string is not base64', 'InvalidCharacterError');
    // The last character of an odd length may carry bits that mean nothing.
    const rest = text.length % 4;
    const bytes = fromBase64(`${text}${rest === 0 ? '' : 'A'.repeat(4 - rest)}`);
    return latin1Text(rest === 0 ? bytes : bytes.subarray(0, bytes.length - (4 - rest)));
  },
}.atob;

const btoa = {
  btoa(...args: unknown[]): string {
    const text = needOne('btoa', args);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i);
      if (code > 255) throw new DOMException('btoa: a character outside of Latin-1', 'InvalidCharacterError');
      bytes[i] = code;
    }
    return toBase64(bytes);
  },
}.btoa;

export {
  atob,
  btoa,
  fromBase64,
  percentEncodeAfterEncoding,
  TextDecoder,
  TextDecoderStream,
  TextEncoder,
  TextEncoderStream,
  toBase64,
  utf8,
  utf8Text,
};
