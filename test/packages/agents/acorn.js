import { parse, tokenizer } from 'acorn';
import { using } from '../using.js';

export default using(async () => {
  const tree = parse('export const f = async (x) => x?.y ?? 1n;', { ecmaVersion: 'latest', sourceType: 'module' });
  return {
    kind: tree.body[0].declaration.declarations[0].init.type,
    tokens: [...tokenizer('a => a', { ecmaVersion: 2022 })].length,
  };
});
