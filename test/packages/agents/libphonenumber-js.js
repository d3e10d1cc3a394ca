import { AsYouType, parsePhoneNumber } from 'libphonenumber-js';
import { using } from '../using.js';

export default using(async () => {
  const number = parsePhoneNumber('030 901820', 'DE');
  return {
    e164: number.number,
    text: number.formatInternational(),
    valid: number.isValid(),
    typed: new AsYouType('US').input('2133734253'),
  };
});
