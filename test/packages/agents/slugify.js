import slugify from 'slugify';
import { using } from '../using.js';

export default using(async () => {
  return [slugify('Ünïcode & Straße №5', { lower: true, strict: true }), slugify('a  b', '_')];
});
