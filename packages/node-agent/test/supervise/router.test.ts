/** The router against fake isolates: who gets a call, who waits, and what a version shift costs (nothing). */
import { Fault } from '@cim/contracts';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { CallRequest, Isolate, ReplicaId } from '../../src/sandbox/sandbox.ts';
import { createRouter, type Observation, type Route, type Router } from '../../src/supervise/router.ts';
import { type ManualClock, manualClock, settle } from './manual-clock.ts';

let clock: ManualClock;
let router: Router;
let observed: Observation[];
beforeEach(() => {
  clock = manualClock();
  observed = [];
  router = createRouter({ clock, maxQueue: 3, observe: (o) => observed.push(o) });
});

const id = (version: string, replica: number, name = 'hello'): ReplicaId => ({
  instance: 'leaf-1',
  kind: 'agent',
  name,
  version,
  replica,
});

/** A replica whose calls end when told. */
function replica(version: string, index = 0, max = 2, name?: string) {
  const calls: { request: CallRequest; done: (text?: string) => void; fail: (fault: Fault) => void }[] = [];
  const isolate = {
    call: (request: CallRequest) =>
      new Promise<string>((resolve, reject) => calls.push({ request, done: (text = '1') => resolve(text), fail: reject })),
  } as unknown as Isolate;
  return { calls, slot: router.slot(id(version, index, name), isolate, max) };
}
const route = (slots: Route['slots'], change: Partial<Route> = {}): Route => ({
  kind: 'agent',
  name: 'hello',
  capabilities: CAPS,
  timeoutMs: 30_000,
  slots,
  hopeful: true,
  ...change,
});
const CAPS = ['greet'];
const request = (capability = 'greet', budgetMs = 1000): CallRequest => ({
  callId: 'c',
  capability,
  input: '{}',
  budgetMs,
  correlationId: 'x',
});
const code = (work: Promise<unknown>) =>
  work.then(
    () => 'answered',
    (error: Fault) => error.code,
  );

test('least in flight first, in turn where equal, never above the maximum', async () => {
  const [a, b] = [replica('1.0.0', 0), replica('1.0.0', 1)];
  router.route('agent.hello', route([a.slot, b.slot]));
  for (let i = 0; i < 4; i++) void router.call(request());
  expect([a.calls.length, b.calls.length]).toEqual([2, 2]);
  void router.call(request());
  expect([a.calls.length, b.calls.length, router.stats('agent.hello').inFlight]).toEqual([2, 2, 5]);
  b.calls[0]!.done();
  await settle();
  expect([a.calls.length, b.calls.length]).toEqual([2, 3]);
});

test('says who answered, and counts', async () => {
  const a = replica('1.0.0');
  router.route('agent.hello', route([a.slot]));
  const answer = router.call(request());
  a.calls[0]!.done('{"hi":1}');
  expect(await answer).toEqual({ text: '{"hi":1}', by: id('1.0.0', 0) });
  const failing = code(router.call(request()));
  a.calls[1]!.fail(new Fault('handler-failed', 'no'));
  expect(await failing).toBe('handler-failed');
  expect(router.stats('agent.hello')).toEqual({ total: 2, failed: 1, inFlight: 0 });
  expect(observed.map(({ by, code }) => [by?.version, code])).toEqual([
    ['1.0.0', undefined],
    ['1.0.0', 'handler-failed'],
  ]);
});

