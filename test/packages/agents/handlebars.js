import Handlebars from 'handlebars/dist/cjs/handlebars.js';
import { using } from '../using.js';

export default using(async () => {
  return Handlebars.compile('Hello {{name}}')({ name: 'Ada' });
});
