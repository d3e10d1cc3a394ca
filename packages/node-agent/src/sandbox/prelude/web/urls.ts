/** URL, URLSearchParams, structuredClone and DOMException, from core-js, loaded when first used. */
import { library } from './library.ts';

declare const require: (id: string) => any;

export const url = () => library(() => require('core-js-pure/actual/url') as typeof globalThis.URL);
export const urlSearchParams = () =>
  library(() => require('core-js-pure/actual/url-search-params') as typeof globalThis.URLSearchParams);
export const structuredClone = () =>
  library(() => require('core-js-pure/actual/structured-clone') as typeof globalThis.structuredClone);
export const domException = () => library(() => require('core-js-pure/actual/dom-exception') as typeof globalThis.DOMException);
