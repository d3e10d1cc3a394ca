import { EventEmitter } from 'eventemitter3';
import { using } from '../using.js';

export default using(async () => {
  const seen = [];
  const bus = new EventEmitter();
  bus.once('x', (n) => seen.push(n));
  bus.on('x', (n) => seen.push(-n));
  bus.emit('x', 1);
  bus.emit('x', 2);
  return { seen, names: bus.eventNames(), count: bus.listenerCount('x') };
});
