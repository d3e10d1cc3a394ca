/**
 * The cell's end of its socket. A call comes in by one read and goes out by one write, and at one call at a time what lies between the kernel
 * and the wrapper is most of what it costs; so neither goes through a stream where it need not.
 *
 * Promises:
 * T1. What is sent arrives in order, whole, however slowly the other end reads.
 * T2. What is sent between `hold` and `release` leaves in one write.
 */
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { readingInto } from '../reading.ts';

/** What one read takes at most, bytes. */
const READ_BYTES = 64 * 2 ** 10;
/** Up to here what is held is joined into one write; larger things are not worth a copy. */
const JOINED_BYTES = 64 * 2 ** 10;

export interface Port {
  send(bytes: Buffer): void;
  hold(): void;
  release(): void;
}

/**
 * @param fd a connected stream socket
 * @param take told of what came in; it must not keep it, the next read writes over it
 * @param lost the other end is gone
 */
export function openPort(fd: number, take: (chunk: Buffer) => void, lost: () => void): Port {
  const socket = new Socket({
    fd,
    readable: true,
    writable: true,
    onread: readingInto(Buffer.allocUnsafeSlow(READ_BYTES), take),
  });
  socket.on('error', lost);
  socket.on('close', lost);
  socket.on('end', lost);
  socket.resume();

  let held: Buffer[] | undefined;
  let heldBytes = 0;

  /** At once if the kernel takes it, behind what waits already otherwise (T1). */
  const write = (bytes: Buffer): void => {
    let sent = 0;
    if (socket.writableLength === 0) {
      try {
        sent = writeSync(fd, bytes);
      } catch (error) {
        // Full, or gone: the stream waits for the one, and tells of the other.
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') socket.destroy(error as Error);
      }
      if (sent === bytes.length) return;
    }
    socket.write(sent === 0 ? bytes : bytes.subarray(sent));
  };

  return {
    send(bytes) {
      if (held === undefined) write(bytes);
      else {
        held.push(bytes);
        heldBytes += bytes.length;
      }
    },
    hold() {
      held ??= [];
    },
    release() {
      const all = held;
      if (all === undefined) return;
      const bytes = heldBytes;
      held = undefined;
      heldBytes = 0;
      if (all.length === 1) write(all[0]!);
      else if (bytes <= JOINED_BYTES) {
        if (bytes > 0) write(Buffer.concat(all, bytes));
      } else for (const one of all) write(one);
    },
  };
}
