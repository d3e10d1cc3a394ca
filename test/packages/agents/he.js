import he from 'he';
import { using } from '../using.js';

export default using(async () => {
  return [he.encode('<ü & 😀>'), he.decode('&lt;&eacute;&#x1F600;&amp;'), he.escape('"a"')];
});
