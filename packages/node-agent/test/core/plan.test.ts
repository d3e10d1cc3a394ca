/** The planner: cases told step by step, and what must hold in any world it is let loose in. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Capacity } from '../../src/core/admit.ts';
import { defaultPlanPolicy, plan, type Seen, type Step, type Wanted } from '../../src/core/plan.ts';
import { applied, bare, elapse, scenario, type World, worldOf } from './world.ts';

const roomy: Capacity = { memoryBytes: 1e9, milliCpu: 1e6, replicas: 1000 };
const policy = defaultPlanPolicy;
const want = (edition: string, replicas = 1, key = 'agent.a'): Wanted => ({ key, state: 'running', edition, replicas });
const removed = (edition: string, key = 'agent.a'): Wanted => ({ key, state: 'removed', edition, replicas: 1 });

/** Steps as short words: `start e1#0`. */
function word(step: Step): string {
  switch (step.kind) {
    case 'fetch':
    case 'forget':
    case 'blocked':
      return `${step.kind} ${step.edition}`;
    case 'start':
      return `start ${step.edition}#${step.index}`;
    case 'shift':
      return `shift ${step.edition}x${step.replicas}`;
    case 'drain':
    case 'stop':
      return `${step.kind} ${step.id}`;
    case 'wait':
      return `wait ${step.until}`;
    case 'remove':
      return 'remove';
  }
}

const words = (wanted: readonly Wanted[], seen: readonly Seen[], now = 0, capacity = roomy): string[] =>
  plan(wanted, seen, capacity, policy, now).map(word);

describe('a version change, step by step', () => {
  test('fetch, start, shift at the first ready one, then all of them', () => {
    expect(words([want('e1', 2)], [])).toEqual(['fetch e1']);
    const here = bare('agent.a', { editions: { e1: 'here' } });
    expect(words([want('e1', 2)], [here])).toEqual(['start e1#0', 'start e1#1']);
    const one = bare('agent.a', { editions: { e1: 'here' }, replicas: ['e1#0 ready', 'e1#1 starting'] });
    expect(words([want('e1', 2)], [one])).toEqual(['shift e1x2']);
    const both = bare('agent.a', { serving: 'e1x2', editions: { e1: 'here' }, replicas: ['e1#0 ready', 'e1#1 ready'] });
    expect(words([want('e1', 2)], [both])).toEqual([]);
  });
  test('the new one comes in whole before the old one goes', () => {
    const base = { serving: 'e1x2', editions: { e1: 'here', e2: 'here' } } as const;
    const old = ['e1#0 ready', 'e1#1 ready busy'] as const;
    expect(words([want('e2', 2)], [bare('agent.a', { ...base, replicas: [...old] })])).toEqual(['start e2#0', 'start e2#1']);
    const half = bare('agent.a', { ...base, replicas: [...old, 'e2#0 ready', 'e2#1 starting'] });
    expect(words([want('e2', 2)], [half])).toEqual([]);
    const whole = bare('agent.a', { ...base, replicas: [...old, 'e2#0 ready', 'e2#1 ready'] });
    expect(words([want('e2', 2)], [whole])).toEqual(['shift e2x2', 'drain 0', 'stop 0', 'drain 1']);
  });
  test('a newer one takes the place of the one on its way in', () => {
    const seen = bare('agent.a', {
      serving: 'e1x1',
      editions: { e1: 'here', e2: 'here' },
      replicas: ['e1#0 ready', 'e2#0 starting'],
    });
    expect(words([want('e3')], [seen])).toEqual(['stop 1', 'fetch e3']);
    expect(words([want('e1')], [seen])).toEqual(['stop 1']);
    const fetching = bare('agent.a', { serving: 'e1x1', editions: { e1: 'here', e2: 'fetching' }, replicas: ['e1#0 ready'] });
    expect(words([want('e1')], [fetching])).toEqual(['forget e2']);
  });
  test('the old one is kept up while the new one cannot start', () => {
    const seen = (e1: readonly string[]) =>
      bare('agent.a', { serving: 'e1x2', editions: { e1: 'here', e2: 'here failed' }, replicas: [...e1] });
    expect(words([want('e2', 2)], [seen(['e1#0 ready', 'e1#1 ready'])])).toEqual([]);
    expect(words([want('e2', 2)], [seen(['e1#0 ready'])])).toEqual(['start e1#1']);
  });
  test('what failed before it ever served gives its room back', () => {
    const seen = bare('agent.a', {
      serving: 'e1x1',
      editions: { e1: 'here', e2: 'here failed' },
      replicas: ['e1#0 ready', 'e2#0 ready'],
    });
    expect(words([want('e2', 2)], [seen])).toEqual(['drain 1', 'stop 1']);
  });
});

