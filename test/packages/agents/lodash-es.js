import { debounce, get, set, uniqBy } from 'lodash-es';
import { using } from '../using.js';

export default using(async () => {
  let calls = 0;
  const later = debounce(() => {
    calls += 1;
  }, 10);
  for (let i = 0; i < 5; i += 1) later();
  await new Promise((done) => setTimeout(done, 60));
  return { calls, got: get(set({}, 'a.b[1].c', 7), 'a.b.1.c'), unique: uniqBy([{ x: 1 }, { x: 1 }, { x: 2 }], 'x').length };
});
