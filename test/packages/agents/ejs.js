import ejs from 'ejs';
import { using } from '../using.js';

export default using(async () => {
  return ejs.render('<%= name %>', { name: 'Ada' });
});
