/** Real processes that are killed, cut off and started again: nothing is lost, half-done or left hanging. */
import { connect as connectTcp } from 'node:net';
import { digestOf, objectName } from '@cim/contracts';
import { largeBundle, testBundle, waitFor } from '@cim/testkit';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { Objm } from '@nats-io/obj';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  desiredFor,
  desiredPath,
  emit,
  nodeStatus,
  outcome,
  problemOf,
  publishHeaders,
  tokenOf,
  type World,
  workloadStatus,
  world,
} from './support.ts';

let hub: World;
beforeEach(async () => {
  hub = await world();
});
afterEach(async () => hub?.[Symbol.asyncDispose]());

const MiB = 2 ** 20;

/** Chunks in the store, whole objects or not. */
async function chunkRuns(): Promise<number> {
  const jsm = await jetstreamManager(hub.admin);
  const { state } = await jsm.streams.info('OBJ_CIM_BUNDLES', { subjects_filter: '$O.CIM_BUNDLES.C.>' });
  return Object.keys(state.subjects ?? {}).length;
}

describe('a registry that is killed', () => {
  test('in the middle of an upload leaves nothing; in the middle of storing at most bytes nobody names', async () => {
    const bundle = await largeBundle(8 * MiB, { name: 'cut' });
    const first = await hub.registry();
    const { hostname, port } = new URL(first.url);
    const socket = connectTcp(Number(port), hostname);
    socket.on('error', () => {});
    const head = Object.entries({
      host: 'x',
      authorization: `Bearer ${tokenOf('publisher')}`,
      'content-length': `${bundle.bytes.length}`,
      ...publishHeaders(bundle.envelope),
    });
    socket.write(`POST /api/v1/bundles HTTP/1.1\r\n${head.map((pair) => pair.join(': ')).join('\r\n')}\r\n\r\n`);
    await new Promise((resolve) => socket.write(bundle.bytes.subarray(0, 5 * MiB), resolve));
    expect(await first.kill('SIGKILL')).toBe('SIGKILL');
    expect(await chunkRuns()).toBe(0);

    // Again, and this time the bytes have all come and are on their way into the store.
    const second = await hub.registry();
    const publish = second.publish(bundle).catch(() => undefined);
    await waitFor(async () => (await chunkRuns()) > 0, 10_000, 'the first chunk in the store');
    second.process.kill('SIGKILL');
    const answer = await publish;

    const third = await hub.registry();
    const found = await third.ask('GET', '/api/v1/catalog/cut');
    if (answer?.status === 201) expect(found.status).toBe(200);
    else if (found.status === 200)
      expect((await third.ask('GET', `/api/v1/bundles/${bundle.statement.digest}`)).status).toBe(200);
    else expect(outcome(found)).toBe('404 not-found');
    expect(['200', '201']).toContain(outcome(await third.publish(bundle)));
    const store = await new Objm(jetstream(hub.admin)).open('CIM_BUNDLES');
    expect(digestOf((await store.getBlob(objectName(bundle.statement.digest)))!)).toBe(bundle.statement.digest);
  });

  test('is not missed where another stands beside it: what one took the other has', async () => {
    const [one, two] = await Promise.all([hub.registry(), hub.registry()]);
    const bundles = await Promise.all(Array.from({ length: 8 }, (_, i) => testBundle({ name: `shared-${i}` })));
    const taken = new Set<string>();
    let killed: Promise<unknown> | undefined;
    await Promise.all(
      bundles.map(async (bundle, i) => {
        const name = bundle.statement.name;
        const answer = await (i % 2 === 0 ? one : two).publish(bundle).catch(() => undefined);
        if (answer?.status === 201) taken.add(name);
        if (taken.size >= 2) killed ??= one.kill('SIGKILL');
      }),
    );
    await killed;
    const { body } = await two.ask('GET', '/api/v1/catalog');
    const names = body.bundles.map(({ name }: { name: string }) => name);
    for (const name of taken) expect(names).toContain(name);
    for (const bundle of bundles) {
      const again = await two.publish(bundle);
      expect(['200', '201']).toContain(outcome(again));
      if (taken.has(bundle.statement.name)) expect(again.body.created).toBe(false);
    }
    const record = desiredFor(bundles[0]!);
    const put = await two.ask('PUT', desiredPath(record), { body: record, headers: { 'if-none-match': '*' } });
    expect(put.status).toBe(200);
  });
});

