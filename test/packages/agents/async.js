import async from 'async';
import { using } from '../using.js';

export default using(async () => {
  const doubled = await async.mapLimit([1, 2, 3], 2, async (n) => n * 2);
  return { doubled, order: await async.auto({ a: async () => 1, b: ['a', async ({ a }) => a + 1] }) };
});
