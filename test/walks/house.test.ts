/**
 * The whole house once through: publish, deploy, call from everywhere, break the parts of the fleet one by one, and start it again from its
 * state.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { Fault } from '@cim/contracts';
import { startFleet } from '@cim/fleet';
import { waitFor } from '@cim/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openWorld, type World } from '../world.ts';

const A = 'cim-a';
const B = 'cim-b';
let world: World;

/** Answers who it is; keeps count in its own memory on the leaf. */
const counter = {
  name: 'counter',
  manifest: { capabilities: { 'counter.add': {}, 'counter.who': {} }, grants: { kv: true } },
  entry: `export default { api: 1, kind: 'agent', capabilities: {
    'counter.who': { handle: (input, ctx) => ({ instance: ctx.workload.instance, version: ctx.workload.version, input }) },
    'counter.add': { handle: async (by, ctx) => {
      const sum = ((await ctx.kv.get('sum')) ?? 0) + by;
      await ctx.kv.put('sum', sum);
      return sum;
    } },
  } };`,
};

beforeAll(async () => {
  world = await openWorld();
  await world.deploySource(counter, A);
}, 90_000);
afterAll(() => world[Symbol.asyncDispose](), 60_000);

describe('a workload on one leaf', () => {
  test('answers from the hub, from its own leaf and from the other', async () => {
    const expected = { instance: A, version: '1.0.0', input: { n: 1 } };
    expect(await world.call('counter.who', { n: 1 })).toEqual(expected);
    expect(await world.call('counter.who', { n: 1 }, { instance: A })).toEqual(expected);
    for (const from of [A, B]) {
      const answer = await waitFor(() => world.callFrom(from, 'counter.who', { n: 1 }), 10_000, `an answer at ${from}`);
      expect(answer).toMatchObject({ output: expected, servedBy: `${A}/agent/counter@1.0.0` });
    }
    await expect(world.call('counter.who', {}, { instance: B })).rejects.toMatchObject({ code: 'capability-unknown' });
  });

  test('is seen by its node and by the registry', async () => {
    expect(await world.workloadOf(A, 'counter')).toMatchObject({ state: 'ready', converged: true, version: '1.0.0' });
    expect(world.cellsOf(A).length).toBeGreaterThan(0);
    expect(await world.healthOf(A)).toMatchObject({ instance: A, workloads: { total: 1, ready: 1, failed: 0 } });
    await waitFor(
      async () => (await world.alchemist.workloads(A)).find(({ name }) => name === 'counter')?.converged,
      15_000,
      'the registry to see it',
    );
  });

  test('goes to a new version', async () => {
    await world.deploySource({ ...counter, version: '1.1.0' }, A);
    expect((await world.call('counter.who')).version).toBe('1.1.0');
  });
});

test('dashboards and alerts ask for metrics that node-agent and registry have', async () => {
  const folder = new URL('../../nix/observability/', import.meta.url);
  const files = ['alerts.yml', 'dashboards/cim-instance.json', 'dashboards/cim-fleet.json'];
  const text = files.map((file) => readFileSync(new URL(file, folder), 'utf8')).join('\n');
  const asked = new Set([...text.matchAll(/\bcim_[a-z_]+/g)].map(([name]) => name.replace(/_(?:bucket|count|sum)$/, '')));
  expect(asked.size).toBeGreaterThan(15);
  const pages = await Promise.all(
    [world.member(A).agent.url, world.fleet.registry.url].map(async (url) => (await fetch(`${url}/metrics`)).text()),
  );
  const there = new Set([...pages.join('\n').matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!));
  expect([...asked].filter((name) => !there.has(name))).toEqual([]);
});

describe('a fleet that is broken', () => {
  test('a node-agent that was killed comes back with its workloads, and leaves no cells behind', async () => {
    expect(await world.call('counter.add', 2, { instance: A })).toBe(2);
    const cells = world.cellsOf(A);
    await world.killAgent(A);
    await waitFor(
      () => !cells.some((pid) => existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== ''),
      10_000,
      'the cells to end',
    );
    await world.startAgent(A);
    expect(await waitFor(() => world.call('counter.add', 3, { instance: A }), 20_000, 'an answer')).toBe(5);
  });

  test('a leaf that is cut off goes on by itself and is heard again when the link is healed', async () => {
    world.cutLink(A);
    const local = await waitFor(() => world.callFrom(A, 'counter.who'), 10_000, 'a local answer');
    expect(local.output.instance).toBe(A);
    await waitFor(async () => (await world.healthOf(A)).hub.reachable === false, 20_000, 'the node to notice');
    await expect(world.call('counter.who', null, { instance: A, timeout: '2s' })).rejects.toBeInstanceOf(Fault);
    // Said meanwhile, done when it can be.
    const version = (await world.publishSource({ ...counter, version: '1.2.0' })).version;
    await world.deploy('counter', version, A, { wait: false });
    await world.healLink(A);
    await world.until(A, 'counter', (status) => status.converged && status.version === '1.2.0', 'at 1.2.0');
  });

  test('registry and hub may be killed: the leaf answers throughout, and they come back', async () => {
    await world.killRegistry();
    await world.killHub();
    expect((await world.callFrom(A, 'counter.who')).output.version).toBe('1.2.0');
    await world.startHub();
    await world.startRegistry();
    await waitFor(() => world.call('counter.who', null, { instance: A }), 20_000, 'an answer through the hub');
  });
});

describe('a state directory', () => {
  test('is held by one fleet at a time, and its profile is private', async () => {
    const { directory, profileFile } = world.fleet;
    await expect(startFleet({ directory })).rejects.toThrow('runs a fleet there');
    expect(statSync(profileFile).mode & 0o777).toBe(0o600);
  });

  test('brings everything back: keys, ports, deployments, what workloads remembered', async () => {
    const before = { url: world.fleet.registry.url, hub: world.fleet.hub.url, agent: world.member(A).agent.url };
    await world.restartAll();
    expect(world.fleet.resumed).toBe(true);
    expect({ url: world.fleet.registry.url, hub: world.fleet.hub.url, agent: world.member(A).agent.url }).toEqual(before);
    expect(await waitFor(() => world.call('counter.add', 1, { instance: A }), 20_000, 'an answer')).toBe(6);
    expect((await world.deploy('counter', '1.2.0', A)).changed).toBe(false);
  }, 60_000);
});
