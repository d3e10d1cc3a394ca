/** A world the planner can act on: steps change it at once, time lets what was begun come about. Pure data, no supervisor. */
import fc from 'fast-check';
import type { Capacity } from '../../src/core/admit.ts';
import type { Hold, Seen, SeenEdition, SeenReplica, Step, Wanted } from '../../src/core/plan.ts';

export interface World {
  now: number;
  seen: Seen[];
  nextId: number;
}

/** How long a drain may take in here. */
const DRAIN_MS = 1000;
const demand = (size: number) => ({ memoryBytes: size, milliCpu: 0 });

/** A workload in a few words: `editions: { e1: 'here until 500' }, replicas: ['e1#0 ready busy']`. */
export function bare(
  key: string,
  words: { serving?: string; editions?: Record<string, string>; replicas?: readonly string[]; size?: number },
): Seen {
  const size = words.size ?? 1;
  const serving = words.serving === undefined ? undefined : /^(\w+?)x(\d+)$/.exec(words.serving)!;
  return {
    key,
    serving: serving && { edition: serving[1]!, replicas: Number(serving[2]) },
    editions: Object.entries(words.editions ?? {}).map(([edition, text]): SeenEdition => {
      const [bundle, verdict, at] = text.split(' ');
      const hold: Hold =
        verdict === undefined
          ? { kind: 'free' }
          : verdict === 'until'
            ? { kind: 'until', at: Number(at) }
            : { kind: 'given-up', verdict: verdict as 'failed' };
      return { edition, bundle: bundle as 'here', demand: demand(size), hold, failures: 0 };
    }),
    replicas: (words.replicas ?? []).map((text, id): SeenReplica => {
      const [, edition, index, phase, busy] = /^(\w+)#(\d+) (\w+)( busy)?$/.exec(text)!;
      return {
        id,
        edition: edition!,
        index: Number(index),
        phase: phase as 'ready',
        inFlight: busy ? 1 : 0,
        drainUntil: phase === 'draining' ? DRAIN_MS : 0,
        demand: demand(size),
      };
    }),
  };
}

export function worldOf(seen: readonly Seen[], now: number): World {
  return { now, seen: structuredClone(seen) as Seen[], nextId: 1000 };
}

/** What the steps change at once. A step about what is not there is a planner's mistake and throws. */
export function applied(world: World, steps: readonly Step[]): void {
  for (const step of steps) {
    if (step.kind === 'wait' || step.kind === 'blocked') continue;
    let at = world.seen.find(({ key }) => key === step.key);
    if (!at) {
      if (step.kind !== 'fetch' && step.kind !== 'shift') throw new Error(`${step.kind} of an unknown workload ${step.key}`);
      at = { key: step.key, serving: undefined, editions: [], replicas: [] };
      world.seen.push(at);
    }
    const put = (next: Partial<Seen>) => {
      world.seen = world.seen.map((s) => (s.key === step.key ? { ...s, ...next } : s));
    };
    const replica = (id: number, change: Partial<SeenReplica>) => {
      if (!at.replicas.some((r) => r.id === id)) throw new Error(`${step.kind} of an unknown replica`);
      put({ replicas: at.replicas.map((r) => (r.id === id ? { ...r, ...change } : r)) });
    };
    switch (step.kind) {
      case 'fetch': {
        const fetching = {
          edition: step.edition,
          bundle: 'fetching',
          demand: demand(1),
          hold: { kind: 'free' },
          failures: 0,
        } as const;
        put({ editions: [...at.editions.filter((e) => e.edition !== step.edition), fetching] });
        break;
      }
      case 'start': {
        const edition = at.editions.find((e) => e.edition === step.edition);
        if (edition?.bundle !== 'here') throw new Error('started what is not here');
        if (at.replicas.some((r) => r.edition === step.edition && r.index === step.index)) throw new Error('an index twice');
        const { edition: e, index } = step;
        const started = {
          id: world.nextId++,
          edition: e,
          index,
          phase: 'starting',
          inFlight: 0,
          drainUntil: 0,
          demand: edition.demand,
        } as const;
        put({ replicas: [...at.replicas, started] });
        break;
      }
      case 'shift':
        put({ serving: { edition: step.edition, replicas: step.replicas } });
        break;
      case 'drain':
        if (at.replicas.find((r) => r.id === step.id)?.phase !== 'ready') throw new Error('drained what is not ready');
        replica(step.id, { phase: 'draining', drainUntil: world.now + DRAIN_MS });
        break;
      case 'stop':
        if (at.replicas.find((r) => r.id === step.id)?.phase === 'stopping') throw new Error('stopped twice');
        replica(step.id, { phase: 'stopping' });
        break;
      case 'forget':
        if (at.replicas.some((r) => r.edition === step.edition)) throw new Error('forgot what lives');
        put({ editions: at.editions.filter((e) => e.edition !== step.edition) });
        break;
      case 'remove':
        if (at.replicas.length > 0) throw new Error('removed what lives');
        world.seen = world.seen.filter((s) => s.key !== step.key);
        break;
    }
  }
}

