/** For libraries that bring text encoding along: the platform's own, so that it is there once. */
import { part } from '../given.ts';

export const { percentEncodeAfterEncoding } = part('encoding');
