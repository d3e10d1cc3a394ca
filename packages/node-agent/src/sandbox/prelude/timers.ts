/**
 * setTimeout and the like. The isolate keeps its timers; of the host it asks one thing, to be woken when the earliest is due.
 *
 * Promises:
 * T1. At most MOST timers at a time; one more is an error in the guest.
 * T2. A timer whose callback throws does not keep the others from running.
 */
import { OUT } from '../protocol.ts';
import { put } from './outbox.ts';
import { apply, floor, max, min, now } from './primordials.ts';
import { limitHit } from './said.ts';

const MOST = 1024;
/** Shortest wait the host keeps, ms: a flood of short timers must not become a flood of wake-ups. */
const SHORTEST = 4;
const LONGEST = 2 ** 31 - 1;

interface Timer {
  readonly id: number;
  due: number;
  readonly fire: (...args: unknown[]) => unknown;
  readonly args: unknown[];
  /** Period of an interval, ms. */
  readonly every: number | undefined;
}

const timers = new Map<number, Timer>();
let newest = 0;
/** When the host will wake us, ms since 1970; Infinity while it was not asked. */
let awaited = Number.POSITIVE_INFINITY;

function add(fire: unknown, ms: unknown, args: unknown[], repeat: boolean): number {
  if (typeof fire !== 'function') throw new TypeError('expected a function');
  if (timers.size >= MOST) {
    limitHit('timers');
    throw new RangeError(`at most ${MOST} timers at a time`);
  }
  const wait = max(SHORTEST, min(LONGEST, floor(Number(ms)) || 0));
  newest += 1;
  timers.set(newest, {
    id: newest,
    due: now() + wait,
    fire: fire as Timer['fire'],
    args,
    every: repeat ? wait : undefined,
  });
  arm();
  return newest;
}

/** Asks to be woken at the earliest timer, unless the host will be there by then. */
function arm(): void {
  let earliest = Number.POSITIVE_INFINITY;
  for (const timer of timers.values()) if (timer.due < earliest) earliest = timer.due;
  if (earliest >= awaited) return;
  awaited = earliest;
  put(`${OUT.wake},${max(1, earliest - now())}`, '');
}

/** Runs what is due. @param failed told of what a callback threw */
export function fireDue(failed: (error: unknown) => void): void {
  awaited = Number.POSITIVE_INFINITY;
  const time = now();
  const due = [...timers.values()].filter((timer) => timer.due <= time).sort((a, b) => a.due - b.due || a.id - b.id);
  for (const timer of due) {
    if (!timers.has(timer.id)) continue;
    if (timer.every === undefined) timers.delete(timer.id);
    else timer.due = time + timer.every;
    try {
      apply(timer.fire, undefined, timer.args);
    } catch (error) {
      failed(error);
    }
  }
  arm();
}

/** After an interrupted entry the host may have been asked or not: ask again. */
export function rearm(): void {
  awaited = Number.POSITIVE_INFINITY;
  arm();
}

export const timerGlobals = {
  setTimeout: (fire: unknown, ms?: unknown, ...args: unknown[]) => add(fire, ms, args, false),
  setInterval: (fire: unknown, ms?: unknown, ...args: unknown[]) => add(fire, ms, args, true),
  clearTimeout: (id?: unknown) => void timers.delete(id as number),
  clearInterval: (id?: unknown) => void timers.delete(id as number),
};