describe('waiting', () => {
  test('is bounded in number and by the deadline, and shortens what is left', async () => {
    const a = replica('1.0.0', 0, 1);
    router.route('agent.hello', route([a.slot]));
    void router.call(request());
    const waiting = [300, 600, 900].map((budget) => code(router.call(request('greet', budget))));
    expect(await code(router.call(request()))).toBe('overloaded');
    await clock.advance(400);
    expect(await waiting[0]).toBe('deadline-exceeded');
    a.calls[0]!.done();
    await settle();
    expect(a.calls[1]!.request.budgetMs).toBe(200);
    a.calls[1]!.done();
    await settle();
    a.calls[2]!.done();
    expect(await Promise.all(waiting)).toEqual(['deadline-exceeded', 'answered', 'answered']);
    expect(clock.pending()).toBe(0);
  });
  test('never exceeds the workload’s own timeout', () => {
    const a = replica('1.0.0');
    router.route('agent.hello', route([a.slot], { timeoutMs: 250 }));
    void router.call(request('greet', 60_000));
    expect(a.calls[0]!.request.budgetMs).toBe(250);
  });
  test('nobody overtakes', async () => {
    const a = replica('1.0.0', 0, 1);
    router.route('agent.hello', route([a.slot]));
    for (const callId of ['1', '2', '3']) void router.call({ ...request(), callId });
    a.calls[0]!.done();
    await settle();
    void router.call({ ...request(), callId: '4' });
    a.calls[1]!.done();
    await settle();
    a.calls[2]!.done();
    await settle();
    expect(a.calls.map(({ request }) => request.callId)).toEqual(['1', '2', '3', '4']);
  });
});

test('a thousand calls through a version change: all answered, by one version and then by the other', async () => {
  router = createRouter({ clock, maxQueue: 2000 });
  const old = replica('1.0.0', 0, 8);
  const fresh = replica('2.0.0', 0, 8);
  router.route('agent.hello', route([old.slot]));
  const calls = Array.from({ length: 1000 }, (_, n) => ({ n, answer: router.call(request()) }));
  let done = 0;
  const serveAll = async (shiftAt: number) => {
    for (let step = 0; done < 1000; step++) {
      if (step === shiftAt) router.route('agent.hello', route([fresh.slot], { capabilities: [...CAPS] }));
      for (const { calls } of [old, fresh]) for (const call of calls.splice(0)) call.done(String(++done));
      await settle();
    }
  };
  await serveAll(30);
  const versions = (await Promise.all(calls.map(({ answer }) => answer))).map(({ by }) => by.version);
  expect(new Set(versions)).toEqual(new Set(['1.0.0', '2.0.0']));
  expect(versions.lastIndexOf('1.0.0')).toBeLessThan(versions.indexOf('2.0.0'));
  expect([old.slot.inFlight, fresh.slot.inFlight]).toEqual([0, 0]);
});

test('who is taken out gets nothing new, ends what it has, and says when', async () => {
  const [a, b] = [replica('1.0.0', 0), replica('1.0.0', 1)];
  router.route('agent.hello', route([a.slot, b.slot]));
  void router.call(request());
  void router.call(request());
  let idle = 0;
  a.slot.idle = () => idle++;
  router.route('agent.hello', route([b.slot]));
  void router.call(request());
  expect([a.calls.length, b.calls.length, idle]).toEqual([1, 2, 0]);
  a.calls[0]!.done();
  await settle();
  expect(idle).toBe(1);
});

describe('offers', () => {
  let told: string[][];
  beforeEach(() => {
    told = [];
    router.onOffers(() => told.push([...router.offers()]));
  });
  test('come with the first replica and go with the workload', async () => {
    router.route('agent.hello', route([]));
    expect(await code(router.call(request()))).toBe('workload-not-ready');
    const a = replica('1.0.0');
    router.route('agent.hello', route([a.slot]));
    router.route(
      'agent.other',
      route([replica('1.0.0', 0, 1, 'other').slot], { name: 'other', capabilities: ['greet', 'part'] }),
    );
    await settle();
    router.route('agent.other', undefined);
    await settle();
    router.route('agent.hello', undefined);
    await settle();
    expect(told).toEqual([['greet', 'part'], ['greet'], []]);
    expect(await code(router.call(request()))).toBe('capability-unknown');
  });
  test('outlive a short gap: who calls meanwhile waits for the restart', async () => {
    const a = replica('1.0.0');
    router.route('agent.hello', route([a.slot]));
    router.route('agent.hello', route([]));
    const answer = router.call(request());
    await clock.advance(200);
    const b = replica('1.0.0');
    router.route('agent.hello', route([b.slot]));
    b.calls[0]!.done();
    expect((await answer).by.version).toBe('1.0.0');
    await clock.advance(5000);
    expect(told).toEqual([['greet']]);
  });
  test('end with a long gap, and at once where nothing is to be hoped for', async () => {
    const a = replica('1.0.0');
    router.route('agent.hello', route([a.slot]));
    router.route('agent.hello', route([]));
    const waits = code(router.call(request('greet', 10_000)));
    await clock.advance(1000);
    expect(await waits).toBe('workload-not-ready');
    router.route('agent.hello', route([a.slot]));
    router.route('agent.hello', route([]));
    const fails = code(router.call(request()));
    router.route('agent.hello', route([], { hopeful: false }));
    expect(await fails).toBe('workload-not-ready');
    await settle();
    expect(told.at(-1)).toEqual([]);
    expect(clock.pending()).toBe(0);
  });
});

