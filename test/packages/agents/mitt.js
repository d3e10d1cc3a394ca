import mitt from 'mitt';
import { using } from '../using.js';

export default using(async () => {
  const seen = [];
  const bus = mitt();
  bus.on('*', (type, value) => seen.push([type, value]));
  bus.on('a', (value) => seen.push(value));
  bus.emit('a', 1);
  bus.off('a');
  bus.emit('a', 2);
  return seen;
});
