import validator from 'validator';
import { using } from '../using.js';

export default using(async () => {
  return {
    email: validator.isEmail('a+b@example.org'),
    iban: validator.isIBAN('DE89370400440532013000'),
    card: validator.isCreditCard('4111111111111111'),
    url: validator.isURL('ftp://x'),
    iso: validator.isISO8601('2026-13-01', { strict: true }),
    clean: validator.escape('<a href="x">'),
  };
});
