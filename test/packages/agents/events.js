import { EventEmitter, once } from 'events';
import { using } from '../using.js';

export default using(async () => {
  const bus = new EventEmitter();
  setTimeout(() => bus.emit('ready', 7), 5);
  const [n] = await once(bus, 'ready');
  let failed = '';
  try {
    bus.emit('error', new Error('x'));
  } catch (error) {
    failed = error.message;
  }
  return { n, failed, most: EventEmitter.defaultMaxListeners };
});
