/** The same house: room, messages, the clock, cold boots and the end. */
import { Fault } from '@cim/contracts';
import { beforeEach, describe, expect, test } from 'vitest';
import { type House, house } from './house.ts';

let h: House;
beforeEach(() => {
  h = house();
  h.publish('hello', '1.0.0');
  h.publish('hello', '2.0.0', {}, 2);
  h.publish('hello', '3.0.0', {}, 3);
});

describe('room', () => {
  test('what does not fit waits, says so, and comes when there is room', async () => {
    h = house({ capacity: { memoryBytes: 100 * 2 ** 20 } });
    for (const name of ['one', 'two']) h.publish(name, '1.0.0', { resources: { memory: '60Mi' } });
    h.publish('small', '1.0.0');
    await h.deploy('one', '1.0.0');
    await h.deploy('two', '1.0.0');
    await h.deploy('small', '1.0.0');
    expect(h.status('two')).toMatchObject({
      state: 'pending',
      reason: { code: 'resources-exhausted', detail: 'memory: asks for 60Mi, 36Mi of 100Mi left' },
    });
    expect(h.living()).toEqual(['one@1.0.0#0', 'small@1.0.0#0']);
    await h.deploy('one', '1.0.0', { state: 'removed' });
    expect(h.living()).toEqual(['small@1.0.0#0', 'two@1.0.0#0']);
    expect(h.status('two')).not.toHaveProperty('reason');
  });
  test('a hundred workloads start, a few at a time', async () => {
    let starting = 0;
    let most = 0;
    h.sandbox.opening = async () => {
      most = Math.max(most, ++starting);
      await h.clock.sleep(10);
      starting--;
    };
    for (let n = 0; n < 100; n++) {
      h.publish(`a${n}`, '1.0.0');
      h.put(`a${n}`, '1.0.0');
    }
    await h.clock.advance(2000);
    expect(h.living().length).toBe(100);
    expect(most).toBe(16);
  });
});

describe('the disk takes its time', () => {
  const answering = () => h.router.offers();

  test('what is started from a record gets calls when the record is kept, and the old version serves until then', async () => {
    await h.deploy('hello', '1.0.0');
    const disk = Promise.withResolvers<void>();
    h.slowDisk(disk.promise);
    await h.deploy('hello', '2.0.0');
    expect(h.living()).toEqual(['hello@1.0.0#0', 'hello@2.0.0#0']);
    expect(h.status('hello')).toMatchObject({ version: '1.0.0', converged: false, next: { state: 'starting' } });
    disk.resolve();
    await h.clock.advance(0);
    expect(h.status('hello')).toMatchObject({ version: '2.0.0', converged: true });
  });

  test('what could not be kept is not called, and says why', async () => {
    const full = Promise.reject(new Fault('storage-full', 'no space left'));
    full.catch(() => {});
    h.slowDisk(full);
    await h.deploy('hello', '1.0.0');
    expect(answering()).toEqual([]);
    expect(h.living()).toEqual([]);
    expect(h.status('hello')).toMatchObject({ converged: false, reason: { code: 'storage-full' } });
  });
});

describe('messages and the clock', () => {
  test('subscriptions follow what serves; a version change keeps them', async () => {
    h.publish('ears', '1.0.0', { subscribe: ['orders.>'] });
    h.publish('ears', '2.0.0', { subscribe: ['orders.>', 'bills.*'] }, 2);
    await h.deploy('ears', '1.0.0');
    const [first] = h.supervisor.subscriptions();
    expect(first).toMatchObject({ id: 'agent.ears orders.>', pattern: 'orders.>', version: '1.0.0' });
    let changes = 0;
    h.supervisor.onChange(() => changes++);
    await h.deploy('ears', '2.0.0');
    expect(h.supervisor.subscriptions().map(({ id }) => id)).toEqual(['agent.ears orders.>', 'agent.ears bills.*']);
    expect(changes).toBeGreaterThan(0);
    await first!.deliver('orders.new', '{"n":1}');
    expect(h.sandbox.living()[0]!.messages).toEqual(['orders.> orders.new {"n":1}']);
    await h.deploy('ears', '2.0.0', { state: 'removed' });
    expect(h.supervisor.subscriptions()).toEqual([]);
    await expect(first!.deliver('orders.new', '1')).rejects.toThrow('workload-not-ready');
  });
  test('schedules run on one replica, keep their beat through a new version, end with the workload', async () => {
    const schedule = { tick: { every: '10s' } };
    h.publish('clocky', '1.0.0', { schedule });
    h.publish('clocky', '2.0.0', { schedule }, 2);
    await h.deploy('clocky', '1.0.0', { replicas: 2 });
    await h.clock.advance(25_000);
    expect(h.sandbox.opened.map(({ runs }) => runs.length)).toEqual([2, 0]);
    await h.deploy('clocky', '2.0.0');
    await h.clock.advance(10_000);
    expect(h.sandbox.living()[0]!.runs).toEqual(['tick']);
    await h.deploy('clocky', '2.0.0', { state: 'removed' });
    await h.clock.advance(100_000);
    expect(h.sandbox.opened.map(({ runs }) => runs.length)).toEqual([2, 0, 1]);
  });
});

