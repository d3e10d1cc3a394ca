import { XMLBuilder, XMLParser, XMLValidator } from 'fast-xml-parser';
import { using } from '../using.js';

export default using(async () => {
  const xml = '<inv no="7"><line sku="A">2</line><line sku="B">3</line><note><![CDATA[a < b]]></note></inv>';
  const parsed = new XMLParser({ ignoreAttributes: false }).parse(xml);
  return {
    parsed,
    built: new XMLBuilder({ ignoreAttributes: false }).build(parsed),
    broken: XMLValidator.validate('<a><b></a>').err.code,
  };
});
