import { DomUtils, Parser, parseDocument } from 'htmlparser2';
import { using } from '../using.js';

export default using(async () => {
  const texts = [];
  const parser = new Parser({ ontext: (text) => texts.push(text) });
  parser.write('<p>a<br>b &amp; ');
  parser.write('c</p>');
  parser.end();
  const document = parseDocument('<ul><li class=x>1<li>2</ul>');
  return {
    texts: texts.join(''),
    items: DomUtils.getElementsByTagName('li', document).map((item) => DomUtils.textContent(item)),
  };
});
