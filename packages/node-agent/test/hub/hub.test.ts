/** What the node hears from the hub through its leaf, with the product's own permissions and real servers, across cuts. */
import { join } from 'node:path';
import { Fault, silentLogger, systemClock, waitUntil } from '@cim/contracts';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBundleFetch } from '../../src/hub/bundle-fetch.ts';
import { createConsumerSlots } from '../../src/hub/consumer-slots.ts';
import { createDesiredSource, type RawDesired } from '../../src/hub/desired-source.ts';
import { createEvents } from '../../src/hub/events.ts';
import { createForwarder } from '../../src/hub/forwarder.ts';
import { createHeartbeat } from '../../src/hub/heartbeat.ts';
import { applyLeafTopology } from '../../src/hub/leaf-streams.ts';
import { read } from '../../src/hub/read.ts';
import { INSTANCE, inbox, type Place, place } from './place.ts';

let here: Place;
const clock = systemClock;
const log = silentLogger;
const until = (test: () => boolean | Promise<boolean>, ms = 15_000) => waitUntil(clock, ms, test, 20);

beforeAll(async () => {
  here = await place();
});
afterAll(() => here.close());

function source(received: (documents: readonly RawDesired[], whole: boolean) => void, resyncMs = 60_000) {
  const changes: boolean[] = [];
  const made = createDesiredSource({
    clock,
    random: Math.random,
    log,
    leaf: here.leaf,
    instance: INSTANCE,
    hubDomain: 'hub',
    inboxPrefix: inbox,
    resyncMs,
    received,
    hubChanged: (reachable) => changes.push(reachable),
  });
  return { ...made, changes };
}

test('desired documents arrive whole, then one by one, and only our own', async () => {
  await here.putDesired(`${INSTANCE}.agent.one`, '{"n":1}');
  await here.putDesired(`${INSTANCE}.agent.two`, '{"n":2}');
  await here.putDesired('cim-b.agent.other', '{"n":3}');
  const got: { keys: string[]; whole: boolean }[] = [];
  const watch = source((documents, whole) => got.push({ keys: documents.map(({ key }) => key), whole }));
  watch.start();
  expect(await until(() => got.length > 0)).toBe(true);
  expect(got[0]).toEqual({ keys: [`${INSTANCE}.agent.one`, `${INSTANCE}.agent.two`], whole: true });
  await here.putDesired(`${INSTANCE}.agent.three`, '{"n":3}');
  expect(await until(() => got.length > 1)).toBe(true);
  expect(got[1]).toEqual({ keys: [`${INSTANCE}.agent.three`], whole: false });
  expect(watch.hub().reachable).toBe(true);
  await watch.stop();
  // Started again it takes the same name again: the hub keeps one consumer for it, not one a start.
  const again = source(() => {});
  again.start();
  expect(await until(() => again.hub().reachable)).toBe(true);
  await again.stop();
  const left = await jetstreamManager(here.admin).then((jsm) => jsm.consumers.list('KV_CIM_DESIRED').next());
  expect(left.map(({ name }) => name)).toEqual([`${INSTANCE}_0`]);
  expect(left[0]?.config.inactive_threshold).toBe(90e9);
});

test('whoever stops does not wait for a registry that is away', async () => {
  // A question that is never answered, nor given up.
  const asked = Promise.withResolvers<void>();
  const connection = Object.create(here.leaf.current()!, {
    request: {
      value: () => {
        asked.resolve();
        return new Promise(() => {});
      },
    },
  });
  const stop = new AbortController();
  const reading = read({
    connection,
    clock,
    instance: INSTANCE,
    hubDomain: 'hub',
    row: 'desired',
    slots: createConsumerSlots(1),
    from: 'last',
    heartbeatMs: 2_000,
    inboxPrefix: inbox,
    signal: stop.signal,
    empty: () => {},
    each: () => {},
  });
  await asked.promise;
  stop.abort();
  expect(await reading).toEqual({ kind: 'stopped' });
}, 3_000);

test('everything is read anew at each resync, whatever the watch said', async () => {
  let wholes = 0;
  const watch = source((_, whole) => {
    if (whole) wholes++;
  }, 300);
  watch.start();
  expect(await until(() => wholes >= 3)).toBe(true);
  await watch.stop();
});

test('a bundle is fetched from any byte on, at the chunk before it', async () => {
  const { digest, bytes } = await here.putBundle(1_000_000);
  const fetch = createBundleFetch({ clock, leaf: here.leaf, hubDomain: 'hub', inboxPrefix: inbox });
  for (const from of [0, 1, 131_072, 500_000, 999_999, 1_000_000]) {
    const { offset, chunks } = await fetch(digest, bytes.length, from, new AbortController().signal);
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    expect(offset).toBeLessThanOrEqual(from);
    expect(from - offset).toBeLessThanOrEqual(131_072);
    expect(Buffer.concat(parts).equals(bytes.subarray(offset))).toBe(true);
  }
});

