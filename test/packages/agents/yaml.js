import { parse, parseDocument, stringify } from 'yaml';
import { using } from '../using.js';

export default using(async () => {
  const document = parseDocument('a: 1 # one\nb: 2\n');
  document.set('b', 3);
  return {
    parsed: parse('base: &b {x: 1}\nuse:\n  <<: *b\n  when: 2026-01-02\nlist: [a, "b c", !!float 3]\n', { merge: true }),
    text: stringify({ a: ['x', { y: null }], 'odd key:': 'multi\nline' }),
    kept: String(document),
  };
});
