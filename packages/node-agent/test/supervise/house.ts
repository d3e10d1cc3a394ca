/** Supervisor, reconciler and router put together as the composition root does, over a fake sandbox, a fake store and a manual clock. */
import { Desired, type DesiredRecord, digestOf, Fault, Manifest, PublicKey, silentLogger } from '@cim/contracts';
import type { BundleStore } from '../../src/bundle/store.ts';
import { asVerified, type VerifiedBundle } from '../../src/bundle/verified.ts';
import type { Capacity } from '../../src/core/admit.ts';
import type { Held } from '../../src/desired/store.ts';
import { createReconciler } from '../../src/supervise/reconciler.ts';
import { createRouter } from '../../src/supervise/router.ts';
import { createSupervisor } from '../../src/supervise/supervisor.ts';
import { fakeSandbox } from './fake-sandbox.ts';
import { manualClock } from './manual-clock.ts';

export interface HouseOptions {
  readonly capacity?: Partial<Capacity>;
  /** What an earlier life of the node left on its disk. */
  readonly held?: readonly Held[];
  readonly floors?: Map<string, number>;
}

const key = PublicKey.parse(`A${'B'.repeat(55)}`);
const digestFor = (name: string, version: string) => digestOf(new TextEncoder().encode(`${name}@${version}`));

