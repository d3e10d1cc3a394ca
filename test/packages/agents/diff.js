import { applyPatch, createPatch, diffLines, diffWords } from 'diff';
import { using } from '../using.js';

export default using(async () => {
  const patch = createPatch('f', 'a\nb\nc\n', 'a\nB\nc\nd\n');
  return {
    patch,
    applied: applyPatch('a\nb\nc\n', patch),
    words: diffWords('the quick fox', 'the slow fox').length,
    lines: diffLines('a\n', 'a\nb\n').length,
  };
});
