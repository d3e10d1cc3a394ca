/**
 * The launcher: a small process of the daemon's that begins cells. A process is begun by copying the one that begins it, which takes the
 * longer the more memory that has, and all that while it can do nothing else: two milliseconds here, ten to thirty in a daemon.
 *
 * Promises:
 * P1. It begins what the daemon orders over its channel, and nothing else. A cell's socket and standard error are connections the daemon
 *     makes to the launcher and names with a word nobody else knows; the launcher hands them to the cell unread and closes its own ends.
 * P2. It ends with the daemon, and the kernel ends the cells with it. Nothing else ends it: signals to the daemon's group are the daemon's.
 * P3. A signal reaches the process that was begun or none: a process is known to the launcher until the launcher itself has collected it.
 */
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { placeInKernel } from '../priority.ts';
import { begin, behindGuardian } from './begin.ts';
import { type FromLauncher, type ToLauncher, WORD_BYTES } from './launcher-link.ts';

type Start = ToLauncher & { readonly kind: 'start' };

/** Longest time between a connection and its word, or between the two connections of a cell, ms. */
const PATIENCE_MS = 10_000;
/** How long a guardian may take to notice that its cell has ended, ms. */
const GUARDIAN_MS = 1_000;

/** Ordered, and not begun: its connections are on their way. */
const awaited = new Map<string, { readonly order: Start; readonly ends: Map<string, Socket> }>();
const running = new Map<number, { readonly child: ChildProcess; readonly guarded: boolean }>();

const place = placeInKernel();
const tell = (message: FromLauncher) => void process.send?.(message);

function order(message: Start): void {
  const { socketWord, wordsWord, id } = message;
  const cell = { order: message, ends: new Map<string, Socket>() };
  awaited.set(socketWord, cell);
  awaited.set(wordsWord, cell);
  setTimeout(() => {
    if (forget(id)) tell({ kind: 'gone', id, problem: 'the daemon did not connect' });
  }, PATIENCE_MS).unref();
}

/** @returns false when it was not awaited */
function forget(id: number): boolean {
  let found = false;
  for (const [word, { order, ends }] of awaited) {
    if (order.id !== id) continue;
    found = true;
    awaited.delete(word);
    for (const end of ends.values()) end.destroy();
  }
  return found;
}

function connected(socket: Socket): void {
  socket.on('error', () => {});
  const patience = setTimeout(() => socket.destroy(), PATIENCE_MS);
  const read = () => {
    const word = socket.read(WORD_BYTES) as Buffer | null;
    if (word === null) return;
    clearTimeout(patience);
    socket.off('readable', read);
    socket.pause();
    const cell = awaited.get(word.toString('latin1'));
    if (cell === undefined) {
      socket.destroy();
      return;
    }
    cell.ends.set(word.toString('latin1'), socket);
    if (cell.ends.size === 2) start(cell.order, cell.ends);
  };
  socket.on('readable', read);
}

function start({ id, command, filter, group, guarded, socketWord, wordsWord }: Start, ends: ReadonlyMap<string, Socket>): void {
  awaited.delete(socketWord);
  awaited.delete(wordsWord);
  try {
    const recipe = { command, filter: filter === undefined ? undefined : Buffer.from(filter, 'base64') };
    const child = begin(recipe, [ends.get(wordsWord)!, ends.get(socketWord)!], (pid) => {
      if (group !== undefined) writeFileSync(group, `${pid}`);
      place(pid, 'born');
    });
    if (child.pid !== undefined) {
      running.set(id, { child, guarded });
      tell({ kind: 'started', id, pid: child.pid });
    }
    const gone = (problem: string) => {
      running.delete(id);
      tell({ kind: 'gone', id, problem });
    };
    child.on('error', (error) => gone(error.message));
    child.on('exit', () => gone(''));
  } catch (error) {
    tell({ kind: 'gone', id, problem: (error as Error).message });
  } finally {
    for (const end of ends.values()) end.destroy();
  }
}

/** P3 */
function signal(id: number, name: NodeJS.Signals): void {
  const cell = running.get(id);
  if (cell === undefined) {
    if (name === 'SIGKILL' && forget(id)) tell({ kind: 'gone', id, problem: '' });
    return;
  }
  const { child, guarded } = cell;
  const own = child.pid!;
  const inner = guarded ? behindGuardian(own) : own;
  if (inner === own) {
    child.kill(name);
    return;
  }
  try {
    process.kill(inner, name);
  } catch {
    // Gone already.
  }
  // The guardian collects the cell and ends; one that does not is ended as well.
  if (name === 'SIGKILL') setTimeout(() => running.get(id)?.child.kill('SIGKILL'), GUARDIAN_MS).unref();
}

process.on('message', (message: ToLauncher) => {
  if (message.kind === 'start') order(message);
  else signal(message.id, message.signal);
});
process.on('disconnect', () => process.exit(0));
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => {});

// An abstract name leaves nothing behind, and is not to be seen from a cell, which has a network namespace of its own.
const path = `\0cim-launcher-${randomUUID()}`;
createServer({ pauseOnConnect: true }, connected).listen(path, () => tell({ kind: 'ready', path }));
