/**
 * What the fleet finds around itself: environment, directory, Node, chance, signals and the end of its own process.
 * The one home of `process` in this package (`main.ts` aside).
 */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

export const environment: Readonly<Record<string, string | undefined>> = process.env;

/** Current directory, absolute. */
export const currentDirectory = (): string => process.cwd();

/** Path of the Node that runs us: the daemons run on the same. */
export const nodePath = (): string => process.execPath;

export const ownPid = (): number => process.pid;

/** A secret nobody guesses: 24 random bytes, URL-safe, so that it can stand in an address. */
export const newSecret = (): string => randomBytes(24).toString('base64url');

/** A whole number in [from, to). */
export function randomBetween(from: number, to: number): number {
  return from + (randomBytes(4).readUInt32BE() % (to - from));
}

/** Sends a signal. @returns false when there is no such process any more */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    // The process is there and belongs to someone else.
    return true;
  }
}

/**
 * When a process started, in the kernel's ticks: with the pid it names one process for good, since pids are used again.
 * @returns undefined where there is no such process (a dead one nobody has waited for counts as none) or no /proc
 */
export function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Whether no thread of a process runs: it is stopped or gone, or there is no /proc to ask. */
export function still(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8');
      return 'TtZX'.includes(stat.charAt(stat.lastIndexOf(')') + 2));
    });
  } catch {
    return true;
  }
}

const last = new Set<() => void>();

/** Calls `act` (synchronous) when our process ends without having been asked to give it back. @returns takes it back */
export function atExit(act: () => void): () => void {
  if (last.size === 0) process.on('exit', runLast);
  last.add(act);
  return () => {
    last.delete(act);
    if (last.size === 0) process.off('exit', runLast);
  };
}

function runLast(): void {
  for (const act of [...last]) act();
}