describe('cold boot', () => {
  const after = (before: House) => {
    const next = house({ held: before.held(), floors: before.floors });
    for (const version of ['1.0.0', '2.0.0', '3.0.0']) next.publish('hello', version, {}, Number(version[0]));
    return next;
  };
  test('what served comes back, and is not told as a deployment', async () => {
    await h.deploy('hello', '2.0.0', { replicas: 2 });
    const next = after(h);
    next.reconciler.wake('start');
    await next.clock.advance(0);
    expect(next.status('hello')).toMatchObject({ state: 'ready', version: '2.0.0', converged: true, replicas: { ready: 2 } });
    expect(next.said('agent.deployed')).toEqual([]);
  });
  test('the old version comes back while the new one still cannot start', async () => {
    await h.deploy('hello', '1.0.0');
    h.sandbox.opening = () => {
      throw new Fault('start-failed', 'no');
    };
    await h.deploy('hello', '2.0.0');
    const next = after(h);
    let broken = true;
    next.sandbox.opening = ({ id }) => {
      if (broken && id.version === '2.0.0') throw new Fault('start-failed', 'no');
    };
    next.reconciler.wake('start');
    await next.clock.advance(0);
    expect(await next.call('hello.greet')).toBe('hello@1.0.0#0');
    broken = false;
    await next.clock.advance(1000);
    expect(await next.call('hello.greet')).toBe('hello@2.0.0#0');
    expect([next.living(), next.said('agent.deployed')]).toEqual([['hello@2.0.0#0'], ['agent.deployed']]);
  });
  test('what is in use is pinned when the cache is collected', async () => {
    await h.deploy('hello', '1.0.0');
    await h.deploy('hello', '2.0.0');
    await h.clock.advance(5000);
    expect(h.collected.length).toBe(1);
    expect(h.collected[0]!.has(h.recordOf('hello', '2.0.0').document.bundle.digest)).toBe(true);
  });
});

describe('stopping', () => {
  test('lets what is in flight and what waits end, then closes all', async () => {
    await h.deploy('hello', '1.0.0', { configuration: { maxConcurrent: 1 } });
    h.sandbox.hold = true;
    const calls = [h.call('hello.greet', 30_000), h.call('hello.greet', 30_000)];
    h.reconciler.stop();
    h.router.close();
    const stopped = h.supervisor.stop(9000);
    await expect(h.call('hello.greet')).rejects.toThrow('workload-draining');
    await h.clock.advance(100);
    h.sandbox.opened[0]!.release();
    await h.clock.advance(100);
    h.sandbox.opened[0]!.release();
    await h.clock.advance(100);
    await stopped;
    expect(await Promise.all(calls)).toEqual(['hello@1.0.0#0', 'hello@1.0.0#0']);
    expect([h.living(), h.clock.pending()]).toEqual([[], 0]);
  });
  test('ends in time whatever hangs, and twice is once', async () => {
    await h.deploy('hello', '1.0.0');
    h.sandbox.hold = true;
    h.call('hello.greet', 60_000).catch(() => {});
    h.sandbox.opened[0]!.close = () => new Promise(() => {});
    h.reconciler.stop();
    const stopped = h.supervisor.stop(3000);
    await h.clock.advance(3500);
    await stopped;
    await h.supervisor.stop(3000);
  });
});