test('two workloads that offer the same take turns, and help each other out', async () => {
  const a = replica('1.0.0', 0, 1);
  const b = replica('1.0.0', 0, 1, 'other');
  router.route('agent.hello', route([a.slot]));
  router.route('agent.other', route([b.slot], { name: 'other' }));
  void router.call(request());
  void router.call(request());
  expect([a.calls.length, b.calls.length]).toEqual([1, 1]);
  b.calls[0]!.done();
  await settle();
  void router.call(request());
  expect(b.calls.length).toBe(2);
});

test('closed: new calls are told so, what waits is still served', async () => {
  const a = replica('1.0.0', 0, 1);
  router.route('agent.hello', route([a.slot]));
  void router.call(request());
  const waits = code(router.call(request()));
  router.close();
  expect(await code(router.call(request()))).toBe('workload-draining');
  a.calls[0]!.done();
  await settle();
  a.calls[1]!.done();
  expect(await waits).toBe('answered');
});

test('work on one replica counts as in flight and lets the queue go on', async () => {
  const a = replica('1.0.0', 0, 1);
  router.route('agent.hello', route([a.slot]));
  const gate = Promise.withResolvers<void>();
  const run = router.workOn('agent.hello', a.slot, () => gate.promise);
  const waits = router.call(request());
  expect([a.slot.inFlight, a.calls.length]).toEqual([1, 0]);
  gate.resolve();
  await run;
  await settle();
  a.calls[0]!.done();
  await waits;
  expect(a.slot.inFlight).toBe(0);
});

test('whatever happens, counts end at zero and every call ends once', async () => {
  const action = fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('call' as const), budget: fc.integer({ min: 1, max: 500 }) }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('finish' as const), well: fc.boolean(), n: fc.nat() }) },
    fc.record({ do: fc.constant('route' as const), n: fc.integer({ min: 0, max: 3 }), hopeful: fc.boolean() }),
    fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 400 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(action, { maxLength: 40 }), async (actions) => {
      clock = manualClock();
      router = createRouter({ clock, maxQueue: 4 });
      const replicas: ReturnType<typeof replica>[] = [];
      const ends: string[] = [];
      let calls = 0;
      for (const it of actions) {
        if (it.do === 'call') {
          calls++;
          void code(router.call(request('greet', it.budget))).then((end) => ends.push(end));
        } else if (it.do === 'finish') {
          const open = replicas.flatMap((r) => r.calls);
          const call = open[it.n % Math.max(open.length, 1)];
          if (it.well) call?.done();
          else call?.fail(new Fault('handler-failed', 'no'));
        } else if (it.do === 'route') {
          const slots = Array.from({ length: it.n }, (_, i) => {
            const made = replica('1.0.0', i);
            replicas.push(made);
            return made.slot;
          });
          router.route('agent.hello', route(slots, { hopeful: it.hopeful }));
        } else await clock.advance(it.ms);
        for (const { slot } of replicas) expect(slot.inFlight).toBeLessThanOrEqual(slot.max);
      }
      for (let round = 0; round < 4; round++) {
        for (const r of replicas) for (const call of r.calls) call.done();
        await clock.advance(1000);
      }
      expect(ends.length).toBe(calls);
      expect(router.stats('agent.hello').inFlight).toBe(0);
      for (const { slot } of replicas) expect(slot.inFlight).toBe(0);
      expect(clock.pending()).toBe(0);
    }),
    { numRuns: 40 },
  );
});