export function house(options: HouseOptions = {}) {
  const clock = manualClock();
  const sandbox = fakeSandbox();
  const router = createRouter({ clock, maxQueue: 100 });
  const events: { type: string; subject: string; data: Record<string, unknown> }[] = [];
  const floors = options.floors ?? new Map<string, number>();
  const capacity: Capacity = { memoryBytes: 2 ** 40, milliCpu: 1e9, replicas: 10_000, ...options.capacity };
  const bundles = new Map<string, VerifiedBundle>();
  /** What fetching a digest does instead. */
  const failing = new Map<string, () => Fault>();
  const hanging = new Map<string, PromiseWithResolvers<never>>();
  const fetched: string[] = [];
  const collected: ReadonlySet<string>[] = [];
  let held: readonly Held[] = options.held ?? [];
  /** What keeping a record on the disk takes. */
  let disk: Promise<void> = Promise.resolve();
  let generations = held.reduce((most, { record }) => Math.max(most, record.document.generation), 0);

  const store: BundleStore = {
    open: async () => {},
    async get(ref, _expected, signal, pulled) {
      fetched.push(ref.version);
      await new Promise<void>((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      const hung = hanging.get(ref.digest);
      if (hung) {
        signal.addEventListener('abort', () => hung.reject(signal.reason), { once: true });
        await hung.promise;
      }
      const fault = failing.get(ref.digest)?.();
      if (fault) throw fault;
      const bundle = bundles.get(ref.digest);
      if (!bundle) throw new Fault('not-found', ref.digest);
      pulled?.();
      return bundle;
    },
    async collect(keep) {
      collected.push(keep);
      return { removed: 0, bytes: 0 };
    },
    conditions: () => [],
  };

  const supervisor = createSupervisor({
    instance: 'leaf-1',
    sandbox,
    bundles: store,
    floors: {
      load: async () => {},
      floorOf: (name) => floors.get(name) ?? 0,
      raise: async (name, _publisher, sequence) => void floors.set(name, Math.max(sequence, floors.get(name) ?? 0)),
    },
    router,
    clock,
    random: () => 0.5,
    log: silentLogger,
    hostDoor: () => ({ ask: async () => null, log: () => {}, metric: () => {} }),
    host: { capabilities: ['ssd'], gpu: false },
    capacity: () => capacity,
    timing: { drainMs: 20_000, probeMs: 10_000, startTimeoutMs: 20_000 },
    emit: (type, data, subject) => events.push({ type, data, subject }),
    pinned: () => new Set(),
    served: async (of, record) => {
      held = held.map((h) => (h.key === of ? { ...h, serving: record } : h));
    },
    kept: () => disk,
    wake: () => reconciler.wake('replica'),
  });
  const reconciler = createReconciler({ desired: () => held, supervisor, capacity: () => capacity, clock, log: silentLogger });

  /** Makes a bundle known to the fake store. */
  const publish = (name: string, version: string, manifest: Record<string, unknown> = {}, sequence = 1) => {
    const parsed = Manifest.parse({
      api: 1,
      name,
      version,
      kind: 'agent',
      capabilities: { [`${name}.greet`]: {} },
      ...manifest,
    });
    const digest = digestFor(name, version);
    const bundle = asVerified({
      statement: {
        name: parsed.name,
        version: parsed.version,
        kind: 'agent',
        digest,
        size: 1,
        manifestDigest: digest,
        sequence,
      },
      manifest: parsed,
      publisher: { name: 'acme', key },
      entry: '',
      sourceMap: undefined,
      asset: async () => undefined,
    });
    bundles.set(digest, bundle);
  };

  const recordOf = (name: string, version: string, change: Record<string, unknown> = {}): DesiredRecord => ({
    signatures: [],
    document: Desired.parse({
      api: 1,
      instance: 'leaf-1',
      kind: 'agent',
      name,
      generation: ++generations,
      state: 'running',
      bundle: {
        version,
        digest: digestFor(name, version),
        size: 1,
        envelope: { payloadType: 'x', payload: '', signatures: [{ keyid: key, sig: '' }] },
      },
      issuedAt: '2025-01-01T00:00:00.000Z',
      issuedBy: 'ada',
      ...change,
    }),
  });

  const put = (record: DesiredRecord) => {
    const of = `agent.${record.document.name}`;
    const before = held.find((h) => h.key === of);
    const serving = record.document.state === 'removed' ? undefined : before?.serving;
    const next: Held = { key: of, record, revision: record.document.generation, ...(serving ? { serving } : {}) };
    held = [...held.filter((h) => h.key !== of), next].sort((a, b) => (a.key < b.key ? -1 : 1));
    reconciler.wake('desired');
  };

  return {
    clock,
    sandbox,
    router,
    supervisor,
    reconciler,
    events,
    fetched,
    collected,
    failing,
    floors,
    publish,
    recordOf,
    held: () => held,
    /** From now on records are kept when this is. */
    slowDisk: (done: Promise<void>) => {
      disk = done;
    },
    /** Puts a desired document; nothing happens yet. */
    put: (name: string, version: string, change?: Record<string, unknown>) => put(recordOf(name, version, change)),
    /** Puts a desired document and lets everything that needs no time happen. */
    async deploy(name: string, version: string, change: Record<string, unknown> = {}) {
      put(recordOf(name, version, change));
      await clock.advance(0);
    },
    /** Makes fetching this bundle fail until the result is called. */
    breakFetch(name: string, version: string, fault: () => Fault) {
      failing.set(digestFor(name, version), fault);
      return () => void failing.delete(digestFor(name, version));
    },
    /** Makes fetching this bundle hang. @returns says whether its signal has ended it */
    hangFetch(name: string, version: string) {
      const hung = Promise.withResolvers<never>();
      let ended = false;
      hung.promise.catch(() => {
        ended = true;
      });
      hanging.set(digestFor(name, version), hung);
      return () => ended;
    },
    status: (name: string) => supervisor.status().find((s) => s.name === name),
    async call(capability: string, budgetMs = 1000) {
      const { text } = await router.call({ callId: 'c', capability, input: '{}', budgetMs, correlationId: 'x' });
      return JSON.parse(text.toString()) as string;
    },
    said: (...types: string[]) =>
      events.filter(({ type }) => types.length === 0 || types.includes(type)).map(({ type }) => type),
    /** Living replicas as `name@version#replica`, in order. */
    living: () =>
      sandbox
        .living()
        .map(({ options: { id } }) => `${id.name}@${id.version}#${id.replica}`)
        .sort(),
  };
}

export type House = ReturnType<typeof house>;
