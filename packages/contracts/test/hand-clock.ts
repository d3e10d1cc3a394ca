/** A clock turned by hand: nothing fires but by `turn`, so a test of a deadline takes no time and cannot be late. */
import type { Clock, Timer } from '../src/index.ts';

export interface HandClock extends Clock {
  /** Moves on by `ms`, firing what is due in order, and lets what was fired get on. */
  turn(ms: number): Promise<void>;
  /** Timers that wait. */
  pending(): number;
}

export function handClock(): HandClock {
  let at = 0;
  let waiting: { due: number; fire: () => void }[] = [];
  const settle = async () => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };
  const after = (ms: number, fire: () => void): Timer => {
    const entry = { due: at + Math.max(ms, 0), fire };
    waiting.push(entry);
    return {
      cancel() {
        waiting = waiting.filter((one) => one !== entry);
      },
    };
  };
  const every = (ms: number, fire: () => void): Timer => {
    let timer: Timer;
    const again = () => {
      timer = after(ms, again);
      fire();
    };
    timer = after(ms, again);
    return { cancel: () => timer.cancel() };
  };
  return {
    now: () => at,
    monotonic: () => at,
    after,
    every,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const onAbort = () => {
          timer.cancel();
          reject(signal?.reason);
        };
        const timer = after(ms, () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        });
        signal?.addEventListener('abort', onAbort, { once: true });
      }),
    pending: () => waiting.length,
    async turn(ms) {
      await settle();
      const end = at + ms;
      for (;;) {
        const next = waiting.filter(({ due }) => due <= end).sort((a, b) => a.due - b.due)[0];
        if (!next) break;
        waiting = waiting.filter((one) => one !== next);
        at = next.due;
        next.fire();
        await settle();
      }
      at = end;
      await settle();
    },
  };
}
