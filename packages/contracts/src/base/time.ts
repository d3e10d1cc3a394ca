/**
 * Time, as everything else sees it: one clock, passed as an argument, so that a test can turn it by hand.
 *
 * Promises:
 * T1. The only home of `Date.now`, `performance.now` and timers in the product.
 * T2. Every wait can be ended by an `AbortSignal` and leaves no timer behind.
 */

/** A running timer. `cancel` is idempotent and may be called after it fired. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall time in milliseconds since 1970. May jump; use it for stamps. */
  now(): number;
  /** Milliseconds since some start; never jumps. Use it for lengths. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `fire` once after `ms`. The timer does not keep a process alive. */
  after(ms: number, fire: () => void): Timer;
  /** Calls `fire` every `ms`, never overlapping itself with a missed beat. The timer does not keep a process alive. */
  every(ms: number, fire: () => void): Timer;
}

/** Timers above this are cut to it: Node fires at once past 2^31-1 ms. */
const LONGEST = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
        Math.min(Math.max(ms, 0), LONGEST),
      );
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  },
  after(ms, fire) {
    const timer = setTimeout(fire, Math.min(Math.max(ms, 0), LONGEST));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  every(ms, fire) {
    const timer = setInterval(fire, Math.min(Math.max(ms, 1), LONGEST));
    timer.unref();
    return { cancel: () => clearInterval(timer) };
  },
};

/** Why a wait ended: thrown by {@link withDeadline}. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  readonly what: string;
  readonly ms: number;
  constructor(what: string, ms: number) {
    super(`${what} did not finish within ${ms} ms`);
    this.what = what;
    this.ms = ms;
  }
}

/**
 * Gives `work` a signal that aborts at the deadline and waits no longer than that.
 * @throws DeadlineError when `ms` pass first
 */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = clock.after(ms, () => {
      const error = new DeadlineError(what, ms);
      // In this order: work that ends with an error of its own when it is aborted must not be taken for work that failed.
      reject(error);
      controller.abort(error);
    });
  });
  // `after` does not hold the process; a wait does, so that a program cannot end in the middle of one.
  const hold = clock === systemClock ? setInterval(() => {}, LONGEST) : undefined;
  try {
    const started = work(controller.signal);
    started.catch(() => {});
    return await Promise.race([started, late]);
  } finally {
    timer?.cancel();
    clearInterval(hold);
  }
}

/** True once `test` says so, asked every `every` ms; false when `ms` have passed first. */
export async function waitUntil(
  clock: Clock,
  ms: number,
  test: () => boolean | Promise<boolean>,
  every = 25,
  signal?: AbortSignal,
): Promise<boolean> {
  const end = clock.monotonic() + ms;
  for (;;) {
    if (await test()) return true;
    if (clock.monotonic() >= end) return false;
    await clock.sleep(Math.min(every, end - clock.monotonic()), signal);
  }
}
