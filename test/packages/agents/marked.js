import { marked } from 'marked';
import { using } from '../using.js';

export default using(async () => {
  return marked.parse('# Title\n\n- [x] done\n- *em* and `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n');
});
