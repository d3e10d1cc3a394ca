/**
 * A hub with a real registry process, and a node that does as a test tells it: it reads desired documents like any node and says what
 * it is told to say of them. What real node-agents do is tested with real node-agents elsewhere; here it is the operator's side.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  cimEvent,
  type Desired,
  DesiredRecord,
  decodeJson,
  inboxPrefix,
  NodeStatus,
  type WorkloadStatus,
} from '@cim/contracts';
import { publish, serve } from '@cim/contracts/bus';
import { natsServer } from '@cim/testkit';
import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { newSeed, writeSeed } from '../src/keys.ts';
import { folder, write } from './support.ts';

const registryMain = fileURLToPath(new URL('../../registry/dist/main.js', import.meta.url));

export interface ToldNode {
  /** What to say of a document; undefined: do not list it. Called at each question. */
  answer: (document: Desired, asked: number) => Partial<WorkloadStatus> | undefined;
  /** Documents as they stand. */
  readonly desired: ReadonlyMap<string, Desired>;
  /** Writes a heartbeat. */
  beat(): Promise<void>;
  /** Says an event, kept by the hub. */
  say(type: string, subject: string, data?: unknown): Promise<void>;
  readonly nc: NatsConnection;
}

export interface TestFleet {
  readonly root: string;
  readonly url: string;
  /** Environment of an operator with all keys. */
  readonly env: Record<string, string>;
  readonly node: ToldNode;
  /** Ends registry and hub. */
  stop(): Promise<void>;
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

export async function testFleet(instance: string): Promise<TestFleet> {
  const root = await folder();
  const publisher = newSeed('publisher');
  const operator = newSeed('operator');
  const party = (name: 'alchemist' | 'registry') => ({ user: name, password: 'pw', party: { party: name, id: name } });
  const nats = await natsServer({
    users: [
      party('alchemist'),
      party('registry'),
      { user: 'node', password: 'pw', party: { party: 'node', id: instance } },
      { user: 'admin', password: 'pw' },
      { user: 'watcher', password: 'pw', account: 'CIM' },
    ],
  });
  const tokens = { boss: ['admin'], viewer: ['viewer'] };
  const config = {
    nats: { url: nats.url, user: 'registry', passwordFile: join(root, 'pw') },
    http: { port: 0 },
    tokensFile: join(root, 'tokens.json'),
    trust: {
      publishers: [{ name: 'acme', key: publisher.publicKey }],
      operators: [{ name: 'ops', key: operator.publicKey }],
    },
    log: { level: 'warn' },
  };
  await mkdir(join(root, 'work'), { recursive: true });
  await write(root, {
    pw: 'pw\n',
    'tokens.json': JSON.stringify({
      tokens: Object.entries(tokens).map(([name, roles]) => ({ name, sha256: sha256(name), roles })),
    }),
    'registry.json': JSON.stringify(config),
  });
  await writeSeed(join(root, 'publisher.seed'), publisher.seed, 'publisher');
  await writeSeed(join(root, 'operator.seed'), operator.seed, 'operator');
  const registry = spawn(process.execPath, [registryMain, '--config', join(root, 'registry.json')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await Promise.race([
    once(createInterface({ input: registry.stdout! }), 'line') as Promise<[string]>,
    once(registry, 'exit').then(([code]) => Promise.reject(new Error(`the registry ended with ${code}`))),
  ]);
  const { url } = JSON.parse(line) as { url: string };
  // What it reads and writes of the hub's state, and how it speaks: without a leaf the two accounts are reached by two users.
  const state = await connect({ servers: nats.url, user: 'admin', pass: 'pw' });
  const nc = await connect({ servers: nats.url, user: 'watcher', pass: 'pw', inboxPrefix: inboxPrefix('node', instance) });
  const node = await toldNode(nc, state, instance);
  return {
    root,
    url,
    node,
    async stop() {
      registry.kill('SIGTERM');
      if (registry.exitCode === null) await once(registry, 'exit');
      await nc.close();
      await state.close();
      await nats[Symbol.asyncDispose]();
    },
    env: {
      CIM_REGISTRY_URL: url,
      CIM_TOKEN: 'boss',
      CIM_NATS_URL: nats.url,
      CIM_NATS_USER: 'alchemist',
      CIM_NATS_PASSWORD: 'pw',
      CIM_PUBLISHER_SEED_FILE: join(root, 'publisher.seed'),
      CIM_OPERATOR_SEED_FILE: join(root, 'operator.seed'),
    },
  };
}

async function toldNode(nc: NatsConnection, state: NatsConnection, instance: string): Promise<ToldNode> {
  const desired = new Map<string, Desired>();
  const asked = new Map<string, number>();
  const kv = new Kvm(state);
  const documents = await kv.open('CIM_DESIRED');
  const nodes = await kv.open('CIM_NODES');
  const watch = await documents.watch({ key: `${instance}.>` });
  void (async () => {
    for await (const { operation, value, key } of watch) {
      if (operation === 'PUT') desired.set(key, decodeJson(DesiredRecord, value, key).document);
    }
  })();
  const status = (): NodeStatus => {
    const workloads = [...desired.values()].flatMap((document) => {
      const { kind, name, generation, bundle, replicas, isolation } = document;
      const id = `${kind}.${name}.${generation}`;
      const count = asked.get(id) ?? 0;
      asked.set(id, count + 1);
      const said = node.answer(document, count);
      if (!said) return [];
      const { version, digest } = bundle;
      return [
        {
          ...{ kind, name, version, digest, generation, isolation, state: 'ready' as const, converged: true },
          ...{ restarts: 0, capabilities: ['greeting.say'], calls: { total: 0, failed: 0, inFlight: 0 } },
          ...{ replicas: { desired: replicas, ready: replicas }, since: new Date(0).toISOString() },
          ...said,
        },
      ];
    });
    return NodeStatus.parse({
      ...{ api: 1, instance, name: instance, capabilities: ['gpu'], offers: [], phase: 'running', health: 'healthy' },
      ...{ conditions: [], workloads, limits: 'watchdog', heartbeatSeconds: 10 },
      ...{ startedAt: new Date(0).toISOString(), at: new Date().toISOString() },
      machine: {
        ...{ arch: 'x64', kernel: '6', os: 'linux', cores: 2, memoryBytes: 2 ** 32, memoryFreeBytes: 2 ** 31 },
        ...{ diskBytes: 2 ** 40, diskFreeBytes: 2 ** 39, loadAverage: 0, gpus: [], versions: {} },
      },
    });
  };
  const node: ToldNode = {
    answer: () => ({}),
    desired,
    nc,
    beat: async () => void (await nodes.put(instance, JSON.stringify(status()))),
    async say(type, subject, data = {}) {
      const event = cimEvent({ instance, part: 'node-agent', type, subject, data }, Date.now());
      const [entity = '', name = ''] = type.split('.');
      const params = { instance, entity, id: subject, event: name };
      publish(nc, 'event', params, event);
      await jetstream(state).publish(`cim.v1.fwd.${instance}.${entity}.${subject}.${name}`, JSON.stringify(event), {
        msgID: event.id,
      });
    },
  };
  serve(nc, 'status', { instance }, status);
  serve(nc, 'probe', { instance }, () => ({ instance, phase: 'running', health: 'healthy', at: new Date().toISOString() }));
  serve(nc, 'check', { instance }, ({ checks }) => ({
    instance,
    results: checks.map((check) => ({ check, result: 'pass' as const, evidence: 'fine' })),
  }));
  await nc.flush();
  return node;
}
