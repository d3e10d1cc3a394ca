/**
 * When a cell has had enough: decided here, from figures; carried out by the pool. Pure but for reading /proc.
 *
 * Promises:
 * W1. Nothing here asks the cell: its memory, cpu and the isolate it is in are read from the kernel.
 * W2. A delay of the daemon itself, or a machine too busy to run the cell, is not held against the cell.
 */
import { readFileSync } from 'node:fs';

/** What the kernel says of a process. */
export interface Sample {
  /** Resident bytes. */
  readonly rssBytes: number;
  /** Resident bytes that are not of a file: what counts against a limit. */
  readonly heldBytes: number;
  /** Milliseconds of cpu, user and system. */
  readonly cpuMs: number;
}

/** Kernel clock ticks are 10 ms on every Linux Node runs on. */
const TICK_MS = 10;

/** Bytes of a page: the daemon's own resident size as Node and as the kernel count it. */
export function pageBytes(ownRssBytes: number, statm = readFileSync('/proc/self/statm', 'latin1')): number {
  const pages = Number(statm.split(' ')[1]);
  return pages > 0 ? 2 ** Math.round(Math.log2(ownRssBytes / pages)) : 4096;
}

/** Figures of a process, or undefined when it is gone. */
export function sample(pid: number, page: number): Sample | undefined {
  try {
    const [, resident, file] = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ').map(Number);
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may hold anything: fields are counted from behind it. utime is field 14, stime 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const cpuMs = (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    return { rssBytes: resident! * page, heldBytes: Math.max(0, resident! - file!) * page, cpuMs };
  } catch {
    return undefined;
  }
}

/** The isolate a cell says to be in, by its title; the kernel keeps it for us. A hint for blame among neighbours, never for trust. */
export function isolateIn(pid: number): number | undefined {
  try {
    const found = /^cell (\d+)$/.exec(readFileSync(`/proc/${pid}/comm`, 'latin1').trim());
    return found ? Number(found[1]) : undefined;
  } catch {
    return undefined;
  }
}

/** One isolate of a cell, as far as memory goes. */
export interface Share {
  readonly isolate: number;
  /** What it may hold. */
  readonly limitBytes: number;
  /** What its heap and buffers held when the cell last told of them. */
  readonly toldBytes: number;
  /** It was entered since then. */
  readonly active: boolean;
}

/** What the heap of an isolate that rests may hold beyond what was told: told sizes are of heaps, not of pages. */
const RESTING_SLACK = 1.1;
const RESTING_BYTES = 2 * 2 ** 20;

/**
 * What a cell may hold at this moment: of isolates that rest what they had, of those that were entered since all they may have. So one
 * isolate cannot grow into the unused shares of its neighbours, who would be ended with it.
 * @param allowanceBytes what the cell itself may hold
 */
export function allowedBytes(shares: readonly Share[], allowanceBytes: number): number {
  let bytes = allowanceBytes;
  for (const { limitBytes, toldBytes, active } of shares)
    bytes += active ? limitBytes : Math.min(limitBytes, toldBytes * RESTING_SLACK + RESTING_BYTES);
  return bytes;
}

/**
 * Whose doing it is that a cell holds too much: the isolate that holds most, where what came since the last telling counts for the one
 * that has the thread.
 * @param named the isolate the cell says to be in
 */
export function heaviest(shares: readonly Share[], heldBytes: number, named: number | undefined): number | undefined {
  const told = shares.reduce((sum, { toldBytes }) => sum + toldBytes, 0);
  const grown = Math.max(0, heldBytes - told);
  let found: { readonly isolate: number; readonly bytes: number } | undefined;
  for (const { isolate, toldBytes, active } of shares) {
    if (!active) continue;
    const bytes = toldBytes + (isolate === named ? grown : 0);
    if (found === undefined || bytes > found.bytes) found = { isolate, bytes };
  }
  return found?.isolate;
}

/** A ping on its way. */
export interface Ping {
  readonly nonce: number;
  /** Monotonic ms; moved on by the time that does not count. */
  readonly sentAt: number;
  /** Cpu the cell had used by then, ms. */
  readonly cpuMs: number;
}

/** Time a cell may take over one entry, beyond the longest turn of its isolates, ms. */
export const STALL_GRACE_MS = 300;

/**
 * True when a cell holds its thread for too long: it ran, and did not answer (W2).
 * @param limitMs longest turn in the cell plus {@link STALL_GRACE_MS}
 */
export function stalled(ping: Ping, now: number, cpuMs: number, limitMs: number): boolean {
  const waited = now - ping.sentAt;
  if (waited <= limitMs) return false;
  const ran = cpuMs - ping.cpuMs;
  return ran >= limitMs / 2 || waited > 3 * limitMs;
}

/** Cpu a cell may still use, ms; below zero it must rest. */
export interface Allowance {
  readonly creditMs: number;
  readonly resting: boolean;
}
/** Work a cell may save up, ms of one core at its full share. */
const SAVED_MS = 2_000;
/** What the engine's own threads (garbage collection, compiling) may take on top. */
const SLACK = 1.25;

export const fullAllowance = (milliCpu: number): Allowance => ({
  creditMs: (SAVED_MS * SLACK * milliCpu) / 1000,
  resting: false,
});

/** The allowance after `usedMs` of cpu in `elapsedMs`: a bucket that fills at the cell's share. A resting cell is stopped. */
export function spend(before: Allowance, usedMs: number, elapsedMs: number, milliCpu: number): Allowance {
  const perMs = (SLACK * milliCpu) / 1000;
  const creditMs = Math.min(SAVED_MS * perMs, before.creditMs + elapsedMs * perMs - usedMs);
  // It rests until it is a tenth of a second ahead, so that it is not stopped and started at every look.
  return { creditMs, resting: before.resting ? creditMs < 100 * perMs : creditMs < 0 };
}
