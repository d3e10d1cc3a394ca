import { decodeTime, ulid } from 'ulid';
import { using } from '../using.js';

export default using(async () => {
  return { length: ulid().length, time: decodeTime(ulid(1_800_000_000_000)), ordered: ulid(1) < ulid(2) };
});