test('two registries side by side show the same at once', async () => {
  const [one, two] = await Promise.all([hub.registry(), hub.registry()]);
  for (let i = 1; i <= 15; i++) {
    const bundle = await testBundle({ name: 'mirror', version: `1.0.${i}`, sequence: i });
    expect(outcome(await one.publish(bundle, { channel: 'edge' }))).toBe('201');
    const { body } = await two.ask('GET', '/api/v1/catalog/mirror');
    expect([body.versions[0].version, body.channels.edge]).toEqual([`1.0.${i}`, `1.0.${i}`]);
    const record = desiredFor(bundle, { instance: `cim-${i}` });
    await two.ask('PUT', desiredPath(record), { body: record, headers: { 'if-none-match': '*' } });
    expect((await one.ask('GET', `/api/v1/desired?instance=cim-${i}`)).body.desired).toHaveLength(1);
  }
});

describe('the hub', () => {
  test('that is not there at the start is waited for: the API is up, says 503, and is well when the hub comes', async () => {
    await hub.nats.server.kill();
    const registry = await hub.registry();
    const health = await registry.ask('GET', '/health', { role: null });
    expect(health.status).toBe(503);
    expect(health.body).toMatchObject({ hub: 'unreachable', conditions: [{ code: 'hub-unreachable' }] });
    expect((await registry.ask('GET', '/health/live', { role: null })).status).toBe(200);
    expect(outcome(await registry.ask('GET', '/api/v1/catalog'))).toBe('503 hub-unreachable');
    await hub.nats.server.start();
    await waitFor(async () => (await registry.ask('GET', '/health/ready', { role: null })).status === 200, 15_000, 'the hub');
    expect(outcome(await registry.publish(await testBundle({ name: 'late' })))).toBe('201');
  });

  test('that restarts under the registry is found again, with all that was there; event streams go on', async () => {
    const registry = await hub.registry();
    const bundle = await testBundle({ name: 'stays' });
    await registry.publish(bundle);
    const abort = new AbortController();
    const stream = await fetch(`${registry.url}/api/v1/events/stream?instance=cim-z`, {
      headers: { authorization: `Bearer ${tokenOf('viewer')}` },
      signal: abort.signal,
    });
    let seen = '';
    void (async () => {
      for await (const chunk of stream.body!) seen += new TextDecoder().decode(chunk);
    })().catch(() => {});
    await hub.nats.server.kill('SIGKILL');
    const begun = performance.now();
    const away = await Promise.all([
      registry.ask('GET', '/api/v1/catalog'),
      registry.ask('GET', '/api/v1/nodes'),
      registry.ask('GET', '/api/v1/events'),
      registry.ask('GET', desiredPath(desiredFor(bundle))),
      registry.ask('GET', `/api/v1/bundles/${bundle.statement.digest}`),
      registry.publish(await testBundle({ name: 'nowhere' })),
    ]);
    expect(new Set(away.map(outcome))).toEqual(new Set(['503 hub-unreachable']));
    expect(problemOf(away[0]!).retry).toBe('later');
    expect(performance.now() - begun).toBeLessThan(8_000);
    const health = await registry.ask('GET', '/health', { role: null });
    expect([health.status, health.body.hub]).toEqual([503, 'unreachable']);

    await hub.nats.server.start();
    await waitFor(async () => (await registry.ask('GET', '/health', { role: null })).status === 200, 15_000, 'health');
    const { body } = await registry.ask('GET', '/api/v1/catalog');
    expect(body.bundles.map(({ name }: { name: string }) => name)).toEqual(['stays']);
    expect(outcome(await registry.publish(await testBundle({ name: 'after' })))).toBe('201');
    await emit(hub.admin, 'cim-z', 'agent.deployed', 'a');
    await waitFor(() => seen.includes('agent.deployed'), 10_000, 'the event');
    abort.abort();
  });

  test('that hangs is answered for within the deadline, not waited for', async () => {
    const registry = await hub.registry();
    hub.nats.server.pause();
    try {
      const begun = performance.now();
      const answers = await Promise.all([
        registry.ask('GET', '/api/v1/catalog'),
        registry.ask('GET', '/api/v1/events?limit=1'),
        registry.publish(await testBundle({ name: 'hung' })),
      ]);
      expect(answers.map(outcome)).toEqual(Array.from({ length: 3 }, () => '503 hub-unreachable'));
      expect(performance.now() - begun).toBeLessThan(8_000);
    } finally {
      hub.nats.server.resume();
    }
    await waitFor(async () => (await registry.ask('GET', '/api/v1/catalog')).status === 200, 15_000, 'the hub to answer');
  });

  test('whose streams are otherwise than declared is left as it is and said', async () => {
    const jsm = await jetstreamManager(hub.admin);
    await jsm.streams.add({ name: 'KV_CIM_DESIRED', subjects: ['$KV.CIM_DESIRED.>'], max_msgs_per_subject: 1 });
    const registry = await hub.registry();
    const { status, body } = await registry.ask('GET', '/health', { role: null });
    expect([status, body.status]).toEqual([200, 'degraded']);
    const details = body.conditions.map(({ code, detail }: { code: string; detail: string }) => `${code} ${detail}`);
    expect(details).toContain('topology-drift KV_CIM_DESIRED: max_msgs_per_subject: expected 16, found 1');
    const { config } = await jsm.streams.info('KV_CIM_DESIRED');
    expect(config.max_msgs_per_subject).toBe(1);
  });

  test('that lost a stream gets it back from the next look, and what is asked meanwhile is a fault', async () => {
    const registry = await hub.registry();
    await registry.publish(await testBundle({ name: 'gone' }));
    const jsm = await jetstreamManager(hub.admin);
    await jsm.streams.delete('KV_CIM_CATALOG');
    const answer = await registry.ask('GET', '/api/v1/catalog');
    expect(problemOf(answer).code).toMatch(/topology-drift|hub-unreachable/);
    await hub.nats.server.restart();
    await waitFor(async () => (await registry.ask('GET', '/api/v1/catalog')).status === 200, 15_000, 'the catalog');
    expect((await registry.ask('GET', '/api/v1/catalog')).body.bundles).toEqual([]);
  });
});

