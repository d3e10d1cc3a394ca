import { parse, stringify } from 'smol-toml';
import { using } from '../using.js';

export default using(async () => {
  return {
    parsed: parse('title = "x"\n[a.b]\nlist = [1, 2]\nwhen = 1979-05-27T07:32:00Z\n[[p]]\nn = 1.5\n'),
    text: stringify({ a: { b: [1, 2] }, c: 'y' }),
  };
});
