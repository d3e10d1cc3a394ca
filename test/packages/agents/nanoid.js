import { customAlphabet, nanoid } from 'nanoid';
import { using } from '../using.js';

export default using(async () => {
  const ids = new Set(Array.from({ length: 500 }, () => nanoid()));
  return { unique: ids.size, length: nanoid().length, custom: /^[abc]{12}$/.test(customAlphabet('abc', 12)()) };
});
