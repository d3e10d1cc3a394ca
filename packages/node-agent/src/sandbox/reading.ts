/**
 * How the daemon and a cell read their socket: into one buffer, past the streams between. The daemon's is one for all cells, so a thousand of
 * them take no more room than one.
 *
 * Promises:
 * R1. What is handed out is gone with the next read into the same buffer: whoever takes it must not keep it (FrameReader does not).
 */
import type { OnReadOpts } from 'node:net';

/** For `onread` of a socket. @param take told of what each read brought */
export function readingInto(buffer: Buffer, take: (chunk: Buffer) => void): OnReadOpts {
  return {
    buffer,
    callback(bytes) {
      take(buffer.subarray(0, bytes));
      return true;
    },
  };
}
