/** URL, URLSearchParams, structuredClone and DOMException, from core-js, loaded when first used. */

declare const require: (id: string) => any;

export const url = () => require('core-js-pure/actual/url') as typeof globalThis.URL;
export const urlSearchParams = () => require('core-js-pure/actual/url-search-params') as typeof globalThis.URLSearchParams;
export const structuredClone = () => require('core-js-pure/actual/structured-clone') as typeof globalThis.structuredClone;
export const domException = () => require('core-js-pure/actual/dom-exception') as typeof globalThis.DOMException;
