import { enableMapSet, enablePatches, produce, produceWithPatches } from 'immer';
import { using } from '../using.js';

export default using(async () => {
  enablePatches();
  enableMapSet();
  const base = { list: [{ id: 1, tags: new Set(['a']) }], by: new Map([['k', { n: 1 }]]) };
  const [next, patches] = produceWithPatches(base, (draft) => {
    draft.list[0].tags.add('b');
    draft.by.get('k').n = 2;
    draft.list.push({ id: 2, tags: new Set() });
  });
  return {
    same: base.list[0].tags.size,
    tags: [...next.list[0].tags],
    n: next.by.get('k').n,
    shared: produce(base, () => {}) === base,
    frozen: Object.isFrozen(next.list),
    patches: patches.length,
  };
});
