/**
 * A token bucket: so many a second, with a burst on top. Source: the classic leaky/token bucket (ITU-T I.371, 1992).
 */
import type { Clock } from '@cim/contracts';

export interface Rate {
  /** True and one less, or false when none is left. */
  take(): boolean;
}

export function createRate(clock: Clock, perSecond: number, burst: number): Rate {
  let left = burst;
  let at = clock.monotonic();
  return {
    take() {
      const now = clock.monotonic();
      left = Math.min(burst, left + ((now - at) / 1000) * perSecond);
      at = now;
      if (left < 1) return false;
      left--;
      return true;
    },
  };
}
