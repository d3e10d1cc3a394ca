import lunr from 'lunr';
import { using } from '../using.js';

export default using(async () => {
  const texts = { 1: 'the quick brown fox', 2: 'quickly jumping foxes', 3: 'lazy dogs' };
  const index = lunr(function () {
    this.ref('id');
    this.field('text');
    for (const [id, text] of Object.entries(texts)) this.add({ id, text });
  });
  return {
    fox: index
      .search('fox')
      .map(({ ref }) => ref)
      .sort(),
    none: index.search('cat').length,
    wild: index.search('qui*').length,
  };
});