test('a reader that stops early takes the fetch down with it, and leaves no consumer', async () => {
  const { digest, bytes } = await here.putBundle(4_000_000);
  const fetch = createBundleFetch({ clock, leaf: here.leaf, hubDomain: 'hub', inboxPrefix: inbox });
  const { chunks } = await fetch(digest, bytes.length, 0, new AbortController().signal);
  for await (const chunk of chunks) {
    expect(chunk.length).toBeGreaterThan(0);
    break;
  }
  const consumers = async () => (await (await jetstreamManager(here.admin)).consumers.list('OBJ_CIM_BUNDLES').next()).length;
  expect(await until(async () => (await consumers()) === 0)).toBe(true);
});

test('what is not in the store, or has another size, is told apart', async () => {
  const fetch = createBundleFetch({ clock, leaf: here.leaf, hubDomain: 'hub', inboxPrefix: inbox });
  const signal = new AbortController().signal;
  await expect(fetch(`sha256:${'0'.repeat(64)}`, 1, 0, signal)).rejects.toMatchObject({ code: 'not-found' });
  const { digest, bytes } = await here.putBundle(1000);
  await expect(fetch(digest, bytes.length + 1, 0, signal)).rejects.toSatisfy(
    (fault) => fault instanceof Fault && fault.code === 'digest-mismatch',
  );
});

test('the hub is killed: events wait at the leaf, then all are there in order and once; desired state and heartbeats come back', async () => {
  await applyLeafTopology(here.leaf.current()!, INSTANCE, log);
  const got: string[] = [];
  const watch = source((documents) => got.push(...documents.map(({ key }) => key)));
  watch.start();
  const file = join(here.directory, 'forwarded.json');
  const make = () =>
    createForwarder({
      clock,
      random: Math.random,
      log,
      leaf: here.leaf,
      instance: INSTANCE,
      hubDomain: 'hub',
      inboxPrefix: inbox,
      streamReady: () => true,
      file,
    });
  const events = createEvents({ clock, log, leaf: here.leaf, instance: INSTANCE, streamReady: () => true, forwarder: make() });
  const heartbeat = createHeartbeat({
    clock,
    random: Math.random,
    log,
    leaf: here.leaf,
    hubDomain: 'hub',
    periodMs: 300,
    instance: INSTANCE,
    status: () => ({ at: 'now' }) as never,
  });
  events.start();
  heartbeat.start();
  let n = 0;
  const say = (count: number) => {
    for (let i = 0; i < count; i++) events.emit({ id: 'x', part: 'node-agent', type: 'agent.deployed', data: { n: n++ } });
  };
  say(200);
  expect(await until(async () => (await here.eventsAtHub()) === 200)).toBe(true);
  expect(await until(() => events.lag() === 0 && heartbeat.lastAcknowledged() !== undefined)).toBe(true);

  await here.hub.kill();
  say(150);
  expect(await until(() => !watch.hub().reachable)).toBe(true);
  expect(await until(() => (events.lag() ?? 0) === 150)).toBe(true);
  const before = heartbeat.lastAcknowledged()!;
  await here.hub.start();
  expect(await until(() => watch.hub().reachable, 20_000)).toBe(true);
  expect(await until(async () => (await here.eventsAtHub()) === 350, 20_000)).toBe(true);
  expect(await until(() => (heartbeat.lastAcknowledged() ?? 0) > before, 20_000)).toBe(true);
  await here.putDesired(`${INSTANCE}.agent.after`, '{}');
  expect(await until(() => got.includes(`${INSTANCE}.agent.after`))).toBe(true);
  expect(watch.changes.filter((up) => !up).length).toBeGreaterThanOrEqual(1);

  // A crash between the hub's acknowledgement and our own note: the hub's last event says how far we were.
  await events.stop(1_000);
  const { rm } = await import('node:fs/promises');
  await rm(file);
  const again = make();
  again.start();
  expect(await until(() => again.lag() === 0)).toBe(true);
  expect(await here.eventsAtHub()).toBe(350);
  await again.stop();

  const stored = await (await jetstreamManager(here.admin)).streams.getMessage('CIM_EVENTS', { seq: 350 });
  expect(stored?.subject).toBe(`cim.v1.evt.${INSTANCE}.agent.x.deployed`);
  expect(stored?.json<{ data: { n: number } }>().data.n).toBe(349);
  const status = await new Kvm(jetstream(here.admin)).open('CIM_NODES').then((kv) => kv.get(INSTANCE));
  expect(status?.json()).toEqual({ at: 'now' });
  await heartbeat.stop();
  await watch.stop();
}, 90_000);

test('the leaf restarts under the node: the connection is found again and the hub with it', async () => {
  const got: string[] = [];
  const watch = source((documents) => got.push(...documents.map(({ key }) => key)));
  watch.start();
  expect(await until(() => watch.hub().reachable)).toBe(true);
  await here.leafServer.kill();
  expect(await until(() => here.leaf.current() === undefined)).toBe(true);
  await here.leafServer.start();
  expect(await until(() => here.leaf.current() !== undefined)).toBe(true);
  expect(here.leaf.reconnects()).toBeGreaterThan(0);
  await here.putDesired(`${INSTANCE}.agent.later`, '{}');
  expect(await until(() => got.includes(`${INSTANCE}.agent.later`), 20_000)).toBe(true);
  await watch.stop();
}, 60_000);
