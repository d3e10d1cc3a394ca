/** The store on a real hub: objects and their collection, views, single keys, the connection. */
import { digestOf, objectName, rowsAt, streamName, systemClock, topology } from '@cim/contracts';
import { capturedLog, natsServer, type TestNats, waitFor } from '@cim/testkit';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBucket } from '../src/store/bucket.ts';
import { createHub, type Hub } from '../src/store/hub.ts';
import { createObjects, type Objects } from '../src/store/objects.ts';
import { applyTopology } from '../src/store/topology-apply.ts';
import { createView } from '../src/store/view.ts';
import { sweep } from '../src/sweep.ts';

const clock = systemClock;
const random = () => 0.5;
let nats: TestNats;
let admin: NatsConnection;
let hub: Hub;
let objects: Objects;

const hubAt = (url: string, domain = 'hub') => createHub({ clock, random, log: capturedLog(), config: { url }, domain });

beforeAll(async () => {
  nats = await natsServer();
  admin = await nats.connect();
  hub = hubAt(nats.url);
  await hub.start();
  const applied = await applyTopology(await hub.up(AbortSignal.timeout(10_000)), clock, { replicas: 1, storage: 'file' });
  expect(applied).toMatchObject({ drift: [], failed: [] });
  expect(applied.created).toHaveLength(rowsAt('hub').length);
  objects = createObjects(hub, clock, topology.bundles);
});
afterAll(async () => {
  await hub?.stop();
  await nats?.[Symbol.asyncDispose]();
});

const bytesOf = (text: string) => new TextEncoder().encode(text);
const keep = async (text: string) => {
  const bytes = bytesOf(text);
  const digest = digestOf(bytes);
  await objects.keep(digest, bytes.length, async function* () {
    yield bytes;
  });
  return digest;
};

test('topology applied twice is applied once', async () => {
  const link = hub.current()!;
  const [one, two] = await Promise.all([0, 1].map(() => applyTopology(link, clock, { replicas: 1, storage: 'file' })));
  expect([one, two]).toMatchObject([
    { created: [], drift: [], failed: [] },
    { created: [], drift: [], failed: [] },
  ]);
});

describe('objects', () => {
  test('kept, read whole, kept again without being written again', async () => {
    const digest = await keep('some bytes');
    expect(await objects.has(digest, 10)).toBe(true);
    expect(await objects.has(digest, 11)).toBe(false);
    const { size, bytes } = await objects.open(digest);
    expect([size, (await bytes.toArray()).join('')]).toEqual([10, 'some bytes']);
    await objects.keep(digest, 10, () => {
      throw new Error('the bytes are there already');
    });
    await expect(objects.open(`sha256:${'0'.repeat(64)}`)).rejects.toMatchObject({ code: 'not-found' });
  });

  test('what a publish marks again is not removed by who looked before; what nobody marks is', async () => {
    const digest = await keep('wanted again');
    const found = (await objects.inventory()).objects.find(({ name }) => name === objectName(digest))!;
    await keep('wanted again');
    expect(await objects.removeObject(found)).toBe(false);
    expect(await objects.has(digest, 12)).toBe(true);
    const now = (await objects.inventory()).objects.find(({ name }) => name === objectName(digest))!;
    expect(await objects.removeObject(now)).toBe(true);
    expect(await objects.has(digest, 12)).toBe(false);
    await expect(objects.open(digest)).rejects.toMatchObject({ code: 'not-found' });
    await keep('wanted again');
    expect((await (await objects.open(digest)).bytes.toArray()).join('')).toBe('wanted again');
  });

  test('a put that fails in the middle leaves no object', async () => {
    const digest = digestOf(bytesOf('never whole'));
    const broken = async function* () {
      yield new Uint8Array(300_000);
      throw new Error('cut');
    };
    await expect(objects.keep(digest, 600_000, broken)).rejects.toThrow(/cut/);
    expect(await objects.has(digest, 600_000)).toBe(false);
    const other = async function* () {
      yield bytesOf('other bytes');
    };
    await expect(objects.keep(digest, 11, other)).rejects.toMatchObject({ code: 'digest-mismatch' });
    expect((await objects.inventory()).loose).toEqual([]);
  });

  test('a sweep collects old bytes without a version and loose chunks, and nothing else', async () => {
    const [named, stray] = [await keep('named by a version'), await keep('named by nobody')];
    await jetstream(admin).publish('$O.CIM_BUNDLES.C.LOOSECHUNKS', bytesOf('left by a kill'));
    // The same hub, seen two days later.
    const later = { ...clock, now: () => clock.now() + 2 * 86_400_000 };
    const digests = async () => new Set([named]);
    expect(await sweep(clock, capturedLog(), objects, digests)).toBe(0);
    expect(await sweep(later, capturedLog(), objects, async () => undefined)).toBe(0);
    expect((await objects.inventory()).loose).toHaveLength(1);
    expect(await sweep(later, capturedLog(), objects, digests)).toBeGreaterThanOrEqual(2);
    const { objects: left, loose } = await objects.inventory();
    expect(left.map(({ name }) => name)).toEqual([objectName(named)]);
    expect(loose).toEqual([]);
    expect(await objects.has(stray, 15)).toBe(false);
  });
});

