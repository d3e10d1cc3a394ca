import MiniSearch from 'minisearch';
import { using } from '../using.js';

export default using(async () => {
  const search = new MiniSearch({
    fields: ['title', 'text'],
    storeFields: ['title'],
    searchOptions: { boost: { title: 2 }, fuzzy: 0.2 },
  });
  search.addAll([
    { id: 1, title: 'Moby Dick', text: 'Call me Ishmael' },
    { id: 2, title: 'Zen', text: 'motorcycle maintenance' },
  ]);
  return {
    found: search.search('ismael').map(({ title }) => title),
    suggest: search.autoSuggest('mot').map(({ suggestion }) => suggestion),
  };
});
