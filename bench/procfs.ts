/**
 * What the kernel counts for a process: cpu and memory. Cpu per call moves less between runs than any time does, and proportional set
 * size (PSS) is the measure of memory that can be added up over processes that share pages.
 */
import { readdirSync, readFileSync } from 'node:fs';

const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
};

/** Microseconds of cpu of all threads so far; 0 for a process that is gone. */
export function cpuUs(pid: number): number {
  let nanoseconds = 0;
  let threads: string[] = [];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return 0;
  }
  for (const thread of threads) nanoseconds += Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0] ?? 0);
  return nanoseconds / 1000;
}

/** Bytes of proportional set size; 0 for a process that is gone. */
export const pssBytes = (pid: number): number =>
  Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) * 1024;

/** Processes started by a process, at any depth. */
export function descendants(pid: number): number[] {
  const found: number[] = [];
  let threads: string[] = [];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return found;
  }
  for (const thread of threads) {
    for (const child of read(`/proc/${pid}/task/${thread}/children`).trim().split(' ').filter(Boolean).map(Number)) {
      found.push(child, ...descendants(child));
    }
  }
  return found;
}

export const sum = (numbers: readonly number[]): number => numbers.reduce((total, next) => total + next, 0);
export const MiB = 2 ** 20;
