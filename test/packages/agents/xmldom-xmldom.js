import { DOMParser, XMLSerializer } from '@xmldom/xmldom';
import { using } from '../using.js';

export default using(async () => {
  const document = new DOMParser().parseFromString('<a x="1"><b>t</b></a>', 'text/xml');
  document.documentElement.setAttribute('y', '2');
  document.getElementsByTagName('b')[0].textContent = 'u<';
  return new XMLSerializer().serializeToString(document);
});
