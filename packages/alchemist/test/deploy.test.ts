/** From a wish to a document, from a node's word to a step: the pure parts, and the wait over a node that is told by hand. */
import { type Clock, type Desired, Fault, type NodeStatus, type WorkloadStatus } from '@cim/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Sight, waitConverged } from '../src/deploy/converge.ts';
import { nextDocument, removalOf, sameWish, type Wish } from '../src/deploy/document.ts';
import { missingCapabilities } from '../src/deploy/offer.ts';
import { type Expectation, read, type StepKind } from '../src/deploy/progress.ts';

const digest = (n: number) => `sha256:${`${n}`.repeat(64)}` as Desired['bundle']['digest'];
const envelope = { payloadType: 'x', payload: 'e30=', signatures: [{ keyid: `A${'A'.repeat(55)}`, sig: 'AAAA' }] };
const target = (n = 1) => ({
  instance: 'cim-a',
  kind: 'agent' as const,
  name: 'hello',
  bundle: { version: `1.0.${n}`, digest: digest(n), size: 10, envelope } as Desired['bundle'],
});
const author = { issuedBy: 'me', now: 0 };

describe('the next document', () => {
  it('begins at generation 1 with the defaults', () => {
    expect(nextDocument(undefined, target(), {}, author)).toMatchObject({
      generation: 1,
      state: 'running',
      replicas: 1,
      isolation: 'shared',
      rollback: false,
      issuedAt: '1970-01-01T00:00:00.000Z',
    });
  });

  it('keeps what is deployed where the wish is silent, forgets it after a removal or with reset', () => {
    const first = nextDocument(undefined, target(), { replicas: 3, config: { a: 1 }, rollback: true, reason: 'why' }, author);
    const second = nextDocument(first, target(2), { isolation: 'dedicated' }, author);
    expect(second).toMatchObject({ generation: 2, replicas: 3, config: { a: 1 }, isolation: 'dedicated', rollback: false });
    expect(second.reason).toBeUndefined();
    expect(nextDocument(second, target(2), { reset: true }, author)).toMatchObject({ generation: 3, replicas: 1, config: {} });
    const removed = removalOf(second, author, 'enough');
    expect(removed).toMatchObject({ state: 'removed', generation: 3, reason: 'enough' });
    expect(nextDocument(removed, target(), {}, author)).toMatchObject({ state: 'running', generation: 4, replicas: 1 });
  });

  it('raises the generation with every change, and same wishes are the same whatever else differs', () => {
    const wish: fc.Arbitrary<Wish> = fc.record(
      {
        replicas: fc.integer({ min: 0, max: 64 }),
        isolation: fc.constantFrom('shared' as const, 'dedicated' as const),
        config: fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.integer()),
        configuration: fc.record({ maxConcurrent: fc.integer({ min: 1, max: 9 }) }, { requiredKeys: [] }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(wish, { minLength: 1, maxLength: 8 }), (wishes) => {
        let before: Desired | undefined;
        wishes.forEach((one, index) => {
          const next = nextDocument(before, target(), one, { issuedBy: `${index}`, now: index });
          expect(next.generation).toBe(index + 1);
          expect(sameWish(next, nextDocument(next, target(), {}, author))).toBe(true);
          expect(sameWish(next, nextDocument(next, target(2), {}, author))).toBe(false);
          before = next;
        });
      }),
    );
  });

  it('refuses a wish that is not well formed, naming the fields', () => {
    let fault: Fault | undefined;
    try {
      nextDocument(undefined, target(), { replicas: 65, resources: { memory: 'much', disk: 1 } }, author);
    } catch (error) {
      fault = error as Fault;
    }
    expect(fault?.issues.map(({ path }) => path).sort()).toEqual(['replicas', 'resources.disk', 'resources.memory']);
  });
});

const expected: Expectation = {
  instance: 'cim-a',
  kind: 'agent',
  name: 'hello',
  version: '1.0.2',
  digest: digest(2),
  generation: 2,
  removal: false,
};
const status = (over: Partial<WorkloadStatus>): WorkloadStatus =>
  ({
    kind: 'agent',
    name: 'hello',
    state: 'ready',
    version: '1.0.1',
    digest: digest(1),
    generation: 2,
    converged: false,
    replicas: { desired: 1, ready: 1 },
    restarts: 0,
    ...over,
  }) as WorkloadStatus;
const bad = { code: 'start-failed' as const, detail: 'threw: no' };

