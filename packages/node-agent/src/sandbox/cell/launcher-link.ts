/**
 * The daemon's end of the launcher: orders cells, and holds what the launcher tells of them.
 *
 * Promises:
 * K1. `start` returns at once; nothing in here waits for a process to begin.
 * K2. A launcher that is gone takes its cells along, and the next `start` begins another one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Socket } from 'node:net';
import { readingInto } from '../reading.ts';
import type { Recipe } from './begin.ts';

export type ToLauncher =
  | {
      readonly kind: 'start';
      readonly id: number;
      readonly command: readonly string[];
      /** base64 */
      readonly filter?: string;
      /** `cgroup.procs` of the group it belongs into. */
      readonly group?: string;
      /** The process that is begun is a guardian, and the cell its only child. */
      readonly guarded: boolean;
      readonly socketWord: string;
      readonly wordsWord: string;
    }
  | { readonly kind: 'signal'; readonly id: number; readonly signal: NodeJS.Signals };

export type FromLauncher =
  | { readonly kind: 'ready'; readonly path: string }
  | { readonly kind: 'started'; readonly id: number; readonly pid: number }
  /** @param problem empty unless it could not be begun */
  | { readonly kind: 'gone'; readonly id: number; readonly problem: string };

/** Length of the word a connection begins with. */
export const WORD_BYTES = 36;

/** A process on its way, running, or gone. */
export interface Begun {
  /** Connected to the process's descriptor 3. Nothing may be sent before it runs. What it reads must not be kept. */
  readonly socket: Socket;
  /** Its standard error. */
  readonly words: Socket;
  /** The process that was begun; 0 while it is not. */
  pid(): number;
  /** Once, with the pid, when it runs. */
  onStarted(listener: (pid: number) => void): void;
  /** Once; the text says what was wrong when it could not be begun. */
  onGone(listener: (problem: string) => void): void;
  signal(name: NodeJS.Signals): void;
}

export interface LauncherLink {
  start(recipe: Recipe & { readonly guarded: boolean; readonly group: string | undefined }): Begun;
  /** Ends the launcher, and what it has begun. */
  stop(): void;
}

interface Launched {
  pid: number;
  gone: string | undefined;
  readonly started: ((pid: number) => void)[];
  readonly ended: ((problem: string) => void)[];
  readonly connect: (path: string) => void;
}

const FLAGS = ['--no-warnings', '--v8-pool-size=1', '--max-semi-space-size=1', '--max-old-space-size=64'];

/** What all cells send goes through here, one read of one socket after the other. */
const INBOX = Buffer.allocUnsafeSlow(64 * 2 ** 10);

/** One that tells of what it reads by `data`, in memory that the next read writes over. */
function reading(): Socket {
  const socket = new Socket({ onread: readingInto(INBOX, (chunk) => socket.emit('data', chunk)) });
  return socket;
}

/** @param node path of Node. @param entry launcher-main as compiled. @param kill ends a process that nobody else can end any more */
export function createLauncherLink(node: string, entry: string, kill: (pid: number) => void): LauncherLink {
  let launcher: ChildProcess | undefined;
  let path: string | undefined;
  let newest = 0;
  const cells = new Map<number, Launched>();

  const end = (id: number, problem: string) => {
    const cell = cells.get(id);
    if (!cell) return;
    cells.delete(id);
    hold();
    cell.gone = problem;
    for (const listener of cell.ended) listener(problem);
  };

  function begin(): ChildProcess {
    const child = spawn(node, [...FLAGS, entry], { cwd: '/', env: {}, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const lost = (why: string) => {
      if (launcher !== child) return;
      launcher = undefined;
      path = undefined;
      for (const [id, { pid }] of [...cells]) {
        if (pid > 0) kill(pid);
        end(id, why);
      }
    };
    child.on('message', (message: FromLauncher) => {
      if (message.kind === 'ready') {
        path = message.path;
        for (const cell of cells.values()) cell.connect(path);
      } else if (message.kind === 'gone') end(message.id, message.problem);
      else {
        const cell = cells.get(message.id);
        if (!cell) return;
        cell.pid = message.pid;
        for (const listener of cell.started) listener(message.pid);
      }
    });
    child.on('error', (error) => lost(`the launcher: ${error.message}`));
    child.on('exit', () => lost('the launcher ended'));
    child.unref();
    return child;
  }
  /** What holds the daemon up are its cells: their ends are to be heard of. */
  const hold = () => {
    if (cells.size > 0) launcher?.channel?.ref();
    else launcher?.channel?.unref();
  };

  const say = (message: ToLauncher) => {
    launcher ??= begin();
    hold();
    // One that is gone has said so, or will.
    launcher.send(message, () => {});
  };

  return {
    start({ command, filter, guarded, group }) {
      newest += 1;
      const id = newest;
      const [socketWord, wordsWord] = [randomUUID(), randomUUID()];
      const ends = [
        [reading(), socketWord],
        [new Socket(), wordsWord],
      ] as const;
      const cell: Launched = {
        pid: 0,
        gone: undefined,
        started: [],
        ended: [],
        connect(at) {
          for (const [end, word] of ends) {
            end.connect(at);
            end.write(word);
          }
        },
      };
      for (const [end] of ends) end.on('error', () => {});
      cells.set(id, cell);
      say({
        kind: 'start',
        id,
        command,
        guarded,
        socketWord,
        wordsWord,
        ...(filter === undefined ? {} : { filter: filter.toString('base64') }),
        ...(group === undefined ? {} : { group }),
      });
      if (path !== undefined) cell.connect(path);
      return {
        socket: ends[0][0],
        words: ends[1][0],
        pid: () => cell.pid,
        onStarted(listener) {
          if (cell.pid > 0) listener(cell.pid);
          else cell.started.push(listener);
        },
        onGone(listener) {
          if (cell.gone !== undefined) listener(cell.gone);
          else cell.ended.push(listener);
        },
        signal(name) {
          if (cell.gone === undefined) say({ kind: 'signal', id, signal: name });
        },
      };
    },
    stop() {
      launcher?.disconnect();
    },
  };
}