test('scaling keeps the ready ones', () => {
  const seen = bare('agent.a', {
    serving: 'e1x3',
    editions: { e1: 'here' },
    replicas: ['e1#0 starting', 'e1#1 ready', 'e1#2 ready'],
  });
  expect(words([want('e1', 2)], [seen])).toEqual(['shift e1x2', 'stop 0']);
  expect(words([want('e1', 5)], [seen])).toEqual(['shift e1x5', 'start e1#3', 'start e1#4']);
  expect(words([want('e1', 0)], [seen])).toEqual(['shift e1x0', 'drain 1', 'stop 1', 'drain 2', 'stop 2', 'stop 0']);
});

test('backing off waits for its time, quarantine for nothing', () => {
  const waiting = bare('agent.a', { serving: 'e1x1', editions: { e1: 'here until 500' } });
  expect(words([want('e1')], [waiting], 100)).toEqual(['wait 500']);
  expect(words([want('e1')], [waiting], 500)).toEqual(['start e1#0']);
  const off = bare('agent.a', { serving: 'e1x2', editions: { e1: 'here quarantined' }, replicas: ['e1#1 ready'] });
  expect(words([want('e1', 2)], [off])).toEqual(['drain 0', 'stop 0']);
});

test('draining ends when idle or late', () => {
  const seen = bare('agent.a', { serving: 'e1x1', editions: { e1: 'here' }, replicas: ['e1#0 ready', 'e1#1 draining busy'] });
  expect(words([want('e1')], [seen], 10)).toEqual(['wait 1000']);
  expect(words([want('e1')], [seen], 1000)).toEqual(['stop 1']);
});

test('removed drains, stops, forgets; a key that nobody mentions is left alone', () => {
  const seen = bare('agent.a', { serving: 'e1x1', editions: { e1: 'here' }, replicas: ['e1#0 ready busy', 'e1#1 starting'] });
  expect(words([removed('e1')], [seen])).toEqual(['drain 0', 'stop 1']);
  expect(words([removed('e1')], [bare('agent.a', {})])).toEqual(['remove']);
  expect(words([removed('e1')], [])).toEqual([]);
  expect(words([], [seen])).toEqual([]);
});

describe('room', () => {
  const small: Capacity = { memoryBytes: 100, milliCpu: 1e6, replicas: 100 };
  test('who does not fit says so and blocks nobody', () => {
    const big = bare('agent.a', { editions: { e1: 'here' }, size: 90 });
    const held = bare('agent.b', { serving: 'e1x1', editions: { e1: 'here' }, replicas: ['e1#0 ready'], size: 20 });
    const fits = bare('agent.c', { editions: { e1: 'here' }, size: 80 });
    expect(
      words([want('e1', 1, 'agent.a'), want('e1', 1, 'agent.b'), want('e1', 1, 'agent.c')], [big, held, fits], 0, small),
    ).toEqual(['blocked e1', 'start e1#0']);
  });
  test('a replacement may go beyond by the surge, whole or not at all', () => {
    const seen = (size: number, replicas: number) =>
      bare('agent.a', {
        serving: `e1x${replicas}`,
        editions: { e1: 'here', e2: 'here' },
        replicas: Array.from({ length: replicas }, (_, i) => `e1#${i} ready`),
        size,
      });
    expect(words([want('e2', 1)], [seen(70, 1)], 0, small)).toEqual(['start e2#0']);
    expect(words([want('e2', 1)], [seen(80, 1)], 0, small)).toEqual(['blocked e2']);
    expect(words([want('e2', 3)], [seen(30, 3)], 0, small)).toEqual(['blocked e2']);
  });
});

// What follows lets the planner run a world of its own (world.ts) that fails in every way the supervisor reports.

test('deterministic, whatever the order of its inputs', () => {
  fc.assert(
    fc.property(scenario, fc.integer(), ({ wanted, seen, capacity, now }, seed) => {
      const shuffled = <T>(list: readonly T[]) =>
        list
          .map((value, i) => ({ value, rank: ((i + 1) * 2654435761 + seed) % 1009 }))
          .sort((a, b) => a.rank - b.rank)
          .map((x) => x.value);
      const turned = shuffled(seen).map((s) => ({ ...s, editions: shuffled(s.editions), replicas: shuffled(s.replicas) }));
      expect(plan(shuffled(wanted), turned, capacity, policy, now)).toEqual(plan(wanted, seen, capacity, policy, now));
    }),
    { numRuns: 300 },
  );
});