describe('what a status says', () => {
  it.each<[string, WorkloadStatus | undefined, string]>([
    ['nothing yet', undefined, 'waiting:'],
    ['an older generation', status({ generation: 1, converged: true, digest: digest(2) }), 'waiting:'],
    [
      'fetching',
      status({ next: { version: '1.0.2', digest: digest(2), state: 'fetching' } as never }),
      'waiting:seen,fetching',
    ],
    ['starting', status({ state: 'starting', version: undefined, digest: undefined }), 'waiting:seen,starting'],
    [
      'trying again',
      status({ next: { version: '1.0.2', digest: digest(2), state: 'backing-off', reason: bad } as never }),
      'waiting:seen,backing-off',
    ],
    ['old draining', status({ digest: digest(2), state: 'draining' }), 'waiting:seen,ready,draining'],
    ['there', status({ digest: digest(2), version: '1.0.2' as never, converged: true }), 'done:seen,ready,done'],
    [
      'failed while the old one serves',
      status({ next: { version: '1.0.2', digest: digest(2), state: 'failed', reason: bad } as never }),
      'failed:start-failed: hello@1.0.2 on cim-a: threw: no; 1.0.1 keeps serving',
    ],
    [
      'failed with nothing else',
      status({ state: 'quarantined', reason: { code: 'quarantined', detail: 'three strikes' }, digest: digest(2) }),
      'failed:quarantined: hello@1.0.2 on cim-a: three strikes',
    ],
    [
      'refused for good',
      status({ reason: { code: 'policy-refused', detail: 'too much' } }),
      'failed:policy-refused: hello@1.0.2 on cim-a: too much; 1.0.1 keeps serving',
    ],
  ])('%s', (_, given, wanted) => {
    const reading = read(given, expected);
    const said = reading.kind === 'failed' ? reading.fault.message : reading.steps.join(',');
    expect(`${reading.kind}:${said}`).toBe(wanted);
  });

  it('and of a removal', () => {
    const removal = { ...expected, removal: true };
    expect(read(undefined, removal).kind).toBe('done');
    expect(read(status({ state: 'draining' }), removal)).toMatchObject({ kind: 'waiting', steps: ['seen', 'draining'] });
    expect(read(status({ state: 'stopped' }), removal).kind).toBe('done');
    expect(read(status({ generation: 1, state: 'stopped' }), removal).kind).toBe('waiting');
  });
});

/** A clock that jumps to where a sleeper wants to be. */
function jumpingClock(): Clock {
  let now = 0;
  return {
    now: () => now,
    monotonic: () => now,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      now += ms;
    },
    after: () => ({ cancel() {} }),
    every: () => ({ cancel() {} }),
  };
}

const sight = (
  workload: WorkloadStatus | undefined,
  over: Partial<Sight> = {},
  conditions: NodeStatus['conditions'] = [],
): Sight => ({
  node: { workloads: workload ? [workload] : [], conditions } as unknown as NodeStatus,
  presence: 'online',
  ageMs: 0,
  ...over,
});

async function wait(looks: (() => Sight)[], over: Partial<Expectation> = {}, timeoutMs = 10_000) {
  const steps: StepKind[] = [];
  const queue = [...looks];
  const clock = jumpingClock();
  const ended = await waitConverged(
    async () => (queue.length > 1 ? queue.shift()! : queue[0]!)(),
    { ...expected, ...over },
    { clock, random: () => 0.5, timeoutMs, onStep: (kind) => steps.push(kind) },
  ).then(
    () => 'done',
    (fault: Fault) => fault.message,
  );
  return { ended, steps, took: clock.monotonic() };
}

describe('the wait', () => {
  const there = status({ digest: digest(2), converged: true });

  it('tells each step once and ends when it is so', async () => {
    const starting = sight(status({ state: 'starting', version: undefined, digest: undefined } as never));
    const { ended, steps } = await wait([() => sight(undefined), () => starting, () => starting, () => sight(there)]);
    expect(ended).toBe('done');
    expect(steps).toEqual(['seen', 'starting', 'ready', 'done']);
  });

  it('outlives a look that fails, and ends with what it knew at the deadline', async () => {
    const away = () => {
      throw new Fault('hub-unreachable', 'gone for a moment');
    };
    expect((await wait([away, away, () => sight(there)])).ended).toBe('done');
    const late = await wait([away]);
    expect(late.ended).toContain(
      'not-confirmed: hello@1.0.2 on cim-a is not confirmed after 10000 ms: cannot see the node: gone',
    );
    expect(late.took).toBe(10_000);
    const silent = await wait([() => sight(undefined, { presence: 'unknown', node: null })]);
    expect(silent.ended).toContain('cim-a is not heard of (no heartbeat)');
  });

  it('ends at once with what nobody can mend by waiting', async () => {
    const { ended, took } = await wait([
      () => {
        throw new Fault('forbidden', 'no viewer role');
      },
    ]);
    expect([ended, took]).toEqual(['forbidden: no viewer role', 0]);
  });

  it('takes a refusal of the document for a verdict once it stays, and not while it may be about the one before', async () => {
    const refused = [
      {
        code: 'desired-refused',
        severity: 'warning' as const,
        title: 'refused',
        detail: 'cim-a.agent.hello: signer-unknown: signed by nobody',
        since: '2030-01-01T00:00:00Z',
      },
    ];
    const passing = await wait([() => sight(undefined, {}, refused), () => sight(undefined, {}, refused), () => sight(there)]);
    expect(passing.ended).toBe('done');
    const staying = await wait([() => sight(undefined, {}, refused)]);
    expect(staying.ended).toContain('signer-unknown: cim-a refuses the document: signer-unknown: signed by nobody');
    expect(staying.took).toBeLessThan(3_000);
    const another = await wait([() => sight(undefined, {}, refused)], { name: 'hell' });
    expect(another.ended).toContain('not-confirmed');
  });

  it('believes that a workload is gone only from a word of after the change', async () => {
    const old = () => sight(undefined, { ageMs: 60_000 });
    expect((await wait([old], { removal: true })).ended).toContain('not-confirmed: the removal of hello on cim-a');
    expect((await wait([old, () => sight(undefined, { ageMs: 1 })], { removal: true })).ended).toBe('done');
    const silent = () => sight(undefined, { presence: 'unknown', node: null, ageMs: Number.POSITIVE_INFINITY });
    expect((await wait([silent], { removal: true })).ended).toContain('not heard of');
  });
});

it('names the capabilities a bundle does not offer', () => {
  const manifest = { capabilities: { 'document.process': {} } } as never;
  expect(missingCapabilities(manifest, ['document.process', 'workflow.execute', 'toString'])).toEqual([
    'workflow.execute',
    'toString',
  ]);
});
