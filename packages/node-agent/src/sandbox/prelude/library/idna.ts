/** International domain names (UTS 46): large tables, loaded for the first name that is not plain ASCII. */
// It has no types of its own.
declare const require: (id: string) => any;

export const { toASCII, toUnicode } = require('tr46');
