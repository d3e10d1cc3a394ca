/**
 * A clock that a test turns by hand.
 *
 * Promises:
 * T1. Time stands still but for `advance` and `set`; two runs of a test see the same times.
 * T2. `advance` fires timers in the order they are due (in the order they were made, when due at once), sees those that firing adds, and
 *     lets promises and the event loop settle after each, so that what a timer began has gone as far as it can.
 */
import type { Clock, Timer } from '@cim/contracts';

export interface ManualClock extends Clock {
  /** Turns the clock on by `ms`. */
  advance(ms: number): Promise<void>;
  /** Lets everything run that does not wait for time. */
  settle(): Promise<void>;
  /** Makes the wall clock jump, without any time passing. */
  set(now: number): void;
  /** Timers and sleeps that wait. */
  waiting(): number;
}

interface Due {
  at: number;
  readonly order: number;
  readonly every: number | undefined;
  readonly fire: () => void;
}

/** Turns of the event loop after which what does not wait for time or the outside has run. */
const TURNS = 5;

/** @param start wall time at the start, ms since 1970 */
export function manualClock(start = Date.UTC(2026, 0, 1)): ManualClock {
  let wall = start;
  let elapsed = 0;
  let order = 0;
  const waiting = new Set<Due>();

  const add = (ms: number, every: number | undefined, fire: () => void): Timer => {
    const due: Due = { at: elapsed + Math.max(ms, 0), order: order++, every, fire };
    waiting.add(due);
    return { cancel: () => void waiting.delete(due) };
  };
  const next = (end: number): Due | undefined => {
    let first: Due | undefined;
    for (const due of waiting) {
      if (due.at <= end && (!first || due.at < first.at || (due.at === first.at && due.order < first.order))) first = due;
    }
    return first;
  };
  const settle = async () => {
    for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const pass = (to: number) => {
    wall += to - elapsed;
    elapsed = to;
  };

  return {
    now: () => wall,
    monotonic: () => elapsed,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const timer = add(ms, undefined, () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        });
        const onAbort = () => {
          timer.cancel();
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', onAbort, { once: true });
      }),
    after: (ms, fire) => add(ms, undefined, fire),
    every: (ms, fire) => add(Math.max(ms, 1), Math.max(ms, 1), fire),
    async advance(ms) {
      const end = elapsed + ms;
      await settle();
      for (let due = next(end); due; due = next(end)) {
        pass(due.at);
        if (due.every === undefined) waiting.delete(due);
        else due.at += due.every;
        due.fire();
        await settle();
      }
      pass(end);
      await settle();
    },
    settle,
    set(now) {
      wall = now;
    },
    waiting: () => waiting.size,
  };
}