describe('single keys', () => {
  test('are written by compare-and-set, marked with the change; a lost race is a value, a repeated write is one', async () => {
    const bucket = createBucket(hub, 'CIM_CATALOG', 100);
    expect(await bucket.get('a.b')).toBeUndefined();
    expect(await bucket.state('a.b')).toEqual({ revision: 0, bytes: undefined, change: undefined });
    const first = await bucket.write('a.b', 'one', 0, 'change-1');
    expect(first.kind).toBe('written');
    expect(await bucket.write('a.b', 'one', 0, 'change-1')).toEqual(first);
    expect(await bucket.write('a.b', 'two', 0, 'change-2')).toEqual({ kind: 'lost' });
    const revision = first.kind === 'written' ? first.revision : 0;
    expect((await bucket.write('a.b', 'two', revision, 'change-3')).kind).toBe('written');
    expect(await bucket.write('a.b', 'three', revision, 'change-4')).toEqual({ kind: 'lost' });
    const { bytes, change } = await bucket.state('a.b');
    expect([new TextDecoder().decode(bytes), change]).toEqual(['two', 'change-3']);
    expect(() => bucket.fits('a.b', 'x'.repeat(101))).toThrow(/at most 100 bytes/);
    expect(() => bucket.write('a.b', 'x'.repeat(101), revision, 'change-5')).toThrow(/at most 100 bytes/);
  });
  test('that somebody deleted are absent, and can be written anew', async () => {
    const bucket = createBucket(hub, 'CIM_CATALOG', 100);
    expect((await bucket.write('c.d', 'one', 0, 'change-6')).kind).toBe('written');
    const jsm = await jetstreamManager(admin);
    await (await new Kvm(jsm.jetstream()).open('CIM_CATALOG')).delete('c.d');
    const { revision, bytes } = await bucket.state('c.d');
    expect([revision > 0, bytes, await bucket.get('c.d')]).toEqual([true, undefined, undefined]);
    expect((await bucket.write('c.d', 'two', revision, 'change-7')).kind).toBe('written');
  });
});

describe('a view', () => {
  test('follows writes, deletions and a stream made anew; leaves out what does not decode', async () => {
    const log = capturedLog();
    const row = topology.desired;
    const view = createView<number>({
      clock,
      random,
      log,
      hub,
      row,
      decode: (_, bytes) => {
        const value = Number(new TextDecoder().decode(bytes));
        if (Number.isNaN(value)) throw new Error('no number');
        return value;
      },
      resyncMs: 60_000,
      gone: 'drop',
    });
    view.start();
    try {
      const kv = await new Kvm(jetstream(admin)).open(row.name);
      for (let i = 0; i < 20; i++) {
        const revision = await kv.put(`k.${i % 5}`, `${i}`);
        expect((await view.fresh()).get(`k.${i % 5}`)).toMatchObject({ value: i, revision });
      }
      await kv.put('k.bad', 'text');
      await kv.delete('k.0');
      const now = await view.fresh();
      expect([...now].map(([key, { value }]) => [key, value]).sort()).toEqual([
        ['k.1', 16],
        ['k.2', 17],
        ['k.3', 18],
        ['k.4', 19],
      ]);
      expect(view.undecoded()).toBe(1);
      expect(log.messages('warn')).toEqual(['a stored value does not decode']);
      expect(Math.abs(now.get('k.1')!.storedAt - Date.now())).toBeLessThan(30_000);
      await (await jetstreamManager(admin)).streams.delete(streamName(row));
      await applyTopology(hub.current()!, clock, { replicas: 1, storage: 'file' });
      await waitFor(async () => (await view.fresh()).size === 0, 15_000, 'the view to be empty');
      await kv.put('k.9', '9');
      expect((await view.fresh()).get('k.9')?.value).toBe(9);
    } finally {
      await view.stop();
    }
  });
});

test('a hub of another domain is not taken for ours', async () => {
  const other = hubAt(nats.url, 'cim-leaf');
  await other.start();
  try {
    await waitFor(() => other.current(), 10_000, 'a connection');
    const applied = await applyTopology(other.current()!, clock, { replicas: 1, storage: 'file' });
    expect(applied.failed.map(({ fault }) => fault.code)).toEqual(['hub-unreachable']);
    await expect(createBucket(other, 'CIM_CATALOG', 100).get('a')).rejects.toMatchObject({ code: 'hub-unreachable' });
  } finally {
    await other.stop();
  }
});