test('idempotent: after its steps there is nothing more to do than to wait', () => {
  fc.assert(
    fc.property(scenario, ({ wanted, seen, capacity, now }) => {
      const world = worldOf(seen, now);
      applied(world, plan(wanted, world.seen, capacity, policy, now));
      const again = plan(wanted, world.seen, capacity, policy, now);
      expect(
        again.filter(({ kind }) => kind !== 'wait' && kind !== 'blocked' && kind !== 'remove' && kind !== 'forget'),
      ).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

const ready = (seen: Seen | undefined, edition: string) =>
  seen?.replicas.filter((r) => r.edition === edition && r.phase === 'ready').length ?? 0;

test('no step takes a ready replica from the serving version before the next is whole', () => {
  fc.assert(
    fc.property(scenario, ({ wanted, seen, capacity, now }) => {
      const world = worldOf(seen, now);
      const before = new Map(seen.map((s) => [s.key, s]));
      applied(world, plan(wanted, seen, capacity, policy, now));
      for (const w of wanted) {
        const was = before.get(w.key);
        if (w.state === 'removed' || !was?.serving || was.serving.edition === w.edition) continue;
        const old = was.serving.edition;
        const hold = was.editions.find((e) => e.edition === old)?.hold;
        if (hold?.kind === 'given-up' && hold.verdict === 'quarantined') continue;
        const kept = Math.min(ready(was, old), was.serving.replicas);
        const whole = ready(was, w.edition) >= w.replicas;
        if (!whole && kept > 0)
          expect(
            ready(
              world.seen.find((s) => s.key === w.key),
              old,
            ),
          ).toBe(kept);
      }
    }),
    { numRuns: 500 },
  );
});

test('never starts beyond the capacity, or beyond the surge while replacing', () => {
  fc.assert(
    fc.property(scenario, ({ wanted, seen, capacity, now }) => {
      const world = worldOf(seen, now);
      const steps = plan(wanted, seen, capacity, policy, now);
      applied(world, steps);
      const living = world.seen.flatMap((s) => s.replicas);
      const used = living.reduce((sum, r) => sum + r.demand.memoryBytes, 0);
      const started = steps.filter((s) => s.kind === 'start');
      if (started.length === 0) return;
      expect(used).toBeLessThanOrEqual(capacity.memoryBytes * (1 + policy.surge));
      expect(living.length).toBeLessThanOrEqual(capacity.replicas * (1 + policy.surge));
      const replacing = started.some(
        ({ key }) => new Set(world.seen.find((s) => s.key === key)!.replicas.map((r) => r.edition)).size > 1,
      );
      if (!replacing) expect(used).toBeLessThanOrEqual(capacity.memoryBytes);
      expect(living.filter((r) => r.phase === 'starting').length).toBeLessThanOrEqual(
        Math.max(policy.maxStarting, seen.flatMap((s) => s.replicas).filter((r) => r.phase === 'starting').length),
      );
    }),
    { numRuns: 500 },
  );
});

test('converges from any state, and then rests', () => {
  fc.assert(
    fc.property(scenario, ({ wanted, seen }) => {
      const world: World = worldOf(
        seen.map((s) => ({ ...s, editions: s.editions.map((e) => ({ ...e, hold: { kind: 'free' } as const })) })),
        0,
      );
      for (let pass = 0; pass < 60; pass++) {
        applied(world, plan(wanted, world.seen, roomy, policy, world.now));
        elapse(world, 600);
      }
      expect(plan(wanted, world.seen, roomy, policy, world.now)).toEqual([]);
      for (const w of wanted) {
        const at = world.seen.find((s) => s.key === w.key);
        if (w.state === 'removed') expect(at).toBeUndefined();
        else {
          expect(at?.serving).toEqual({ edition: w.edition, replicas: w.replicas });
          expect(at?.replicas.map((r) => `${r.edition} ${r.phase}`)).toEqual(Array(w.replicas).fill(`${w.edition} ready`));
        }
      }
    }),
    { numRuns: 150 },
  );
});

test('one that fails for ever takes nothing from the others', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), (bad, good) => {
      const names = (prefix: string, n: number) => Array.from({ length: n }, (_, i) => `agent.${prefix}${i}`);
      const failing = new Set(names('a', bad));
      const wanted = [...failing, ...names('z', good)].map((key) => want('e1', 1, key));
      const world = worldOf([], 0);
      for (let pass = 0; pass < 40; pass++) {
        applied(world, plan(wanted, world.seen, roomy, policy, world.now));
        elapse(world, 100, (key) => failing.has(key));
      }
      for (const w of wanted)
        expect(
          ready(
            world.seen.find((s) => s.key === w.key),
            'e1',
          ),
        ).toBe(failing.has(w.key) ? 0 : 1);
    }),
    { numRuns: 20 },
  );
});
