import PQueue from 'p-queue';
import { using } from '../using.js';

export default using(async () => {
  const queue = new PQueue({ concurrency: 1 });
  const seen = [];
  queue.add(() => seen.push('first'));
  queue.add(() => seen.push('low'), { priority: 0 });
  queue.add(() => seen.push('high'), { priority: 9 });
  await queue.onIdle();
  return { seen, size: queue.size };
});
