import { decodeHTML, encodeXML, escapeUTF8 } from 'entities';
import { using } from '../using.js';

export default using(async () => {
  return [decodeHTML('&ouml;&nbsp;&hellip;&#55;'), encodeXML('<ü>'), escapeUTF8('a & "b"')];
});
