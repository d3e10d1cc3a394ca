import { gunzipSync, gzipSync, strFromU8, strToU8, unzipSync, zipSync } from 'fflate';
import { using } from '../using.js';

export default using(async () => {
  const out = unzipSync(zipSync({ 'a.txt': strToU8('hello'), dir: { 'b.txt': strToU8('x'.repeat(999)) } }));
  return { names: Object.keys(out), text: strFromU8(out['a.txt']), back: strFromU8(gunzipSync(gzipSync(strToU8('hey')))) };
});
