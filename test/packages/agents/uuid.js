import { parse, v4, v5, v7, validate, version } from 'uuid';
import { using } from '../using.js';

export default using(async () => {
  return {
    v5: v5('example.org', v5.DNS),
    v4: validate(v4()),
    v7: version(v7()),
    ordered: [v7(), v7()].every((id, i, all) => i === 0 || all[i - 1] < id),
    bytes: parse('6ba7b810-9dad-11d1-80b4-00c04fd430c8').length,
  };
});
