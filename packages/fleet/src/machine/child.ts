/**
 * One process of ours: its log, its end and its ledger entry.
 *
 * Promises:
 * C1. It does not outlive us: our own exit takes it along, and so does a SIGKILL of us where `setpriv` (util-linux) is there.
 * C2. What it says on standard error is in its log file, written by the kernel and not through us, so the last words are there too.
 * C3. `stop` ends it by the deadline: SIGTERM, then SIGKILL; a stopped (SIGSTOP) one is woken first.
 * C4. While it lives, a ledger file says which process it is, so that the next fleet in this directory can end what was left over.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Readable } from 'node:stream';
import { Fault, systemClock } from '@cim/contracts';
import { atExit, environment, signal, startOf, still } from './surroundings.ts';

/** Longest wait for the threads of a process to stand still, ms. */
const FREEZE_MS = 1_000;

/** How a process ended. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** True when we had asked for it. */
  readonly asked: boolean;
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** Its standard output where `stdout: true` was asked for. */
  readonly stdout: Readable | undefined;
  readonly ended: Promise<ChildEnd>;
  end(): ChildEnd | undefined;
  /** Sends a signal and marks the end as asked for. */
  kill(name: NodeJS.Signals): void;
  /** Freezes it (SIGSTOP), and returns when each of its threads stands still: on another core one may go on for a moment. */
  pause(): void;
  /** Wakes it (SIGCONT). */
  resume(): void;
  stop(deadlineMs: number): Promise<ChildEnd>;
}

export interface ChildOptions {
  /** Name for people, also that of the ledger file. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly logFile: string;
  readonly stdout?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly ledgerFile?: string;
}

const TAIL_BYTES = 16 * 1024;

/** The last lines of a log, for error messages. */
export function tailOf(file: string, lines = 12): string {
  const tail = Buffer.alloc(TAIL_BYTES);
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, 'r');
    const { size } = fstatSync(descriptor);
    const length = readSync(descriptor, tail, 0, TAIL_BYTES, Math.max(0, size - TAIL_BYTES));
    return tail.toString('utf8', 0, length).trimEnd().split('\n').slice(-lines).join('\n');
  } catch {
    return '';
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** `exit code 1`, `signal SIGKILL`. */
export const endText = ({ code, signal: by }: ChildEnd): string => (by === null ? `exit code ${code}` : `signal ${by}`);

/** @throws Fault `configuration-invalid` when the program cannot be started, `storage-full` when its log cannot be written */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { name, logFile, ledgerFile } = options;
  const log = openLog(logFile);
  const [command, ...args] = [...tether(), options.command, ...options.args] as [string, ...string[]];
  const process = spawn(command, args, {
    cwd: options.cwd,
    env: { ...inherited(), ...options.env },
    stdio: ['ignore', options.stdout ? 'pipe' : log, log],
    // A group of its own: Ctrl-C on our terminal is ours to act on, in order.
    detached: true,
  });
  try {
    await spawned(process, options.command);
  } finally {
    closeSync(log);
  }
  const pid = process.pid!;
  if (ledgerFile !== undefined) {
    mkdirSync(dirname(ledgerFile), { recursive: true });
    writeFileSync(ledgerFile, `${JSON.stringify({ pid, started: startOf(pid), command: basename(options.command) })}\n`);
  }
  let asked = false;
  let end: ChildEnd | undefined;
  const release = atExit(() => {
    signal(pid, 'SIGCONT');
    // The kernel says it to those it watches; a daemon takes a second SIGTERM as "at once".
    if (tether().length === 0) signal(pid, 'SIGTERM');
  });
  const ended = new Promise<ChildEnd>((resolve) => {
    process.once('exit', (code, by) => {
      end = { code, signal: by, asked };
      release();
      if (ledgerFile !== undefined) rmSync(ledgerFile, { force: true });
      resolve(end);
    });
  });
  return {
    name,
    pid,
    logFile,
    stdout: process.stdout ?? undefined,
    ended,
    end: () => end,
    kill(by) {
      asked = true;
      process.kill(by);
    },
    pause() {
      process.kill('SIGSTOP');
      for (const late = systemClock.monotonic() + FREEZE_MS; !still(pid) && systemClock.monotonic() < late; );
    },
    resume: () => void process.kill('SIGCONT'),
    async stop(deadlineMs) {
      if (end) return end;
      asked = true;
      process.kill('SIGCONT');
      process.kill('SIGTERM');
      const late = systemClock.after(deadlineMs, () => process.kill('SIGKILL'));
      try {
        return await ended;
      } finally {
        late.cancel();
      }
    },
  };
}

function openLog(file: string): number {
  try {
    mkdirSync(dirname(file), { recursive: true });
    return openSync(file, 'a', 0o600);
  } catch (cause) {
    throw writeFault(file, cause);
  }
}

/** Why a file could not be written, as a fault a person can act on. */
export function writeFault(file: string, cause: unknown): Fault {
  const { code, message } = cause as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? new Fault('storage-full', `${file}: no space left on the disk`, { cause })
    : new Fault('configuration-invalid', `${file}: cannot be written (${message})`, { cause });
}

async function spawned(process: ChildProcess, command: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.once('spawn', resolve);
    process.once('error', (cause) => {
      reject(new Fault('configuration-invalid', `${command}: cannot be started (${cause.message})`, { cause }));
    });
  });
}

/** Of our environment a daemon gets what it needs to find programs and folders, and none of the settings meant for us. */
function inherited(): Record<string, string> {
  const out: Record<string, string> = {};
  for (const key of ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'LD_LIBRARY_PATH', 'XDG_RUNTIME_DIR']) {
    const value = environment[key];
    if (value !== undefined) out[key] = value;
  }
  return out;
}

let tetherPrefix: readonly string[] | undefined;

/** Words before a command that make the kernel end it when we die (C1); none where the tool is not there. */
function tether(): readonly string[] {
  tetherPrefix ??=
    spawnSync('setpriv', ['--pdeathsig', 'TERM', 'true'], { stdio: 'ignore', timeout: 5_000 }).status === 0
      ? ['setpriv', '--pdeathsig', 'TERM']
      : [];
  return tetherPrefix;
}
