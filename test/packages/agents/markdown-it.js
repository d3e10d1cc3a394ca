import MarkdownIt from 'markdown-it';
import { using } from '../using.js';

export default using(async () => {
  const md = new MarkdownIt({ linkify: true, typographer: true });
  return {
    html: md.render('See https://example.org -- "quoted"...\n\n1. one\n2. two\n'),
    tokens: md.parse('# a\n\nb', {}).map(({ type }) => type),
  };
});
