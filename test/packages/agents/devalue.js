import { parse, stringify, uneval } from 'devalue';
import { using } from '../using.js';

export default using(async () => {
  const loop = { name: 'x', when: new Date(0), n: 5n };
  loop.self = loop;
  const back = parse(stringify(loop));
  return {
    text: stringify([new Set([1, NaN, -0])]),
    self: back.self === back,
    code: uneval({ a: undefined, b: new Map([[1, 2]]) }),
  };
});
