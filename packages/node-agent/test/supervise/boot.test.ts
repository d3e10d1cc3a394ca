/** A cold boot from a real disk with the hub away: desired store, bundle store, floors and supervisor together, cells faked. */
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BundleRef, Desired, Fault, silentLogger, systemClock, waitUntil } from '@cim/contracts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFloors } from '../../src/bundle/floors.ts';
import { createBundleStore } from '../../src/bundle/store.ts';
import { createDesiredStore } from '../../src/desired/store.ts';
import { createReconciler } from '../../src/supervise/reconciler.ts';
import { createRouter } from '../../src/supervise/router.ts';
import { createSupervisor } from '../../src/supervise/supervisor.ts';
import { type Hub, hub, makeBundle, publisher, trusting } from '../bundle/make.ts';
import { fakeSandbox } from './fake-sandbox.ts';

const acme = publisher();
let directory: string;
let store: Hub;
let away: boolean;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cim-boot-'));
  store = hub();
  away = false;
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** One life of a node over the directory. */
async function life() {
  const clock = systemClock;
  const log = silentLogger;
  const trust = () => trusting({ publishers: [acme.trusted] });
  const desired = createDesiredStore({ directory: join(directory, 'desired'), instance: 'leaf-1', trust, clock, log });
  const bundles = createBundleStore({
    directory: join(directory, 'bundles'),
    trust,
    maxBytes: 0,
    fetch: (want, signal) =>
      away ? Promise.reject(new Fault('hub-unreachable', 'no link to the hub')) : store.fetch(want, signal),
    clock,
    log,
  });
  const floors = createFloors({ file: join(directory, 'floors.json'), log });
  const sandbox = fakeSandbox();
  const router = createRouter({ clock, maxQueue: 100 });
  const capacity = () => ({ memoryBytes: 2 ** 40, milliCpu: 1e9, replicas: 1000 });
  const supervisor = createSupervisor({
    instance: 'leaf-1',
    sandbox,
    bundles,
    floors,
    router,
    clock,
    random: () => 0.5,
    log,
    hostDoor: () => ({ ask: async () => null, log: () => {}, metric: () => {} }),
    host: { capabilities: [], gpu: false },
    capacity,
    timing: { drainMs: 1000, probeMs: 10_000, startTimeoutMs: 5000 },
    emit: () => {},
    pinned: () => desired.digests(),
    served: (key, record) => desired.served(key, record),
    kept: (key, record) => desired.kept(key, record),
    wake: () => reconciler.wake('replica'),
  });
  const reconciler = createReconciler({ desired: () => desired.held(), supervisor, capacity, clock, log });
  await Promise.all([bundles.open(), floors.load()]);
  await desired.load();
  reconciler.wake('start');
  const status = (name: string) => supervisor.status().find((s) => s.name === name);
  return {
    bundles,
    sandbox,
    status,
    held: desired.held,
    async put(name: string, generation: number, bundle: BundleRef) {
      const document = Desired.parse({
        api: 1,
        instance: 'leaf-1',
        kind: 'agent',
        name,
        generation,
        state: 'running',
        bundle,
        issuedAt: '2025-01-01T00:00:00.000Z',
        issuedBy: 'ada',
      });
      await desired.intake([{ key: `leaf-1.agent.${name}`, revision: generation, value: { document, signatures: [] } }]);
      reconciler.wake('desired');
    },
    async until(test: () => boolean) {
      if (!(await waitUntil(clock, 5000, test, 5))) throw new Error(`still ${JSON.stringify(supervisor.status())}`);
    },
    async stop() {
      reconciler.stop();
      await supervisor.stop(1000);
    },
  };
}

test('everything that ran, runs again, with the hub away', async () => {
  const one = await makeBundle(acme, { manifest: { name: 'one' } });
  const two = await makeBundle(acme, { manifest: { name: 'two' } });
  store.put(one.bytes);
  store.put(two.bytes);
  const first = await life();
  await first.put('one', 1, one.ref);
  await first.put('two', 1, two.ref);
  await first.until(
    () => ['one', 'two'].every((name) => first.status(name)?.converged) && first.held().every(({ serving }) => serving),
  );
  await first.stop();
  away = true;
  const second = await life();
  await second.until(() => ['one', 'two'].every((name) => second.status(name)?.converged ?? false));
  expect(store.asked.length).toBe(2);
  await second.stop();
});

test('a version that could not be fetched before the boot leaves the last one serving after it', async () => {
  const v1 = await makeBundle(acme, { manifest: { name: 'one' } });
  const v2 = await makeBundle(acme, { manifest: { name: 'one', version: '2.0.0' }, sequence: 2 });
  store.put(v1.bytes);
  const first = await life();
  await first.put('one', 1, v1.ref);
  await first.until(() => first.status('one')?.converged === true && first.held()[0]!.serving !== undefined);
  await first.put('one', 2, v2.ref);
  await first.until(() => first.status('one')?.next?.reason?.code === 'not-found');
  await first.stop();
  away = true;
  const second = await life();
  await second.until(() => second.status('one')?.state === 'ready');
  expect(second.status('one')).toMatchObject({ version: '1.0.0', next: { version: '2.0.0' } });
  away = false;
  store.put(v2.bytes);
  await second.until(() => second.status('one')?.version === '2.0.0');
  await second.stop();
  expect(JSON.parse(await readFile(join(directory, 'floors.json'), 'utf8'))).toMatchObject({
    floors: [{ name: 'one', sequence: 2 }],
  });
});

test('a bundle the disk corrupted, with the hub away: said, and mended when the hub is back', async () => {
  const one = await makeBundle(acme, { manifest: { name: 'one' } });
  store.put(one.bytes);
  const first = await life();
  await first.put('one', 1, one.ref);
  await first.until(() => first.status('one')?.converged === true);
  await first.stop();
  const file = await open(join(directory, 'bundles', 'sha256', one.ref.digest.slice(7), 'bundle.tar'), 'r+');
  await file.write(Uint8Array.of(0, 0, 0), 0, 3, 600);
  await file.close();
  away = true;
  const second = await life();
  await second.until(() => second.status('one')?.reason?.code === 'hub-unreachable');
  expect(second.bundles.conditions()).toMatchObject([{ code: 'bundle-corrupt', severity: 'warning' }]);
  away = false;
  await second.until(() => second.status('one')?.converged === true);
  expect(second.bundles.conditions()).toMatchObject([{ code: 'bundle-corrupt', severity: 'info' }]);
  await second.stop();
});
