/**
 * Owns every workload and every replica: takes the planner's steps, and tells the reconciler when anything has changed.
 *
 * Promises:
 * V1. `apply` begins and never waits; whatever comes of a step wakes the reconciler.
 * V2. Calls move to a new version in one turn (`shift`); a replica that drains gets nothing new and ends what it has.
 * V3. Nothing answers calls that the next boot would not start: its record is on the disk by then. What came to serve is noted there with
 *     its anti-rollback floor; on a cold boot it serves again while a newer one cannot start.
 * V4. `stop` lets what waits and what is in flight end, then closes everything at once, within its deadline.
 */
import {
  type Clock,
  type Desired,
  type DesiredRecord,
  type Fault,
  type Limits,
  LONGEST_CALL_MS,
  type Logger,
  type Manifest,
  type Policy,
  type WorkloadStatus,
  waitUntil,
  withDeadline,
} from '@cim/contracts';
import type { Floors } from '../bundle/floors.ts';
import type { BundleStore } from '../bundle/store.ts';
import type { VerifiedBundle } from '../bundle/verified.ts';
import type { Capacity, HostFacts } from '../core/admit.ts';
import type { Step } from '../core/plan.ts';
import { defaultRestartPolicy, type RestartPolicy } from '../core/restart.ts';
import type { Held } from '../desired/store.ts';
import type { HostDoor, ReplicaId, Sandbox } from '../sandbox/sandbox.ts';
import { createChances } from './chances.ts';
import { createEditions, type Emit } from './editions.ts';
import { createNotes } from './notes.ts';
import type { Reconciled } from './reconciler.ts';
import { openReplica, type Replica, type ReplicaTiming } from './replica.ts';
import { listWorkloads, type Roster } from './roster.ts';
import type { Router } from './router.ts';
import { createSchedules } from './schedules.ts';
import { isConverged, statusOf } from './status.ts';
import { subscriptionsOf, type WorkloadSubscription } from './subscriptions.ts';
import { type Edition, manifestOf, readyOf, seenOf, type Workload } from './workload.ts';

export interface SupervisorOptions {
  readonly instance: string;
  readonly sandbox: Sandbox;
  readonly bundles: BundleStore;
  readonly floors: Floors;
  readonly router: Router;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly hostDoor: (id: ReplicaId, bundle: VerifiedBundle, limits: Limits, sealed: () => Desired['secrets']) => HostDoor;
  readonly host: HostFacts;
  readonly capacity: () => Capacity;
  /** What workloads may ask for here; absent bounds nothing. */
  readonly policy?: Policy;
  /** `drainMs`: how long what is in flight may take when a replica drains. */
  readonly timing: ReplicaTiming & { readonly drainMs: number };
  readonly emit: Emit;
  /** Digests that must stay on the disk beyond those in use. */
  readonly pinned: () => ReadonlySet<string>;
  /** Notes durably that this record's edition now answers calls. */
  readonly served: (key: string, record: DesiredRecord) => Promise<void>;
  /** Resolves when this record is on the disk. @throws Fault when it could not be put there */
  readonly kept: (key: string, record: DesiredRecord) => Promise<void>;
  /** Asks the reconciler for a pass. */
  readonly wake: () => void;
  readonly restart?: RestartPolicy;
}

export interface Supervisor extends Reconciled {
  /** What every workload is at, by key; removed ones are shown as stopped for a while. */
  status(): WorkloadStatus[];
  /** Told after status or subscriptions may have changed. @returns takes the listener back */
  onChange(listener: () => void): () => void;
  subscriptions(): WorkloadSubscription[];
  /** The manifest of what serves under a key (`agent.hello`) or a name. */
  manifest(workload: string): Manifest | undefined;
  /** Another chance for what failed to start or to stay up: call it when something it may have waited for is back. */
  retryFailed(): void;
  /**
   * Something else is trusted than before: what may no longer run is stopped at once, without draining, and shown as failed with the
   * reason; what was refused for want of trust gets another chance.
   */
  retrust(judge: (bundle: VerifiedBundle) => Fault | undefined): void;
  /** Ends everything. Calls must no longer arrive. Always resolves. */
  stop(deadlineMs: number): Promise<void>;
}

