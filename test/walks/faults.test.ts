/**
 * What a fleet must survive, with real processes: hub, registry, two leaves behind links that can be cut, two node-agents. Each test is one
 * kind of misfortune; what is asserted is what the caller and the operator see.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Alchemist, type Bundle, Fault } from '@cim/alchemist';
import { digestOf, Manifest, objectName, packBundle, systemClock, topology, waitUntil } from '@cim/contracts';
import { type Fleet, leafAdminUser, startFleet } from '@cim/fleet';
import { jetstream } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';

const A = 'cim-a';
const B = 'cim-b';
let directory: string;
let fleet: Fleet;
let alchemist: Alchemist;
/** A caller on leaf A's own machine. */
let local: NatsConnection;

const until = (check: () => boolean | Promise<boolean>, ms = 30_000) => waitUntil(systemClock, ms, check, 50);

async function echoBundle(name: string, version: string, word = version): Promise<Bundle> {
  const manifest = Manifest.parse({
    api: 1,
    name,
    version,
    kind: 'agent',
    capabilities: { [`${name}.say`]: {} },
    grants: { kv: true },
  });
  const entry = `export default { kind: 'agent', api: 1, capabilities: { '${name}.say': {
    handle: async (input, ctx) => ({ word: ${JSON.stringify(word)}, input, instance: ctx.workload.instance }) } } };`;
  const bytes = await packBundle({ manifest, entry });
  return { manifest, bytes, digest: digestOf(bytes), size: bytes.length, warnings: [] };
}
const say = async (connection: NatsConnection, name: string, timeout = 5_000) =>
  (await connection.request(`cim.v1.call.${name}.say`, '1', { timeout })).json<{
    word: string;
    instance: string;
    code?: string;
  }>();
const statusOf = async (instance: string) =>
  (await fetch(`${fleet.member(instance).agent.url}/api/v1/status`)).json() as Promise<any>;
const healthOf = async (instance: string) => (await fetch(`${fleet.member(instance).agent.url}/health`)).json() as Promise<any>;
const workload = async (instance: string, name: string) =>
  (await statusOf(instance)).workloads.find((one: any) => one.name === name);

