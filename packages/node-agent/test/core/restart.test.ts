/** The restart policy as a table of histories, and what must hold for any of them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Decision,
  decideRefetch,
  decideRestart,
  type Ending,
  emptyHistory,
  defaultRestartPolicy as policy,
} from '../../src/core/restart.ts';

const ending = (kind: Ending['kind'], ranMs = 0, incident?: string): Ending => ({
  kind,
  code: kind === 'out-of-memory' ? 'out-of-memory' : 'cell-died',
  detail: 'said so',
  ranMs,
  ...(incident === undefined ? {} : { incident }),
});

/** Plays endings given as [time, ending]; the last decision. */
function play(endings: readonly (readonly [number, Ending])[], random = 0.5): Decision {
  let history = emptyHistory;
  let decision: Decision | undefined;
  for (const [at, e] of endings) {
    decision = decideRestart(policy, history, e, at, random);
    history = decision.history;
  }
  return decision!;
}

test('restarts with growing delays and gives up past the intensity', () => {
  const at = (n: number) => Array.from({ length: n }, (_, i) => [i * 1000, ending('cell-died')] as const);
  const delays = [1, 2, 3, 4, 5].map((n) => {
    const decision = play(at(n), 0);
    return decision.kind === 'restart' ? decision.afterMs : undefined;
  });
  expect(delays).toEqual([50, 100, 200, 400, 800]);
  expect(play(at(6))).toMatchObject({
    kind: 'give-up',
    verdict: 'failed',
    reason: expect.stringContaining('ended 6 times within 60 s'),
  });
});

test('endings that lie further apart than the period never add up', () => {
  const rare = Array.from({ length: 50 }, (_, i) => [i * 60_001, ending('cell-died')] as const);
  expect(play(rare, 0)).toMatchObject({ kind: 'restart', afterMs: 50 });
});

test('stable running wipes the restarts off', () => {
  const endings = [0, 1, 2, 3, 4].map((at) => [at, ending('cell-died')] as const);
  expect(play([...endings, [5, ending('cell-died', policy.stableMs)]], 0)).toMatchObject({ kind: 'restart', afterMs: 50 });
});

test.each(['out-of-memory', 'out-of-time'] as const)('three times %s is quarantine, stable in between or not', (kind) => {
  const strikes = [0, 120_000, 240_000].map((at) => [at, ending(kind, 110_000)] as const);
  expect(play(strikes.slice(0, 2)).kind).toBe('restart');
  expect(play(strikes)).toMatchObject({ kind: 'give-up', verdict: 'quarantined' });
});

test('strikes are forgotten after their period', () => {
  const strikes = [0, policy.strikePeriodMs, 2 * policy.strikePeriodMs, 3 * policy.strikePeriodMs];
  expect(play(strikes.map((at) => [at, ending('out-of-memory', 60_000)] as const)).kind).toBe('restart');
});

test('a cell that takes ten replicas with it is one ending', () => {
  const together = Array.from({ length: 10 }, () => [0, ending('cell-died', 0, 'cell 4711')] as const);
  expect(play(together, 0)).toMatchObject({ kind: 'restart', afterMs: 50 });
});

test('never more than the intensity within any period, whatever ends when', () => {
  const steps = fc.array(
    fc.record({
      after: fc.integer({ min: 0, max: 90_000 }),
      kind: fc.constantFrom<Ending['kind']>('cell-died', 'faulted', 'not-started', 'unhealthy', 'out-of-memory', 'out-of-time'),
      random: fc.double({ min: 0, max: 0.999, noNaN: true }),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (all) => {
      let history = emptyHistory;
      let now = 0;
      const restarts: number[] = [];
      for (const { after, kind, random } of all) {
        now += after;
        const decision = decideRestart(policy, history, ending(kind), now, random);
        history = decision.history;
        if (decision.kind === 'give-up') return;
        expect(decision.afterMs).toBeGreaterThan(0);
        expect(decision.afterMs).toBeLessThanOrEqual(policy.backoff.cap);
        restarts.push(now);
        expect(restarts.filter((at) => now - at < policy.periodMs).length).toBeLessThanOrEqual(policy.intensity);
        expect(history.restarts.length).toBeLessThanOrEqual(policy.intensity);
      }
    }),
  );
});

test('a bundle is asked for again for as long as trying can help', () => {
  expect(decideRefetch(policy, 0, 'hub-unreachable', 0)).toEqual({ kind: 'restart', afterMs: 50 });
  expect(decideRefetch(policy, 1000, 'storage-full', 0.5)).toEqual({ kind: 'restart', afterMs: 22_500 });
  expect(decideRefetch(policy, 3, 'not-found', 0).kind).toBe('restart');
  for (const code of ['signature-invalid', 'signer-unknown', 'bundle-malformed'] as const)
    expect(decideRefetch(policy, 0, code, 0)).toEqual({ kind: 'give-up' });
});