/** How long past the deadline of a stop a close may take, ms. */
const CLOSE_GRACE_MS = 500;

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { clock, log, router, emit } = options;
  const listeners = new Set<() => void>();
  const dirty = new Set<Workload>();
  /** Editions that lacked room in the last plan. */
  const blocked = new Map<Edition, Workload>();
  const schedules = createSchedules({ clock, log });
  let nextId = 1;
  type Phase = { readonly kind: 'running' } | { readonly kind: 'stopping'; readonly empty: () => void };
  let phase: Phase = { kind: 'running' };

  const touch = (workload: Workload) => {
    workload.seen = undefined;
    dirty.add(workload);
  };
  const changed = (workload: Workload) => {
    touch(workload);
    options.wake();
  };
  const editions = createEditions({
    ...options,
    policy: options.policy ?? {},
    restart: options.restart ?? defaultRestartPolicy,
    changed,
  });
  const roster: Roster = listWorkloads({ clock, editions, changed: touch });

  const notes = createNotes({ ...options, workloads: () => roster.all() });
  const chances = createChances({
    workloads: () => roster.all(),
    editions,
    lifted(workload) {
      reroute(workload);
      changed(workload);
    },
  });

  /** Calls, subscriptions and schedules of a workload, from what it is now. */
  const reroute = (workload: Workload) => {
    const { key, serving } = workload;
    const edition = serving && workload.editions.get(serving.edition);
    if (!serving || edition?.bundle.kind !== 'here' || !roster.has(workload)) {
      router.route(key, undefined);
      schedules.clear(key);
      return;
    }
    const { verified, limits, capabilities } = edition.bundle;
    const slots = readyOf(workload, edition.id).flatMap((replica) => {
      const phase = replica.phase();
      return phase.kind === 'ready' ? [phase.slot] : [];
    });
    const hopeful = edition.hold.kind !== 'given-up' && workload.wanted.state === 'running' && serving.replicas > 0;
    router.route(key, { kind: workload.kind, name: workload.name, capabilities, timeoutMs: limits.timeoutMs, slots, hopeful });
    if (hopeful && phase.kind === 'running')
      schedules.set(key, verified.manifest.schedule, (entry) => runScheduled(workload, entry));
    else schedules.clear(key);
  };

  /** On the first ready replica and no other; skipped while there is none. */
  const runScheduled = async (workload: Workload, entry: string): Promise<void> => {
    const first = workload.serving && readyOf(workload, workload.serving.edition)[0]?.phase();
    if (first?.kind !== 'ready') return;
    const { slot, isolate } = first;
    await router.workOn(workload.key, slot, () =>
      withDeadline(clock, LONGEST_CALL_MS, `schedule ${entry}`, () => isolate.run(entry)),
    );
  };

  const start = (workload: Workload, edition: Edition, index: number) => {
    const { bundle } = edition;
    if (bundle.kind !== 'here') return;
    const { record } = edition;
    const { document } = record;
    const { verified, limits } = bundle;
    const { manifest } = verified;
    const id: ReplicaId = {
      instance: options.instance,
      kind: workload.kind,
      name: workload.name,
      version: manifest.version,
      replica: index,
    };
    if (!edition.begun) {
      edition.begun = true;
      emit(
        `${workload.kind}.starting`,
        { version: id.version, digest: document.bundle.digest, generation: document.generation },
        id.name,
      );
    }
    const replica = openReplica(
      {
        ...options,
        slotFor: (isolate) => router.slot(id, isolate, limits.maxConcurrent),
        kept: () => options.kept(workload.key, record),
        ready: () => ready(workload, edition),
        trouble: (_, ending) => {
          editions.ended(workload, edition, ending);
          reroute(workload);
          changed(workload);
        },
        gone: ({ id }) => {
          workload.replicas.delete(id);
          emptied();
          changed(workload);
        },
        idle: () => changed(workload),
      },
      { id: nextId++, edition: edition.id, index },
      () => ({
        id,
        bundle: verified,
        limits,
        // What once went over a limit shares its cell with nobody.
        isolation: edition.history.strikes.length > 0 ? 'dedicated' : document.isolation,
        config: { ...manifest.config, ...document.config },
        host: options.hostDoor(id, verified, limits, () => edition.record.document.secrets),
      }),
      manifest.hooks.health,
    );
    workload.replicas.set(replica.id, replica);
  };

  const ready = (workload: Workload, edition: Edition) => {
    if (readyOf(workload, edition.id).length >= edition.record.document.replicas) edition.reason = undefined;
    if (edition.recovering) {
      const { version, digest } = edition.record.document.bundle;
      emit(
        `${workload.kind}.restarted`,
        { version, digest, restarts: workload.restarts, after: edition.recovering },
        workload.name,
      );
      edition.recovering = undefined;
    }
    if (workload.serving?.edition === edition.id) reroute(workload);
    changed(workload);
  };

  const shift = (workload: Workload, editionId: string, replicas: number) => {
    const before = workload.serving?.edition;
    workload.serving = { edition: editionId, replicas };
    const edition = workload.editions.get(editionId);
    reroute(workload);
    if (before !== editionId && edition) notes.serves(workload, edition);
  };

  const emptied = () => {
    if (phase.kind === 'stopping' && roster.all().every(({ replicas }) => replicas.size === 0)) phase.empty();
  };

  const take = (step: Exclude<Step, { kind: 'wait' }>) => {
    const workload = roster.get(step.key);
    if (!workload) return;
    touch(workload);
    switch (step.kind) {
      case 'fetch':
        return editions.fetch(workload, roster.edition(workload, step.edition));
      case 'start':
        return start(workload, roster.edition(workload, step.edition), step.index);
      case 'shift':
        return shift(workload, step.edition, step.replicas);
      case 'drain':
        return drain(workload, workload.replicas.get(step.id));
      case 'stop': {
        const phase = workload.replicas.get(step.id)?.phase();
        const left = phase?.kind === 'draining' ? phase.until - clock.monotonic() : 0;
        return workload.replicas.get(step.id)?.stop(Math.max(left, 0));
      }
      case 'forget': {
        const edition = workload.editions.get(step.edition);
        if (edition) editions.abandon(edition);
        workload.editions.delete(step.edition);
        return;
      }
      case 'remove': {
        const { version } = workload.record.document.bundle;
        const { generation } = workload.record.document;
        for (const edition of workload.editions.values()) editions.abandon(edition);
        roster.remove(workload, statusOf(workload, router.stats(workload.key), clock.now()));
        reroute(workload);
        notes.collect();
        return emit(`${workload.kind}.removed`, { version, generation }, workload.name);
      }
      case 'blocked': {
        const edition = roster.edition(workload, step.edition);
        if (edition.blocked === undefined)
          log.warn({ workload: workload.key, detail: step.detail }, 'no room to start a workload');
        edition.blocked = step.detail;
        blocked.set(edition, workload);
      }
    }
  };

  const drain = (workload: Workload, replica: Replica | undefined) => {
    if (!replica) return;
    const others = readyOf(workload, replica.edition);
    replica.drain(clock.monotonic() + options.timing.drainMs);
    reroute(workload);
    // Only now is it known when it must be over: the next pass waits for that.
    options.wake();
    // Told once for an edition that leaves as a whole, and for each replica where only some do.
    if (others.length > 1 && workload.serving?.edition !== replica.edition) return;
    const bundle = workload.editions.get(replica.edition)?.record.document.bundle;
    emit(
      `${workload.kind}.draining`,
      { version: bundle?.version, digest: bundle?.digest, replica: replica.index },
      workload.name,
    );
  };

  const announce = (workload: Workload) => {
    const edition = workload.serving?.edition;
    if (
      edition === undefined ||
      workload.announced === edition ||
      workload.wanted.state !== 'running' ||
      !isConverged(workload)
    )
      return;
    workload.announced = edition;
    const { bundle, generation, replicas } = workload.record.document;
    emit(`${workload.kind}.deployed`, { version: bundle.version, digest: bundle.digest, generation, replicas }, workload.name);
  };

  return {
    want: (held: readonly Held[]) => roster.want(held),
    wanted: () => roster.wanted(),
    observed: () => roster.all().map(seenOf),
    apply(steps) {
      if (phase.kind === 'stopping') return;
      for (const [edition, workload] of blocked) {
        if (steps.some((s) => s.kind === 'blocked' && s.key === workload.key && s.edition === edition.id)) continue;
        edition.blocked = undefined;
        blocked.delete(edition);
        touch(workload);
      }
      for (const step of steps) {
        if (step.kind === 'wait') continue;
        try {
          take(step);
        } catch (error) {
          // A step that cannot be taken must not keep the other workloads from theirs.
          log.error({ step, error: (error as Error).stack ?? String(error) }, 'a step could not be taken');
        }
      }
      if (dirty.size === 0) return;
      for (const workload of dirty) announce(workload);
      dirty.clear();
      for (const listener of listeners) listener();
    },
    status() {
      const now = clock.now();
      return [...roster.all().map((w) => statusOf(w, router.stats(w.key), now)), ...roster.removed(now)];
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    subscriptions: () => roster.all().flatMap((workload) => subscriptionsOf(workload, router)),
    manifest(of) {
      const found = roster.get(of) ?? roster.all().find(({ name }) => name === of);
      return found && manifestOf(found);
    },
    retryFailed: chances.retryFailed,
    retrust: chances.retrust,
    async stop(deadlineMs) {
      if (phase.kind === 'stopping') return;
      const empty = Promise.withResolvers<void>();
      phase = { kind: 'stopping', empty: empty.resolve };
      const end = clock.monotonic() + deadlineMs;
      const all = roster.all();
      for (const { key, editions: own } of all) {
        schedules.clear(key);
        for (const edition of own.values()) if (edition.bundle.kind === 'fetching') editions.abandon(edition);
      }
      // What waits in a queue needs its replicas: they are closed when it has been served, or when a third of the time is left.
      await waitUntil(clock, (deadlineMs * 2) / 3, () => all.every(({ key }) => router.stats(key).inFlight === 0));
      for (const { key } of all) router.route(key, undefined);
      const left = Math.max(end - clock.monotonic(), 0);
      for (const { replicas } of all) for (const replica of replicas.values()) replica.stop(left);
      emptied();
      try {
        await withDeadline(clock, left + CLOSE_GRACE_MS, 'closing the replicas', () =>
          Promise.all([empty.promise, notes.settled()]),
        );
      } catch {
        log.error({ left: all.reduce((n, { replicas }) => n + replicas.size, 0) }, 'replicas were left to the sandbox to kill');
      }
    },
  };
}
