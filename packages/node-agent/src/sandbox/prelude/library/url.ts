/** URL and URLSearchParams: the URL standard's reference implementation, with the tables of international names left to part `idna`. */
// It has no types of its own.
declare const require: (id: string) => any;

export const { URL, URLSearchParams } = require('whatwg-url');
