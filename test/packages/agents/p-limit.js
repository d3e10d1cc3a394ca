import pLimit from 'p-limit';
import { using } from '../using.js';

export default using(async () => {
  const limit = pLimit(2);
  let now = 0;
  let most = 0;
  const work = (n) =>
    limit(async () => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((done) => setTimeout(done, 5));
      now -= 1;
      return n * n;
    });
  return { results: await Promise.all([1, 2, 3, 4, 5].map(work)), most };
});
