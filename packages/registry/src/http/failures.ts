/**
 * Wrong tokens, counted by address: who guesses is answered later and later, then not at all for a while.
 *
 * Promises:
 * G1. A good token is never counted and never slowed, whatever others do from the same address: behind a proxy all share one.
 * G2. Bounded: so many addresses are remembered, so many answers are held back at a time; beyond that a guess is refused at once.
 */
import { type Clock, Fault } from '@cim/contracts';

export interface Failures {
  /** Counts a wrong token and waits as long as it deserves. @throws Fault `rate-limited` beyond the limit */
  wrong(address: string): Promise<void>;
}

const MINUTE = 60_000;
const ADDRESSES = 10_000;
const HELD = 256;
/** So many slips cost nothing. */
const FREE = 3;
const FIRST_MS = 50;
const LONGEST_MS = 2_000;

/** How long the answer to the n-th wrong token of a minute is held back, ms. Pure. */
export const penaltyMs = (n: number): number => (n <= FREE ? 0 : Math.min(FIRST_MS * 2 ** (n - FREE - 1), LONGEST_MS));

/** One line of IPv4, one household of IPv6: a /64 is one customer. Pure. */
export function addressGroup(ip: string): string {
  if (!ip.includes(':') || ip.startsWith('::ffff:')) return ip.replace(/^::ffff:/, '');
  const [head = '', tail = ''] = ip.split('%')[0]!.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const whole = ip.includes('::')
    ? [...left, ...Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0'), ...right]
    : left;
  return whole.slice(0, 4).join(':');
}

export function createFailures(clock: Clock, perMinute: number): Failures {
  /** In the order of their first failure of the minute. */
  const counts = new Map<string, { since: number; count: number }>();
  let held = 0;
  return {
    async wrong(address) {
      const group = addressGroup(address);
      const now = clock.monotonic();
      let entry = counts.get(group);
      if (!entry || now - entry.since >= MINUTE) {
        counts.delete(group);
        if (counts.size >= ADDRESSES) counts.delete(counts.keys().next().value!);
        entry = { since: now, count: 0 };
        counts.set(group, entry);
      }
      entry.count++;
      if (entry.count > perMinute || held >= HELD) {
        const seconds = Math.ceil((entry.since + MINUTE - now) / 1000);
        throw new Fault(
          'rate-limited',
          `at most ${perMinute} wrong tokens a minute from one address (limits.failuresPerMinute); again in ${seconds} seconds`,
        );
      }
      const ms = penaltyMs(entry.count);
      if (ms === 0) return;
      held++;
      try {
        await clock.sleep(ms);
      } finally {
        held--;
      }
    },
  };
}
