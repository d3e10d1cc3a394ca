/** A clock that stands still until a test turns it. Timers fire in order of their time, then of their making. */
import type { Clock, Timer } from '@cim/contracts';

export interface ManualClock extends Clock {
  /** Turns the clock by `ms`, firing what comes due on the way and letting promises settle between. */
  advance(ms: number): Promise<void>;
  /** Timers that have not fired and were not cancelled. */
  pending(): number;
}

/** Lets everything that is ready to run, run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

export function manualClock(start = Date.UTC(2025, 0, 1)): ManualClock {
  let at = 0;
  let order = 0;
  const timers = new Map<number, { at: number; fire: () => void }>();
  const after = (ms: number, fire: () => void): Timer => {
    const id = order++;
    timers.set(id, {
      at: at + Math.max(ms, 0),
      fire: () => {
        timers.delete(id);
        fire();
      },
    });
    return { cancel: () => void timers.delete(id) };
  };
  const clock: ManualClock = {
    now: () => start + at,
    monotonic: () => at,
    after,
    every(ms, fire) {
      let timer: Timer;
      let ended = false;
      const beat = () => {
        fire();
        if (!ended) timer = after(ms, beat);
      };
      timer = after(ms, beat);
      return {
        cancel() {
          ended = true;
          timer.cancel();
        },
      };
    },
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const timer = after(ms, resolve);
        signal?.addEventListener('abort', () => {
          timer.cancel();
          reject(signal.reason);
        });
      }),
    async advance(ms) {
      const end = at + ms;
      await settle();
      for (;;) {
        const due = [...timers].filter(([, t]) => t.at <= end).sort(([a, x], [b, y]) => x.at - y.at || a - b)[0];
        if (!due) break;
        at = Math.max(at, due[1].at);
        due[1].fire();
        await settle();
      }
      at = end;
      await settle();
    },
    pending: () => timers.size,
  };
  return clock;
}
