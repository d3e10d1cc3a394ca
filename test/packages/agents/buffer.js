import { Buffer } from 'buffer';
import { using } from '../using.js';

export default using(async () => {
  const written = Buffer.alloc(8);
  written.writeDoubleBE(1.5);
  return {
    hex: Buffer.from('héllo', 'utf8').toString('hex'),
    b64: Buffer.from('hi').toString('base64'),
    back: Buffer.from('aMOpbGxv', 'base64').toString(),
    double: written.readDoubleBE(0),
    joined: Buffer.concat([written, Buffer.from([33])]).length,
  };
});
