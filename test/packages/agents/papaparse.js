import Papa from 'papaparse';
import { using } from '../using.js';

export default using(async () => {
  const { data, errors, meta } = Papa.parse('name;note\n"Ada ""L""";"two\nlines"\nBob;x;y', { header: true, delimiter: ';' });
  return {
    data,
    errors: errors.map(({ code }) => code),
    fields: meta.fields,
    csv: Papa.unparse([
      { a: 1, b: 'x,y' },
      { a: 2, b: 'z"' },
    ]),
  };
});
