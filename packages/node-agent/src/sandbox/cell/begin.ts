/**
 * Begins a cell's process as a recipe says: no environment, no descriptor but its own, a session of its own. Used by the launcher, and where
 * the layers of a machine are found out and tried.
 *
 * Promises:
 * B1. What this process was itself started with is not passed on.
 * B2. Where there is a filter, the cell's code does not begin before `admit` has returned: bubblewrap waits for the filter.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

/** Descriptor the launcher of the cell reads its filter from. */
export const FILTER_FD = 4;

export interface Recipe {
  /** Program and arguments. */
  readonly command: readonly string[];
  /** System calls it may not make, as bubblewrap reads them. */
  readonly filter: Buffer | undefined;
}

type Stdio = 'ignore' | 'pipe' | number | Socket;

/** @param ends its standard error and its socket. @param admit told of the process before its code begins */
export function begin(
  { command: [file, ...args], filter }: Recipe,
  ends: readonly ['pipe' | Socket, 'pipe' | Socket],
  admit: (pid: number) => void = () => {},
): ChildProcess {
  const stdio: Stdio[] = ['ignore', 'ignore', ...ends];
  if (filter !== undefined) stdio[FILTER_FD] = 'pipe';
  const nothing = cover(stdio);
  // A session of its own: it has no terminal, and the kernel can weigh it by itself (priority.ts).
  const child = spawn(file!, args, { cwd: '/', env: {}, stdio, detached: true });
  if (nothing !== undefined) closeSync(nothing);
  if (child.pid !== undefined) admit(child.pid);
  if (filter !== undefined) {
    const gate = child.stdio[FILTER_FD] as Socket;
    gate.on('error', () => {});
    gate.end(filter);
  }
  return child;
}

/** Close-on-exec in the flags of /proc/self/fdinfo, octal. */
const CLOEXEC = 0o2000000;
let inherited: readonly number[] | undefined;

/**
 * Descriptors this process was itself started with and would pass on are covered with /dev/null. (All that Node opens is closed on exec;
 * what came from outside, a shell's or an init system's, is not.)
 * @returns the descriptor to close after the start
 */
function cover(stdio: Stdio[]): number | undefined {
  inherited ??= readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => fd > 2 && passedOn(fd));
  const open = inherited.filter((fd) => stdio[fd] === undefined);
  if (open.length === 0) return undefined;
  const nothing = openSync('/dev/null', 'r');
  for (let fd = stdio.length; fd <= Math.max(...open); fd += 1) stdio[fd] = open.includes(fd) ? nothing : 'ignore';
  return nothing;
}

function passedOn(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOEXEC) === 0;
  } catch {
    return false;
  }
}

/** The cell behind a guardian; the guardian itself while it has not started it. */
export function behindGuardian(pid: number): number {
  try {
    const [first] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ');
    return Number(first) > 0 ? Number(first) : pid;
  } catch {
    return pid;
  }
}