test('nodes and workloads are shown as they report, and unknown once their key is gone', async () => {
  const registry = await hub.registry();
  const bundle = await testBundle({ name: 'w' });
  await registry.publish(bundle);
  const nodes = await new Kvm(jetstream(hub.admin)).open('CIM_NODES');
  const { digest } = bundle.statement;
  await nodes.put('cim-a', JSON.stringify(nodeStatus('cim-a', { workloads: [workloadStatus('w', digest, 1)] })));
  await nodes.put('cim-odd', '{"api":1}');
  await nodes.put('cim-liar', JSON.stringify(nodeStatus('cim-a', { health: 'unhealthy' })));
  for (const instance of ['cim-a', 'cim-b']) {
    const record = desiredFor(bundle, { instance });
    await registry.ask('PUT', desiredPath(record), { body: record, headers: { 'if-none-match': '*' } });
  }
  const { body } = await registry.ask('GET', '/api/v1/nodes', { role: 'viewer' });
  expect(body.nodes.map(({ instance, presence }: any) => `${instance} ${presence}`)).toEqual(['cim-a online', 'cim-b unknown']);
  expect(body.nodes[0].ageSeconds).toBeLessThan(10);
  const { body: seen } = await registry.ask('GET', '/api/v1/workloads');
  expect(seen.workloads.map(({ instance, converged }: any) => `${instance} ${converged}`)).toEqual([
    'cim-a true',
    'cim-b false',
  ]);
  expect((await registry.ask('GET', '/api/v1/workloads?instance=cim-b')).body.workloads).toHaveLength(1);
  expect(outcome(await registry.ask('GET', '/api/v1/nodes/cim-zzz'))).toBe('404 instance-unknown');
  const { body: text } = await registry.ask('GET', '/metrics');
  expect(text).toMatch(/cim_registry_nodes\{presence="online"\} 1/);
  await nodes.delete('cim-a');
  await waitFor(
    async () => (await registry.ask('GET', '/api/v1/nodes/cim-a')).body.presence === 'unknown',
    5_000,
    'cim-a to be unknown',
  );
  expect((await registry.ask('GET', '/api/v1/nodes/cim-a')).body.status.instance).toBe('cim-a');
});
