/** Text and bytes: TextEncoder, TextDecoder, atob, btoa, from kept libraries, loaded when first used (they cost milliseconds). */
import { library } from './library.ts';

declare const require: (id: string) => any;

const encoding = () =>
  library(() => require('@exodus/bytes/encoding-lite.js') as typeof import('@exodus/bytes/encoding-lite.js'));
const base64 = () => library(() => require('@exodus/bytes/base64.js') as typeof import('@exodus/bytes/base64.js'));

export const textEncoder = () => encoding().TextEncoder;
export const textDecoder = () => encoding().TextDecoder;
export const atob = () => library(() => require('core-js-pure/actual/atob') as typeof globalThis.atob);
export const btoa = () => library(() => require('core-js-pure/actual/btoa') as typeof globalThis.btoa);

export const fromBase64 = (text: string): Uint8Array => base64().fromBase64(text);
export const utf8Text = (bytes: Uint8Array): string => new (encoding().TextDecoder)().decode(bytes);