/** Processes whose parent is `pid`, by the kernel's own table. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => {
      try {
        const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
      } catch {
        return false;
      }
    })
    .map(Number);
}
const alive = (pid: number) => {
  try {
    // A zombie has ended; it only waits for its parent to look.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z';
  } catch {
    return false;
  }
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cim-walks-'));
  fleet = await startFleet({
    directory,
    instances: [A, B],
    links: 'proxied',
    agentConfig: () => ({ timing: { heartbeat: '1s', resync: '3s', drain: '3s', probe: '2s' } }),
  });
  alchemist = await Alchemist.connect({ profile: fleet.profileFile });
  const user = leafAdminUser(A);
  local = await connect({
    servers: fleet.member(A).leaf.url,
    user,
    pass: fleet.secrets.password(user),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  });
  await alchemist.deploy({ bundle: await echoBundle('steady', '1.0.0'), instance: A });
}, 120_000);
afterAll(async () => {
  await alchemist?.close();
  await local?.close();
  await fleet?.stop();
  await rm(directory, { recursive: true, force: true });
}, 60_000);

test('1,000 calls during a version change through deploy: none fails', async () => {
  await alchemist.deploy({ bundle: await echoBundle('moving', '1.0.0'), instance: A });
  const words = new Map<string, number>();
  const failures: unknown[] = [];
  const lines = Array.from({ length: 10 }, async () => {
    for (let i = 0; i < 100; i++) {
      try {
        const { word, code } = await say(local, 'moving');
        if (code !== undefined) failures.push(code);
        words.set(word, (words.get(word) ?? 0) + 1);
      } catch (error) {
        failures.push(error);
      }
    }
  });
  await alchemist.deploy({ bundle: await echoBundle('moving', '2.0.0'), instance: A });
  await Promise.all(lines);
  expect(failures).toEqual([]);
  expect([...words.values()].reduce((a, b) => a + b, 0)).toBe(1000);
  expect((await say(local, 'moving')).word).toBe('2.0.0');
}, 60_000);

test('two deploys race: one wins, the other is told', async () => {
  await alchemist.publish(await echoBundle('raced', '1.0.0'));
  await alchemist.deploy({ name: 'raced', instance: A });
  const outcomes = await Promise.allSettled(
    [1, 2, 3, 4].map((i) => alchemist.deploy({ name: 'raced', instance: A, config: { i }, wait: false })),
  );
  const won = outcomes.filter(({ status }) => status === 'fulfilled');
  const told = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
  expect(won.length).toBeGreaterThanOrEqual(1);
  for (const reason of told) expect((reason as Fault).code).toBe('revision-conflict');
  const { desired } = await alchemist.registry
    .desired(A, 'agent', 'raced')
    .then((record) => ({ desired: record!.record.document }));
  // Generations count the winners: nothing was written over unseen.
  expect(desired.generation).toBe(1 + won.length);
}, 60_000);

test('the hub is killed while calls run on the leaf: none fails; it comes back and deploys work again', async () => {
  let stop = false;
  let answered = 0;
  const failures: unknown[] = [];
  const line = (async () => {
    while (!stop) {
      try {
        await say(local, 'steady');
        answered++;
      } catch (error) {
        failures.push(error);
      }
    }
  })();
  await fleet.hub.kill();
  expect(await until(async () => (await healthOf(A)).hub.reachable === false)).toBe(true);
  const down = answered;
  expect(await until(() => answered > down + 200)).toBe(true);
  expect((await healthOf(A)).conditions.map(({ code }: any) => code)).toContain('hub-unreachable');
  await fleet.hub.start();
  expect(await until(async () => (await healthOf(A)).hub.reachable === true)).toBe(true);
  stop = true;
  await line;
  expect(failures).toEqual([]);
  await alchemist.deploy({ bundle: await echoBundle('after-hub', '1.0.0'), instance: A, timeout: '60s' });
  expect((await say(local, 'after-hub')).word).toBe('1.0.0');
}, 120_000);

test('the link is cut for a minute: desired state and events catch up, nothing lost or doubled', async () => {
  const link = fleet.member(B).link!;
  await alchemist.deploy({ bundle: await echoBundle('far', '1.0.0'), instance: B });
  link.cut();
  const cutAt = systemClock.monotonic();
  expect(await until(async () => (await healthOf(B)).hub.reachable === false)).toBe(true);
  // Changes at the hub meanwhile, and things that happen on the leaf.
  await alchemist.deploy({ bundle: await echoBundle('far', '2.0.0'), instance: B, wait: false });
  await alchemist.deploy({ bundle: await echoBundle('later', '1.0.0'), instance: B, wait: false });
  const cells = childrenOf(fleet.member(B).agent.pid);
  const before = (await workload(B, 'far')).restarts;
  for (const pid of cells) process.kill(pid, 'SIGKILL');
  expect(
    await until(async () => (await workload(B, 'far')).restarts > before && (await workload(B, 'far')).state === 'ready'),
  ).toBe(true);
  await expect(alchemist.call('far.say', 1, { instance: B, timeout: '500ms' })).rejects.toBeInstanceOf(Fault);
  expect(
    await until(async () => (await alchemist.nodes()).find(({ instance }) => instance === B)?.presence === 'unknown', 70_000),
  ).toBe(true);
  await systemClock.sleep(Math.max(0, 60_000 - (systemClock.monotonic() - cutAt)));
  link.heal();
  expect(
    await until(
      async () => (await workload(B, 'far')).version === '2.0.0' && (await workload(B, 'later'))?.state === 'ready',
      45_000,
    ),
  ).toBe(true);
  expect(await until(async () => (await alchemist.nodes()).find(({ instance }) => instance === B)?.presence === 'online')).toBe(
    true,
  );
  expect(await alchemist.call('far.say', 1, { instance: B })).toMatchObject({ word: '2.0.0', instance: B });
  // Every event of the leaf's own stream is at the hub, each once.
  const user = leafAdminUser(B);
  const atLeaf = await connect({ servers: fleet.member(B).leaf.url, user, pass: fleet.secrets.password(user) });
  const ids = async (connection: NatsConnection) => {
    const consumer = await jetstream(connection).consumers.get('CIM_EVENTS', { filter_subjects: [`cim.v1.evt.${B}.>`] });
    const found: string[] = [];
    for await (const message of await consumer.fetch({ max_messages: 5_000, expires: 1_500 }))
      found.push(message.json<{ id: string }>().id);
    return found;
  };
  const hub = await connect({ servers: fleet.hub.url, user: 'admin', pass: fleet.secrets.password('admin') });
  let here: string[] = [];
  let there: string[] = [];
  await until(async () => {
    here = await ids(atLeaf);
    there = await ids(hub);
    return here.length === there.length;
  });
  expect(there).toEqual(here);
  expect(new Set(there).size).toBe(there.length);
  await atLeaf.close();
  await hub.close();
}, 240_000);

test('the node-agent is killed with SIGKILL: it is back with its workloads, and no cell is left behind', async () => {
  const { agent } = fleet.member(A);
  const cells = childrenOf(agent.pid);
  expect(cells.length).toBeGreaterThan(0);
  await agent.kill();
  expect(await until(() => cells.every((pid) => !alive(pid)))).toBe(true);
  await agent.start();
  expect(await until(async () => (await say(local, 'steady').catch(() => undefined))?.word === '1.0.0')).toBe(true);
  expect(await until(async () => (await statusOf(A)).workloads.every((one: any) => one.state === 'ready'))).toBe(true);
}, 60_000);

test('a cell is killed: its workloads restart, the node-agent stays, the event says why', async () => {
  const { agent } = fleet.member(A);
  const pid = agent.pid;
  const before = (await workload(A, 'steady')).restarts;
  for (const cell of childrenOf(pid)) process.kill(cell, 'SIGKILL');
  expect(await until(async () => (await workload(A, 'steady')).restarts > before)).toBe(true);
  expect(await until(async () => (await say(local, 'steady').catch(() => undefined))?.word === '1.0.0')).toBe(true);
  const metrics = await (await fetch(`${agent.url}/metrics`)).text();
  expect(metrics).toMatch(/cim_workload_restarts_total\{kind="agent",workload="steady"\} [1-9]/);
  expect(agent.pid).toBe(pid);
  expect(
    await until(async () => (await alchemist.events({ instance: A, patterns: ['agent.steady.restarted'] })).length > 0),
  ).toBe(true);
}, 60_000);

test('the leaf server is killed and started: the node-agent finds it again and calls are served', async () => {
  const { leaf, agent } = fleet.member(A);
  const pid = agent.pid;
  await leaf.kill();
  expect(await until(async () => (await healthOf(A)).status === 'unhealthy')).toBe(true);
  expect((await healthOf(A)).conditions.map(({ code }: any) => code)).toContain('leaf-unreachable');
  await leaf.start();
  expect(await until(async () => (await say(local, 'steady').catch(() => undefined))?.word === '1.0.0')).toBe(true);
  expect(agent.pid).toBe(pid);
  expect(await until(async () => (await healthOf(A)).hub.reachable === true)).toBe(true);
}, 60_000);

test('a bundle is corrupt in the store: refused and said; mended in the store, it is fetched', async () => {
  const bundle = alchemist.sign(await echoBundle('rotten', '1.0.0'));
  await alchemist.publish(bundle);
  const hub = await connect({ servers: fleet.hub.url, user: 'admin', pass: fleet.secrets.password('admin') });
  const store = await new Objm(jetstream(hub)).open(topology.bundles.name);
  const bad = Buffer.from(bundle.bytes);
  bad[1200] = bad[1200]! ^ 1;
  await store.putBlob({ name: objectName(bundle.digest) }, bad);
  await alchemist.deploy({ name: 'rotten', instance: A, wait: false });
  expect(await until(async () => (await workload(A, 'rotten'))?.reason?.code === 'digest-mismatch')).toBe(true);
  expect((await statusOf(A)).offers).not.toContain('rotten.say');
  await store.putBlob({ name: objectName(bundle.digest) }, bundle.bytes);
  await hub.close();
  await alchemist.deploy({ name: 'rotten', instance: A, config: { again: true }, timeout: '60s' });
  expect((await say(local, 'rotten')).word).toBe('1.0.0');
}, 120_000);

test('the whole machine goes down and boots with the hub away: agents run before the hub answers', async () => {
  const { leaf, agent, link } = fleet.member(A);
  await agent.kill();
  await leaf.kill();
  link!.cut();
  const begun = systemClock.monotonic();
  // The node-agent first, its leaf later: services start in any order.
  const starting = agent.start();
  await leaf.start();
  await starting;
  expect(await until(async () => (await say(local, 'steady').catch(() => undefined))?.word === '1.0.0')).toBe(true);
  const took = systemClock.monotonic() - begun;
  const health = await healthOf(A);
  expect(health.hub.reachable).toBe(false);
  expect(await until(async () => (await healthOf(A)).conditions.some(({ code }: any) => code === 'started-offline'))).toBe(
    true,
  );
  expect(took).toBeLessThan(20_000);
  expect(await until(async () => (await statusOf(A)).workloads.filter((one: any) => one.state === 'ready').length >= 4)).toBe(
    true,
  );
  link!.heal();
  expect(await until(async () => (await healthOf(A)).hub.reachable === true)).toBe(true);
}, 120_000);
