/**
 * Which idle replicas give their memory back. Pure.
 *
 * Promises:
 * A1. Only one with nothing under way and nothing to come by itself (no timer of its own, no request to the host) is chosen.
 * A2. The longest idle go first, a bounded number at a time, so that a thousand that fell idle together are no burst of work.
 */

/** A replica that is awake. */
export interface Resting<T> {
  readonly replica: T;
  /** When it was last used, monotonic ms. */
  readonly usedAt: number;
  readonly quiet: boolean;
}

export interface PassivationPolicy {
  /** Idle time after which a replica is put to sleep, ms. */
  readonly afterMs: number;
  /** At most so many in one look. */
  readonly most: number;
}

/** @param now monotonic ms. @returns those to put to sleep now, the longest idle first */
export function chooseIdle<T>(seen: readonly Resting<T>[], policy: PassivationPolicy, now: number): T[] {
  return seen
    .filter(({ quiet, usedAt }) => quiet && now - usedAt >= policy.afterMs)
    .sort((a, b) => a.usedAt - b.usedAt)
    .slice(0, policy.most)
    .map(({ replica }) => replica);
}
