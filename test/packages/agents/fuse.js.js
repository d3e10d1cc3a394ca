import Fuse from 'fuse.js';
import { using } from '../using.js';

export default using(async () => {
  const fuse = new Fuse([{ title: "Old Man's War" }, { title: 'The Lock Artist' }, { title: 'HTML5' }], {
    keys: ['title'],
    includeScore: true,
  });
  return fuse.search('lokc artst').map(({ item, score }) => [item.title, score < 0.6]);
});
