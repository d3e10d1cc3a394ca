/** A whole node: what a workload runs into is an event, a metric and a fault; the layers are in its status; a debugger has its door. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
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
import { WebSocket } from 'ws';
import { type RunningNode, startNode } from '../../src/node.ts';
import { INSTANCE, type Place, place } from '../hub/place.ts';
import { desiredOf, type MadeBundle, makeBundle, newSigner } from './bundles.ts';

let here: Place;
let node: RunningNode;
let caller: NatsConnection;
const signer: Signer = newSigner();
const events: { type: string; data: Record<string, unknown>; subject: string }[] = [];
const until = (what: () => boolean | Promise<boolean>, ms = 20_000) => waitUntil(systemClock, ms, what, 20);

const entry = `export default { kind: 'agent', api: 1, capabilities: {
  'limit.spin': { handle() { for (;;); } },
  'limit.large': { handle: () => 'x'.repeat(2 ** 21) },
  'limit.emit': { handle: async (input, ctx) => { let refused; const one = (i) => ctx.emit('thing.done', i).catch((e) => { refused = e.code; }); await Promise.all(Array.from({ length: 240 }, (_, i) => one(i))); return refused; } },
  'limit.names': { handle(input, ctx) { for (let i = 0; i < 20; i += 1) ctx.metrics.increment('m' + i); return 1; } },
  'limit.wait': { handle: () => new Promise(() => {}) },
} };`;
const manifest = {
  capabilities: { 'limit.spin': {}, 'limit.large': {}, 'limit.emit': {}, 'limit.names': {}, 'limit.wait': {} },
  configuration: { turn: '200ms', timeout: '2s', maxConcurrent: 1 },
};

const deploy = async (bundle: MadeBundle) => {
  const store = await new Objm(jetstream(here.admin)).open(topology.bundles.name);
  await store.putBlob({ name: objectName(bundle.ref.digest) }, bundle.bytes);
  const document = desiredOf(bundle, INSTANCE);
  await here.putDesired(desiredKey(document), JSON.stringify({ document, signatures: [] }));
};
const workload = (name: string) => node.status().workloads.find((one) => one.name === name);
const call = async (capability: string) => {
  const reply = await caller.request(`cim.v1.call.${capability}`, 'null', { timeout: 8_000 });
  return reply.headers?.get('Nats-Service-Error-Code') ? (reply.json() as { code: string; detail: string }) : reply.json<any>();
};
const told = (limit: string) => events.find(({ type, data }) => type === 'agent.limit-hit' && data['limit'] === limit);

beforeAll(async () => {
  here = await place();
  caller = await connect({ servers: here.leafServer.url });
  caller.subscribe(`cim.v1.evt.${INSTANCE}.>`, { callback: (_, message) => void events.push(message.json()) });
  node = await startNode({
    config: NodeAgentConfig.parse({
      instance: { id: INSTANCE },
      nats: { url: here.leafServer.url },
      http: { port: 0 },
      stateDirectory: join(here.directory, 'agent'),
      trust: { publishers: [{ name: 'tests', key: signer.publicKey }] },
      timing: { heartbeat: '1s', resync: '2s', drain: '1s', probe: '1s' },
      sandbox: { rates: { emit: 20 }, metricNames: 8, maxQueue: 1, debug: true },
    }),
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
    environment: {},
    nodeVersion: process.versions.node,
  });
  await deploy(await makeBundle(signer, { name: 'limited', entry, manifest }));
  expect(await until(() => workload('limited')?.converged === true)).toBe(true);
});
afterAll(async () => {
  await node?.stop();
  await caller?.close();
  await here?.close();
});

test('every limit that is hit is a fault, an event with its name, and a count', async () => {
  expect((await call('limit.spin')).code).toBe('turn-exceeded');
  expect((await call('limit.large')).code).toBe('reply-too-large');
  expect(await call('limit.emit')).toBe('rate-limited');
  expect(await call('limit.names')).toBe(1);
  const waiting = [call('limit.wait'), call('limit.wait')];
  const full = await Promise.race([
    ...waiting,
    until(() => workload('limited')!.calls.inFlight === 2).then(() => call('limit.wait')),
  ]);
  expect(full.code).toBe('overloaded');
  for (const one of await Promise.all(waiting)) expect(one.code).toBe('deadline-exceeded');

  const names = ['turn', 'reply-size', 'emit-rate', 'metric-names', 'queue', 'timeout'];
  for (const name of names) expect(await until(() => told(name) !== undefined, 5_000), name).toBe(true);
  expect(told('emit-rate')).toMatchObject({
    subject: 'limited',
    data: { hits: 1, version: '1.0.0', replica: 0, detail: expect.stringContaining('sandbox.rates.emit') },
  });
  const metrics = await (await fetch(`${node.url}/metrics`)).text();
  for (const name of names)
    expect(metrics).toMatch(new RegExp(`cim_workload_limit_hits_total\\{workload="limited",limit="${name}"\\} [1-9]`));
  const refused = Number(/limit="emit-rate"\} (\d+)/.exec(metrics)![1]);
  expect(refused).toBeGreaterThan(50);
  // A hundred refusals were not a hundred events.
  expect(events.filter(({ type, data }) => type === 'agent.limit-hit' && data['limit'] === 'emit-rate').length).toBe(1);
});

test('the layers are in the status and in the metrics', async () => {
  const { layers = [], conditions } = node.status();
  expect(layers.find(({ layer }) => layer === 'permission-model')).toMatchObject({ active: true });
  expect(layers.find(({ layer }) => layer === 'cgroup')!.detail).not.toBe('');
  const metrics = await (await fetch(`${node.url}/metrics`)).text();
  for (const { layer, active } of layers) expect(metrics).toContain(`cim_sandbox_layer{layer="${layer}"} ${active ? 1 : 0}`);
  expect(conditions.map(({ code }) => code)).toContain('debug-allowed');
});

test('a debugger is asked for over http, with the header no page of a browser may send', async () => {
  const ask = (name: string, headers: Record<string, string>) =>
    fetch(`${node.url}/api/v1/debug/${name}`, { method: 'POST', headers });
  expect((await ask('limited', {})).status).toBe(400);
  expect((await ask('nobody', { 'x-cim-debug': '1' })).status).toBe(404);
  const reply = await ask('limited', { 'x-cim-debug': '1' });
  expect(reply.status).toBe(200);
  const { ws } = (await reply.json()) as { ws: string };
  const socket = new WebSocket(ws);
  const answered = new Promise<string>((resolve) => socket.on('message', (data) => resolve(String(data))));
  socket.on('open', () => socket.send('{"id":1,"method":"Debugger.disable"}'));
  expect(JSON.parse(await answered)).toMatchObject({ id: 1 });
  socket.close();
});

test('alchemist debug prints where to go, or why not', async () => {
  const cli = new URL('../../../alchemist/bin/alchemist.mjs', import.meta.url).pathname;
  const run = async (...args: string[]): Promise<{ code: number; said: string }> => {
    const child = spawn(process.execPath, [cli, 'debug', ...args, '--node', node.url], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
    const [code] = (await once(child, 'close')) as [number];
    return { code, said };
  };
  const found = await run('limited', '--json');
  expect([found.code, found.said]).toEqual([0, expect.stringContaining('"ws"')]);
  expect(JSON.parse(found.said)).toMatchObject({ workload: 'limited', devtools: expect.stringContaining('devtools://') });
  const lost = await run('nobody');
  expect(lost.code).not.toBe(0);
  expect(lost.said).toContain('nobody');
});
