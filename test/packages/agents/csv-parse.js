import { parse } from 'csv-parse/browser/esm/sync';
import { using } from '../using.js';

export default using(async () => {
  return parse('a,b\n1,"x ""y"""\n2,\n', { columns: true, cast: true, skip_empty_lines: true });
});
