/** The whole node in one process with real servers and real cells: deploy, call, change, cold boot with the hub down. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  desiredKey,
  NodeAgentConfig,
  objectName,
  type Signer,
  silentLogger,
  systemClock,
  topology,
  waitUntil,
} from '@cim/contracts';
import { jetstream } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningNode, startNode } from '../../src/node.ts';
import { INSTANCE, type Place, place } from '../hub/place.ts';
import { desiredOf, echoEntry, echoManifest, type MadeBundle, makeBundle, newSigner } from './bundles.ts';

let here: Place;
let node: RunningNode | undefined;
let caller: NatsConnection;
const signer: Signer = newSigner();
const until = (test: () => boolean | Promise<boolean>, ms = 20_000) => waitUntil(systemClock, ms, test, 20);

async function boot(): Promise<RunningNode> {
  node = await startNode({
    config: NodeAgentConfig.parse({
      instance: { id: INSTANCE },
      nats: { url: here.leafServer.url },
      http: { port: 0 },
      stateDirectory: join(here.directory, 'agent'),
      trust: { publishers: [{ name: 'tests', key: signer.publicKey }] },
      timing: { heartbeat: '1s', resync: '2s', drain: '3s', probe: '1s' },
      domains: { agent: {}, graph: {} },
    }),
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
    environment: {},
    nodeVersion: process.versions.node,
  });
  return node;
}
const upload = async (bundle: MadeBundle) => {
  await (await new Objm(jetstream(here.admin)).open(topology.bundles.name)).putBlob(
    { name: objectName(bundle.ref.digest) },
    bundle.bytes,
  );
};
const desire = (bundle: MadeBundle, over: Record<string, unknown> = {}) => {
  const document = desiredOf(bundle, INSTANCE, over);
  return here.putDesired(desiredKey(document), JSON.stringify({ document, signatures: [] }));
};
const call = async (capability: string, input: unknown, timeout = 5_000) =>
  (await caller.request(`cim.v1.call.${capability}`, JSON.stringify(input), { timeout })).json<any>();
const workload = (name: string) => node!.status().workloads.find((one) => one.name === name);
const health = async (path = '/health') => {
  const reply = await fetch(`${node!.url}${path}`);
  return { status: reply.status, body: (await reply.json()) as any };
};

beforeAll(async () => {
  here = await place();
  caller = await connect({ servers: here.leafServer.url, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  await boot();
});
afterAll(async () => {
  await node?.stop();
  await caller?.close();
  await here?.close();
});

test('a desired document becomes an agent that answers, and health says so', async () => {
  const bundle = await makeBundle(signer, { name: 'echo', entry: echoEntry('one'), manifest: echoManifest });
  await upload(bundle);
  await desire(bundle);
  expect(await until(() => workload('echo')?.converged === true)).toBe(true);
  expect(await call('echo.say', { n: 1 })).toEqual({ word: 'one', input: { n: 1 }, instance: INSTANCE });
  const { status, body } = await health();
  expect(status).toBe(200);
  expect(body).toMatchObject({ phase: 'running', hub: { reachable: true }, workloads: { total: 1, ready: 1, failed: 0 } });
  expect((await health('/api/v1/domains/agent/health')).status).toBe(200);
  expect((await health('/api/v1/domains/graph/health')).status).toBe(503);
  expect((await health('/api/v1/domains/nope/health')).body).toMatchObject({ code: 'not-found' });
  const metrics = await (await fetch(`${node!.url}/metrics`)).text();
  expect(metrics).toMatch(/cim_calls_total\{kind="agent",workload="echo",outcome="ok"\} 1/);
  expect(metrics).toMatch(/cim_hub_reachable 1/);
  expect(metrics).toMatch(/cim_node_reconcile_duration_seconds_count [1-9]/);
  expect(metrics).toMatch(/cim_workload_restarts_total\{kind="agent",workload="echo"\} 0/);
});

test('none of 1,000 calls fails while the version changes', async () => {
  const next = await makeBundle(signer, {
    name: 'echo',
    version: '2.0.0',
    sequence: 2,
    entry: echoEntry('two'),
    manifest: echoManifest,
  });
  await upload(next);
  const words = new Map<string, number>();
  const work = Array.from({ length: 8 }, async () => {
    for (let i = 0; i < 125; i++) {
      const { word } = await call('echo.say', i);
      words.set(word, (words.get(word) ?? 0) + 1);
    }
  });
  await desire(next, { generation: 2 });
  await Promise.all(work);
  expect(await until(() => workload('echo')?.version === '2.0.0' && workload('echo')?.converged === true)).toBe(true);
  expect((await call('echo.say', 0)).word).toBe('two');
  expect([...words.values()].reduce((a, b) => a + b, 0)).toBe(1000);
});

test('what nobody trusts is refused, with the reason, and the last good stays', async () => {
  const stranger = await makeBundle(newSigner(), {
    name: 'echo',
    version: '3.0.0',
    sequence: 3,
    entry: echoEntry('bad'),
    manifest: echoManifest,
  });
  await upload(stranger);
  await desire(stranger, { generation: 3 });
  expect(
    await until(
      () => workload('echo')?.next?.reason?.code === 'signer-unknown' || workload('echo')?.reason?.code === 'signer-unknown',
    ),
  ).toBe(true);
  expect((await call('echo.say', 0)).word).toBe('two');
  expect(workload('echo')?.converged).toBe(false);
});

test('the services protocol shows what is offered', async () => {
  const reply = (await caller.request('$SRV.INFO.cim-node-agent', '', { timeout: 2_000 })).json<any>();
  expect(reply).toMatchObject({
    type: 'io.nats.micro.v1.info_response',
    name: 'cim-node-agent',
    metadata: { instance: INSTANCE },
  });
  expect(reply.endpoints.map((one: any) => one.subject)).toEqual(['cim.v1.call.echo.say']);
});

test('cold boot with the hub down: the agent answers and health says why it is degraded', async () => {
  await node!.stop();
  await here.hub.kill();
  await boot();
  expect(await until(async () => (await call('echo.say', 0).catch(() => ({}))).word === 'two')).toBe(true);
  expect(await until(async () => (await health()).body.hub.reachable === false)).toBe(true);
  const { status, body } = await health();
  expect(status).toBe(200);
  expect(body.status).toBe('degraded');
  expect(body.conditions.map((one: any) => one.code)).toEqual(expect.arrayContaining(['hub-unreachable', 'started-offline']));
  await here.hub.start();
  expect(await until(async () => (await health()).body.hub.reachable === true)).toBe(true);
  expect((await health()).body.conditions.map((one: any) => one.code)).not.toContain('hub-unreachable');
}, 60_000);

test('a bundle damaged on disk is found out at the next start and fetched again', async () => {
  const digest = workload('echo')!.digest!;
  await node!.stop();
  const { readdir, writeFile, readFile } = await import('node:fs/promises');
  const root = join(here.directory, 'agent', 'bundles');
  const files = (await readdir(root, { recursive: true })).filter(
    (file) => file.includes(objectName(digest)) && file.endsWith('.tar'),
  );
  expect(files.length).toBe(1);
  const bytes = await readFile(join(root, files[0]!));
  bytes[bytes.length - 1500] = (bytes[bytes.length - 1500]! + 1) % 256;
  await rm(join(root, files[0]!));
  await writeFile(join(root, files[0]!), bytes);
  await boot();
  expect(await until(async () => (await call('echo.say', 0).catch(() => ({}))).word === 'two', 25_000)).toBe(true);
  expect(node!.status().workloads[0]?.digest).toBe(digest);
}, 60_000);

test('removal is a document: the agent drains, goes, and is no longer offered', async () => {
  const bundle = await makeBundle(signer, {
    name: 'echo',
    version: '2.0.0',
    sequence: 2,
    entry: echoEntry('two'),
    manifest: echoManifest,
  });
  await desire(bundle, { generation: 4, state: 'removed' });
  expect(await until(() => node!.status().offers.length === 0)).toBe(true);
  await expect(call('echo.say', 0, 1_000)).rejects.toThrow();
});
