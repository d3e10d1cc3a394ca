import JSON5 from 'json5';
import { using } from '../using.js';

export default using(async () => {
  return {
    parsed: JSON5.parse("{a: 'x', b: [1, .5, +2,], /* c */ 'd': 0xF,}"),
    text: JSON5.stringify({ 'a-b': [1], c: "q's" }),
  };
});
