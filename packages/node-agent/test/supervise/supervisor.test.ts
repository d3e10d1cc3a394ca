/** The loop and its hands over a fake sandbox: what an operator and a caller see of deploys, crashes, drains and boots. */
import { Fault } from '@cim/contracts';
import { beforeEach, describe, expect, test } from 'vitest';
import { type House, house } from './house.ts';
import { settle } from './manual-clock.ts';

let h: House;
beforeEach(() => {
  h = house();
  h.publish('hello', '1.0.0');
  h.publish('hello', '2.0.0', {}, 2);
  h.publish('hello', '3.0.0', {}, 3);
});

const oom = { kind: 'out-of-memory', detail: 'over 64Mi' } as const;
const died = { kind: 'cell-died', detail: 'signal 9' } as const;

describe('deploying', () => {
  test('a first version: fetched, started, called, told', async () => {
    await h.deploy('hello', '1.0.0', { replicas: 2 });
    expect(await h.call('hello.greet')).toMatch(/^hello@1\.0\.0#[01]$/);
    expect(h.status('hello')).toMatchObject({
      state: 'ready',
      version: '1.0.0',
      generation: 1,
      converged: true,
      replicas: { desired: 2, ready: 2 },
      restarts: 0,
      capabilities: ['hello.greet'],
      calls: { total: 1, failed: 0, inFlight: 0 },
    });
    expect(h.said()).toEqual(['bundle.fetched', 'agent.starting', 'agent.deployed']);
    expect(h.events.at(-1)).toMatchObject({ subject: 'hello', data: { version: '1.0.0', generation: 1, replicas: 2 } });
    expect(h.router.offers()).toEqual(['hello.greet']);
  });
  test('nothing restarts when nothing changed, nor when only the number did', async () => {
    await h.deploy('hello', '1.0.0', { replicas: 2 });
    h.reconciler.wake('timer');
    await h.deploy('hello', '1.0.0', { replicas: 2 });
    await h.deploy('hello', '1.0.0', { replicas: 3 });
    expect(h.sandbox.opened.length).toBe(3);
    await h.deploy('hello', '1.0.0', { replicas: 1 });
    expect(h.living()).toEqual(['hello@1.0.0#0']);
    await h.deploy('hello', '1.0.0', { replicas: 0 });
    expect([h.living(), h.status('hello')?.state, h.status('hello')?.converged]).toEqual([[], 'stopped', true]);
    expect(h.router.offers()).toEqual([]);
    await h.deploy('hello', '1.0.0', { replicas: 1 });
    expect(await h.call('hello.greet')).toBe('hello@1.0.0#0');
  });
  test('a new version gets all calls at once, the old one ends what it has', async () => {
    await h.deploy('hello', '1.0.0');
    h.sandbox.hold = true;
    const last = h.call('hello.greet');
    await h.deploy('hello', '2.0.0');
    const [old, fresh] = h.sandbox.opened;
    expect(h.living()).toEqual(['hello@1.0.0#0', 'hello@2.0.0#0']);
    const next = h.call('hello.greet');
    expect([old!.calls.length, fresh!.calls.length]).toEqual([1, 1]);
    old!.release();
    fresh!.release();
    expect([await last, await next]).toEqual(['hello@1.0.0#0', 'hello@2.0.0#0']);
    await h.clock.advance(0);
    expect(h.living()).toEqual(['hello@2.0.0#0']);
    expect(h.said('agent.deployed', 'agent.draining')).toEqual(['agent.deployed', 'agent.draining', 'agent.deployed']);
  });
  test('a thousand calls through a change of version: none fails', async () => {
    await h.deploy('hello', '1.0.0', { replicas: 2 });
    h.sandbox.answer = async ({ options: { id } }) => {
      await settle();
      return JSON.stringify(id.version);
    };
    const calls: Promise<string>[] = [];
    for (let n = 0; n < 1000; n++) {
      calls.push(h.call('hello.greet', 20_000));
      if (n === 400) void h.deploy('hello', '2.0.0', { replicas: 2 });
      if (n % 20 === 0) await settle();
    }
    const versions = await Promise.all(calls);
    expect(new Set(versions)).toEqual(new Set(['1.0.0', '2.0.0']));
    expect(h.status('hello')?.calls).toMatchObject({ total: 1000, failed: 0 });
  });
  test('what drains too long is closed when its time is up', async () => {
    await h.deploy('hello', '1.0.0');
    h.sandbox.hold = true;
    const cut = expect(h.call('hello.greet')).rejects.toThrow('cell-died');
    await h.deploy('hello', '2.0.0');
    let closedWith: number | undefined;
    const old = h.sandbox.opened[0]!;
    old.close = async (deadline) => {
      closedWith = deadline;
      old.end({ kind: 'closed' });
    };
    await h.clock.advance(19_000);
    expect(closedWith).toBeUndefined();
    await h.clock.advance(1000);
    expect(closedWith).toBe(0);
    await cut;
  });
  test('changed config or limits are a new edition of the same version', async () => {
    await h.deploy('hello', '1.0.0', { config: { tone: 'warm' } });
    await h.deploy('hello', '1.0.0', { config: { tone: 'cold' }, resources: { memory: '32Mi' } });
    expect(h.sandbox.opened.map(({ options }) => options.config)).toEqual([{ tone: 'warm' }, { tone: 'cold' }]);
    expect(h.sandbox.opened[1]!.options.limits.memoryBytes).toBe(32 * 2 ** 20);
    expect(h.living()).toEqual(['hello@1.0.0#0']);
  });
  test('removed: drained, gone, shown as stopped for a while, and may come back', async () => {
    await h.deploy('hello', '1.0.0');
    await h.deploy('hello', '1.0.0', { state: 'removed' });
    expect([h.living(), h.router.offers()]).toEqual([[], []]);
    expect(h.status('hello')).toMatchObject({ state: 'stopped', converged: true, generation: 2 });
    expect(h.said('agent.removed')).toEqual(['agent.removed']);
    await h.clock.advance(600_001);
    expect(h.status('hello')).toBeUndefined();
    await h.deploy('hello', '1.0.0');
    expect(await h.call('hello.greet')).toBe('hello@1.0.0#0');
  });
});

describe('a version that cannot come in', () => {
  test('fails to start: the old one serves, `next` says why, a newer one replaces it', async () => {
    await h.deploy('hello', '1.0.0');
    h.sandbox.opening = ({ id }) => {
      if (id.version === '2.0.0') throw new Fault('start-failed', 'Error: no database');
    };
    await h.deploy('hello', '2.0.0');
    expect(h.status('hello')).toMatchObject({
      state: 'ready',
      version: '1.0.0',
      converged: false,
      next: { version: '2.0.0', state: 'backing-off', reason: { code: 'start-failed', detail: 'Error: no database' } },
    });
    await h.clock.advance(60_000);
    expect(h.status('hello')?.next).toMatchObject({ state: 'failed', reason: { code: 'start-failed' } });
    expect(h.sandbox.opened.length).toBe(1);
    expect(await h.call('hello.greet')).toBe('hello@1.0.0#0');
    expect(h.said('agent.failed')).toEqual(['agent.failed']);
    await h.deploy('hello', '3.0.0');
    expect([await h.call('hello.greet'), h.status('hello')?.next]).toEqual(['hello@3.0.0#0', undefined]);
  });
  test('another generation of the same thing is tried again; so is what failed when something came back', async () => {
    let broken = true;
    h.sandbox.opening = () => {
      if (broken) throw new Fault('start-failed', 'no');
    };
    await h.deploy('hello', '1.0.0');
    await h.clock.advance(60_000);
    expect(h.status('hello')).toMatchObject({ state: 'failed', converged: false });
    await h.deploy('hello', '1.0.0');
    expect(h.status('hello')?.state).toBe('backing-off');
    await h.clock.advance(60_000);
    expect(h.status('hello')?.state).toBe('failed');
    broken = false;
    h.supervisor.retryFailed();
    await h.clock.advance(0);
    expect(h.status('hello')?.state).toBe('ready');
  });
  test('hub away: asked again for ever; signature wrong: never again, and said', async () => {
    const mend = h.breakFetch('hello', '1.0.0', () => new Fault('hub-unreachable', 'no link'));
    await h.deploy('hello', '1.0.0');
    await h.clock.advance(300_000);
    expect(h.status('hello')).toMatchObject({ state: 'backing-off', reason: { code: 'hub-unreachable' } });
    expect(h.fetched.length).toBeGreaterThan(10);
    mend();
    await h.clock.advance(30_000);
    expect(h.status('hello')).toMatchObject({ state: 'ready', converged: true });
    h.breakFetch('hello', '2.0.0', () => new Fault('signature-invalid', 'does not fit'));
    await h.deploy('hello', '2.0.0');
    await h.clock.advance(300_000);
    expect(h.fetched.filter((v) => v === '2.0.0').length).toBe(1);
    expect(h.status('hello')?.next).toMatchObject({ state: 'failed', reason: { code: 'signature-invalid' } });
    expect(h.said('bundle.refused')).toEqual(['bundle.refused']);
    expect(await h.call('hello.greet')).toBe('hello@1.0.0#0');
  });
  test('refused by the instance: requirement, rollback; allowed with rollback', async () => {
    h.publish('picky', '1.0.0', { requires: { capabilities: ['lidar'] } });
    await h.deploy('picky', '1.0.0');
    expect(h.status('picky')).toMatchObject({ state: 'failed', reason: { code: 'requirement-unmet' } });
    await h.deploy('hello', '2.0.0');
    expect(h.floors.get('hello')).toBe(2);
    await h.deploy('hello', '1.0.0');
    expect(h.status('hello')).toMatchObject({
      version: '2.0.0',
      next: { state: 'failed', reason: { code: 'sequence-rollback' } },
    });
    await h.deploy('hello', '1.0.0', { rollback: true });
    expect(await h.call('hello.greet')).toBe('hello@1.0.0#0');
    expect(h.floors.get('hello')).toBe(2);
  });
  test('a start that hangs is given up at its deadline, and closed when it comes after all', async () => {
    const gate = Promise.withResolvers<void>();
    h.sandbox.opening = () => gate.promise;
    await h.deploy('hello', '1.0.0');
    await h.clock.advance(20_000);
    expect(h.status('hello')).toMatchObject({ state: 'backing-off', reason: { code: 'deadline-exceeded' } });
    h.sandbox.opening = () => {};
    gate.resolve();
    await h.clock.advance(1000);
    expect(h.living()).toEqual(['hello@1.0.0#0']);
  });
  test('a fetch is ended when a newer document comes', async () => {
    const ended = h.hangFetch('hello', '1.0.0');
    await h.deploy('hello', '1.0.0');
    expect([h.status('hello')?.state, ended()]).toEqual(['fetching', false]);
    await h.deploy('hello', '2.0.0');
    expect(ended()).toBe(true);
    expect(await h.call('hello.greet')).toBe('hello@2.0.0#0');
    expect(h.status('hello')?.next).toBeUndefined();
  });
});

describe('what ends by itself', () => {
  test('comes back, told with the reason; the others go on', async () => {
    h.publish('other', '1.0.0');
    await h.deploy('hello', '1.0.0');
    await h.deploy('other', '1.0.0');
    h.sandbox.opened[0]!.end(died);
    await settle();
    const waits = h.call('hello.greet');
    expect(await h.call('other.greet')).toBe('other@1.0.0#0');
    expect(h.status('hello')).toMatchObject({
      state: 'backing-off',
      reason: { code: 'cell-died', detail: 'signal 9' },
      restarts: 1,
    });
    await h.clock.advance(1000);
    expect(await waits).toBe('hello@1.0.0#0');
    expect(h.status('hello')).toMatchObject({ state: 'ready', converged: true, restarts: 1 });
    expect(h.events.find(({ type }) => type === 'agent.restarted')?.data).toMatchObject({
      after: { code: 'cell-died' },
      restarts: 1,
    });
    expect(h.said('agent.deployed')).toEqual(['agent.deployed', 'agent.deployed']);
  });
  test('too often: failed, and calls are told at once', async () => {
    await h.deploy('hello', '1.0.0');
    for (let n = 0; n < 6; n++) {
      h.sandbox.living()[0]?.end(died);
      await h.clock.advance(5000);
    }
    expect(h.status('hello')).toMatchObject({
      state: 'failed',
      reason: { code: 'cell-died', detail: expect.stringContaining('6 times') },
    });
    expect(h.router.offers()).toEqual([]);
    await expect(h.call('hello.greet')).rejects.toThrow('workload-not-ready');
  });
  test('three times over a limit: quarantined, its own cell before that, lifted by a new version', async () => {
    await h.deploy('hello', '1.0.0', { replicas: 2 });
    const isolations = [];
    for (let n = 0; n < 3; n++) {
      h.sandbox.living()[0]!.end(oom);
      await h.clock.advance(60_000);
      isolations.push(h.sandbox.opened.at(-1)!.options.isolation);
    }
    expect(isolations.slice(0, 2)).toEqual(['dedicated', 'dedicated']);
    expect(h.status('hello')).toMatchObject({ state: 'quarantined', reason: { code: 'quarantined' }, replicas: { ready: 0 } });
    expect(h.living()).toEqual([]);
    expect(h.said('node.limit-hit').length).toBe(3);
    h.supervisor.retryFailed();
    await h.clock.advance(60_000);
    expect(h.status('hello')?.state).toBe('quarantined');
    await h.deploy('hello', '2.0.0');
    expect(h.status('hello')?.state).toBe('ready');
  });
  test('a cell that takes all replicas with it counts once', async () => {
    h.sandbox.cell = 42;
    await h.deploy('hello', '1.0.0', { replicas: 8 });
    for (const isolate of h.sandbox.living()) isolate.end(died);
    await h.clock.advance(2000);
    expect(h.status('hello')).toMatchObject({ state: 'ready', replicas: { ready: 8 } });
  });
  test('unhealthy three times in a row is restarted; twice is not', async () => {
    h.publish('sick', '1.0.0', { hooks: { health: true } });
    await h.deploy('sick', '1.0.0');
    const [first] = h.sandbox.living();
    first!.healthy = false;
    await h.clock.advance(16_000);
    first!.healthy = true;
    await h.clock.advance(20_000);
    expect(h.sandbox.opened.length).toBe(1);
    first!.healthy = false;
    await h.clock.advance(40_000);
    expect([h.sandbox.opened.length, first!.closed, h.status('sick')?.restarts]).toEqual([2, true, 1]);
    expect(h.events.find(({ type }) => type === 'agent.restarted')?.data).toMatchObject({
      after: { code: 'handler-failed', detail: 'not well' },
    });
  });
  test('unhealthy from the start is not ready, and the old version stays', async () => {
    await h.deploy('hello', '1.0.0');
    h.publish('hello', '4.0.0', { hooks: { health: true } });
    const open = h.sandbox.open.bind(h.sandbox);
    h.sandbox.open = async (options) => {
      const isolate = await open(options);
      isolate.health = () => Promise.reject(new Fault('handler-failed', 'never well'));
      return isolate;
    };
    await h.deploy('hello', '4.0.0');
    expect(h.status('hello')).toMatchObject({
      version: '1.0.0',
      next: { version: '4.0.0', reason: { code: 'handler-failed' } },
    });
    expect(h.living()).toEqual(['hello@1.0.0#0']);
  });
});
