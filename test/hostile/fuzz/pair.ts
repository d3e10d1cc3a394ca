/** A cell as the daemon has it, with a program of ours where its process would be: what that sends is read as any cell's is. */
import type { Socket } from 'node:net';
import { type Duplex, duplexPair, PassThrough } from 'node:stream';
import { silentLogger, systemClock } from '@cim/contracts';
import type { CellProcess } from '../../../packages/node-agent/src/sandbox/cell/launch.ts';
import { Cell } from '../../../packages/node-agent/src/sandbox/cell.ts';
import { FrameReader } from '../../../packages/node-agent/src/sandbox/frames.ts';
import {
  decodeToCell,
  encodeFromCell,
  PROTOCOL,
  TO_CELL_LIMIT,
  type ToCell,
} from '../../../packages/node-agent/src/sandbox/protocol.ts';

export interface Pair extends Disposable {
  readonly cell: Cell;
  /** Writes bytes as if the process had. */
  write(bytes: Buffer): void;
  readonly ended: () => boolean;
}

/** @param hear told of every frame the daemon sends, but the first opening, which is answered here */
export function pairOf(maxReply: number, hear: (message: ToCell, write: (bytes: Buffer) => void) => void): Pair {
  const [ours, theirs] = duplexPair();
  let gone: (problem: string) => void = () => {};
  let over = false;
  const end = () => {
    if (over) return;
    over = true;
    theirs.destroy();
    setImmediate(() => gone(''));
  };
  const process: CellProcess = {
    socket: ours as Socket,
    words: new PassThrough().destroy() as unknown as Socket,
    pid: () => 0,
    onStarted: () => {},
    onGone(listener) {
      gone = listener;
    },
    signal: (name) => name === 'SIGKILL' && end(),
  };
  const cell = new Cell({
    process,
    jitless: false,
    debug: false,
    clock: systemClock,
    log: silentLogger,
    group: undefined,
    maxReply,
    allowanceBytes: 2 ** 30,
    page: 4096,
    startMs: 5_000,
    computes: () => {},
    onEnd: () => {},
  });
  const write = (bytes: Buffer) => {
    if (!over && !theirs.destroyed) theirs.write(bytes);
  };
  const reader = new FrameReader(TO_CELL_LIMIT);
  theirs.on('data', (chunk: Buffer) =>
    reader.push(chunk, (frame) => {
      const message = decodeToCell(frame);
      if (message.kind === 'open') write(encodeFromCell({ kind: 'opened', isolate: message.isolate, fault: undefined }));
      else hear(message, write);
    }),
  );
  theirs.on('error', () => {});
  (ours as Duplex).on('error', () => {});
  write(encodeFromCell({ kind: 'hello', protocol: PROTOCOL }));
  return { cell, write, ended: () => over, [Symbol.dispose]: end };
}
