/** Which idle replicas are put to sleep: never one that has something to do, the longest idle first, a bounded number at a time. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { chooseIdle } from '../../src/core/passivate.ts';

const policy = { afterMs: 1_000, most: 3 };
const at = (replica: string, usedAt: number, quiet = true) => ({ replica, usedAt, quiet });

test('idle for as long as the policy says, and quiet', () => {
  const seen = [at('just used', 500), at('idle', 0), at('idle but at work', 0, false), at('idle to the millisecond', 100)];
  expect(chooseIdle(seen, policy, 1_100)).toEqual(['idle', 'idle to the millisecond']);
  expect(chooseIdle(seen, policy, 999)).toEqual([]);
});

test('the longest idle go first, no more than the policy says', () => {
  const seen = [at('d', 40), at('a', 10), at('c', 30), at('b', 20)];
  expect(chooseIdle(seen, policy, 5_000)).toEqual(['a', 'b', 'c']);
});

test('for any node: only quiet ones past their time, at most so many, and nobody passed over for a younger one', () => {
  const seen = fc.array(
    fc
      .record({ usedAt: fc.nat(10_000), quiet: fc.boolean() })
      .map((r) => ({ ...r, replica: { usedAt: r.usedAt, quiet: r.quiet } })),
  );
  fc.assert(
    fc.property(
      seen,
      fc.nat(20_000),
      fc.integer({ min: 1, max: 5_000 }),
      fc.integer({ min: 1, max: 20 }),
      (all, now, afterMs, most) => {
        const chosen = chooseIdle(all, { afterMs, most }, now);
        const due = all.filter(({ quiet, usedAt }) => quiet && now - usedAt >= afterMs);
        expect(chosen.length).toBe(Math.min(most, due.length));
        for (const one of chosen) expect(one.quiet && now - one.usedAt >= afterMs).toBe(true);
        const youngest = Math.max(...chosen.map(({ usedAt }) => usedAt));
        for (const { replica } of due) if (!chosen.includes(replica)) expect(replica.usedAt).toBeGreaterThanOrEqual(youngest);
      },
    ),
  );
});