/** Lets `ms` pass: bundles arrive, replicas get ready or (where `fails`) do not, calls end, what stops is gone. */
export function elapse(world: World, ms: number, fails: (key: string) => boolean = () => false): void {
  world.now += ms;
  world.seen = world.seen.map((at) => {
    const bad = fails(at.key) && at.replicas.some((r) => r.phase === 'starting');
    return {
      ...at,
      editions: at.editions.map((e) => ({
        ...e,
        bundle: e.bundle === 'fetching' ? 'here' : e.bundle,
        ...(bad ? { hold: { kind: 'until', at: world.now + 50 * 2 ** e.failures } as const, failures: e.failures + 1 } : {}),
      })),
      replicas: at.replicas
        .filter((r) => r.phase !== 'stopping' && !(bad && r.phase === 'starting'))
        .map((r) => ({ ...r, phase: r.phase === 'starting' ? ('ready' as const) : r.phase, inFlight: 0 })),
    };
  });
}

const editionName = fc.constantFrom('e1', 'e2', 'e3');
const hold: fc.Arbitrary<Hold> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Hold>({ kind: 'free' }) },
  fc.record({ kind: fc.constant('until' as const), at: fc.integer({ min: 0, max: 2000 }) }),
  fc.record({ kind: fc.constant('given-up' as const), verdict: fc.constantFrom('failed' as const, 'quarantined' as const) }),
);

const seenOf = (key: string): fc.Arbitrary<Seen> =>
  fc
    .record({
      size: fc.integer({ min: 1, max: 40 }),
      serving: fc.option(fc.record({ edition: editionName, replicas: fc.integer({ min: 0, max: 4 }) }), { nil: undefined }),
      editions: fc.uniqueArray(
        fc.record({
          edition: editionName,
          bundle: fc.constantFrom('absent' as const, 'fetching' as const, 'here' as const),
          hold,
          failures: fc.integer({ min: 0, max: 3 }),
        }),
        { selector: (e) => e.edition, maxLength: 3 },
      ),
      replicas: fc.uniqueArray(
        fc.record({
          edition: editionName,
          index: fc.integer({ min: 0, max: 5 }),
          phase: fc.constantFrom('starting' as const, 'ready' as const, 'draining' as const, 'stopping' as const),
          inFlight: fc.integer({ min: 0, max: 2 }),
          drainUntil: fc.integer({ min: 0, max: 2000 }),
        }),
        { selector: (r) => `${r.edition}#${r.index}`, maxLength: 8 },
      ),
    })
    .map(({ size, serving, editions, replicas }): Seen => {
      // A living replica has a bundle that is here, and what serves is listed.
      const names = new Set([...replicas.map((r) => r.edition), ...(serving ? [serving.edition] : [])]);
      const listed: SeenEdition[] = editions.map((e) => ({ ...e, demand: demand(size) }));
      for (const edition of names) {
        if (!listed.some((e) => e.edition === edition))
          listed.push({ edition, bundle: 'here', demand: demand(size), hold: { kind: 'free' }, failures: 0 });
      }
      return {
        key,
        serving,
        editions: listed.map((e) => (replicas.some((r) => r.edition === e.edition) ? { ...e, bundle: 'here' as const } : e)),
        replicas: replicas.map((r, id) => ({ ...r, id, demand: demand(size) })),
      };
    });

/** Anything the planner may ever be asked. */
export const scenario: fc.Arbitrary<{ wanted: Wanted[]; seen: Seen[]; capacity: Capacity; now: number }> = fc
  .subarray(['agent.a', 'agent.b', 'service.c'], { minLength: 1 })
  .chain((keys) =>
    fc.record({
      wanted: fc.tuple(
        ...keys.map((key) =>
          fc.record({
            key: fc.constant(key),
            state: fc.constantFrom('running' as const, 'running' as const, 'running' as const, 'removed' as const),
            edition: editionName,
            replicas: fc.integer({ min: 0, max: 4 }),
          }),
        ),
      ),
      seen: fc
        .tuple(...keys.map((key) => fc.option(seenOf(key), { nil: undefined, freq: 5 })))
        .map((all) => all.filter((s) => s !== undefined)),
      capacity: fc.record({
        memoryBytes: fc.integer({ min: 50, max: 400 }),
        milliCpu: fc.constant(1000),
        replicas: fc.integer({ min: 4, max: 30 }),
      }),
      now: fc.integer({ min: 0, max: 2000 }),
    }),
  );
