/**
 * From a capability to the replica that answers. The hot path of the node: no timer and no promise of its own where a replica is free.
 *
 * Promises:
 * R1. A call goes to the ready replica with the fewest in flight, in turn where they are equal, never above its `maxConcurrent`.
 * R2. What finds no free replica waits: at most `maxQueue` per workload, never beyond its deadline (waiting included).
 * R3. `route` swaps a workload's replicas in one turn of the event loop: no call sees both versions or none. A replica taken out ends
 *     what it has in flight and gets nothing new.
 * R4. A workload whose last replica ended keeps its offer for `gapMs`, so that a restart of milliseconds costs waiting and no error.
 */
import { type Clock, type ErrorCode, Fault, type Timer } from '@cim/contracts';
import type { AnswerText, CallRequest, Isolate, ReplicaId } from '../sandbox/sandbox.ts';
import { createLane, type Lane, type Slot } from './lane.ts';

/** Where a workload's calls go from now on. */
export interface Route {
  readonly kind: 'agent' | 'service';
  readonly name: string;
  readonly capabilities: readonly string[];
  /** Deadline of a call where the caller allows more, ms. */
  readonly timeoutMs: number;
  /** Ready replicas of the serving version. */
  readonly slots: readonly Slot[];
  /** False when no replica is to be expected soon: what waits is told so at once. */
  readonly hopeful: boolean;
}

export interface Answer {
  readonly text: AnswerText;
  readonly by: ReplicaId;
}

/** Counts of one workload since it was first routed. */
export interface RouteStats {
  readonly total: number;
  readonly failed: number;
  /** In a replica, or waiting for one. */
  readonly inFlight: number;
}

/** One call that ended: for metrics. `ms` from its arrival here, `waitedMs` of that in the queue. */
export interface Observation {
  /** Undefined when no replica took it. */
  readonly by: ReplicaId | undefined;
  readonly capability: string;
  readonly ms: number;
  readonly waitedMs: number;
  readonly code?: ErrorCode;
}

export interface RouterOptions {
  readonly clock: Clock;
  /** Calls that may wait, per workload. */
  readonly maxQueue: number;
  readonly gapMs?: number;
  readonly observe?: (observation: Observation) => void;
  /** Told of calls refused because too many wait already. */
  readonly full?: (workload: Pick<Route, 'kind' | 'name'>, detail: string) => void;
}

export interface Router {
  /** @throws Fault capability-unknown, workload-not-ready, workload-draining, overloaded, deadline-exceeded, and those of the isolate */
  call(request: CallRequest): Promise<Answer>;
  /** The same with one promise less, for what there is much of: one of the two is told, once. */
  serve(request: CallRequest, done: (text: AnswerText, by: ReplicaId) => void, failed: (error: unknown) => void): void;
  /** Anything else any replica of a workload can do, queued like a call. @throws Fault as {@link Router.call} */
  work<T>(key: string, budgetMs: number, run: (slot: Slot) => Promise<T>): Promise<T>;
  /** What this very replica must do. It counts as in flight, and begins at once. */
  workOn<T>(key: string, slot: Slot, run: () => Promise<T>): Promise<T>;
  /** What can be called here now, sorted. */
  offers(): readonly string[];
  /** Told after the offers changed. @returns takes the listener back */
  onOffers(listener: () => void): () => void;
  slot(id: ReplicaId, isolate: Isolate, maxConcurrent: number): Slot;
  /** The route of a workload; undefined takes it away. */
  route(key: string, route: Route | undefined): void;
  stats(key: string): RouteStats;
  /** From now on new calls are refused as `workload-draining`; what waits is still served. */
  close(): void;
}

interface Entry {
  readonly lane: Lane;
  route: Route;
  /** Runs while the workload has no replica and its offer still stands. */
  gap: Timer | undefined;
  offering: boolean;
  total: number;
  failed: number;
}

const NO_STATS: RouteStats = { total: 0, failed: 0, inFlight: 0 };

export function createRouter({ clock, maxQueue, gapMs = 1_000, observe, full }: RouterOptions): Router {
  const entries = new Map<string, Entry>();
  const sharing = new Map<string, Entry[]>();
  const turns = new Map<string, number>();
  const listeners = new Set<() => void>();
  let closed = false;
  /** Sorted when somebody asks. */
  let offered: readonly string[] | undefined = [];
  let told: readonly string[] = [];
  let telling = false;

  const offers = (): readonly string[] => {
    offered ??= [...sharing].flatMap(([capability, all]) => (all.some((e) => e.offering) ? [capability] : [])).sort();
    return offered;
  };

  /** Listeners hear of many changes in one turn once. */
  const offersChanged = () => {
    offered = undefined;
    if (telling) return;
    telling = true;
    queueMicrotask(() => {
      telling = false;
      const now = offers();
      if (now.length === told.length && now.every((capability, i) => capability === told[i])) return;
      told = now;
      for (const listener of listeners) listener();
    });
  };

  const index = (entry: Entry, capabilities: readonly string[], add: boolean) => {
    for (const capability of capabilities) {
      const others = (sharing.get(capability) ?? []).filter((e) => e !== entry);
      const next = add ? [...others, entry] : others;
      if (next.length > 0) sharing.set(capability, next);
      else {
        sharing.delete(capability);
        turns.delete(capability);
      }
    }
  };

  const settleOffer = (entry: Entry) => {
    const { slots, hopeful } = entry.route;
    if (slots.length > 0 || !hopeful) {
      entry.gap?.cancel();
      entry.gap = undefined;
      entry.offering = slots.length > 0;
      if (!hopeful && slots.length === 0)
        entry.lane.refuse(new Fault('workload-not-ready', `${entry.route.name} is not running; see alchemist status`));
      return;
    }
    if (!entry.offering || entry.gap) return;
    entry.gap = clock.after(gapMs, () => {
      entry.gap = undefined;
      entry.offering = false;
      entry.lane.refuse(new Fault('workload-not-ready', `${entry.route.name} has had no ready replica for ${gapMs} ms`));
      offersChanged();
    });
  };

  /** The workload that takes a call: one with a free replica if there is one, in turn where several have. */
  const choose = (capability: string): Entry => {
    const all = sharing.get(capability);
    if (all === undefined) throw new Fault('capability-unknown', `nothing on this instance offers ${capability}`);
    if (all.length === 1) return all[0]!;
    const turn = (turns.get(capability) ?? 0) % all.length;
    turns.set(capability, turn + 1);
    const inTurn = [...all.slice(turn), ...all.slice(0, turn)];
    return inTurn.find(({ lane }) => lane.free()) ?? inTurn.find(({ offering }) => offering) ?? inTurn[0]!;
  };

  const admitted = (entry: Entry): Entry => {
    if (closed) throw new Fault('workload-draining', 'this instance is draining');
    if (!entry.offering) throw new Fault('workload-not-ready', `${entry.route.name} has no ready replica`);
    return entry;
  };

  const begin: Router['serve'] = (request, done, failed) => {
    const { capability } = request;
    const entry = admitted(choose(capability));
    const budgetMs = Math.min(request.budgetMs, entry.route.timeoutMs);
    const capped = budgetMs === request.budgetMs ? request : { ...request, budgetMs };
    const begun = observe ? clock.monotonic() : 0;
    let by: ReplicaId | undefined;
    let waitedMs = 0;
    entry.total++;
    const take = (slot: Slot, waited: number): Promise<AnswerText> => {
      by = slot.id;
      if (waited === 0) return slot.isolate.call(capped);
      waitedMs = waited;
      // The version may have changed while it waited.
      if (!entry.route.capabilities.includes(capability))
        throw new Fault('capability-unknown', `${slot.id.name}@${slot.id.version} no longer offers ${capability}`);
      return slot.isolate.call({ ...capped, budgetMs: Math.max(budgetMs - waited, 1) });
    };
    entry.lane.start(
      budgetMs,
      take,
      (text) => {
        observe?.({ by, capability, ms: clock.monotonic() - begun, waitedMs });
        done(text, by!);
      },
      (error) => {
        entry.failed++;
        if (by === undefined && error instanceof Fault && error.code === 'overloaded') full?.(entry.route, error.detail);
        observe?.({
          by,
          capability,
          ms: clock.monotonic() - begun,
          waitedMs,
          code: error instanceof Fault ? error.code : 'internal',
        });
        failed(error);
      },
    );
  };

  const serve: Router['serve'] = (request, done, failed) => {
    try {
      begin(request, done, failed);
    } catch (error) {
      observe?.({ by: undefined, capability: request.capability, ms: 0, waitedMs: 0, code: Fault.of(error).code });
      failed(error);
    }
  };

  return {
    call: (request) => new Promise((resolve, reject) => serve(request, (text, by) => resolve({ text, by }), reject)),
    serve,
    async work(key, budgetMs, run) {
      const entry = entries.get(key);
      if (!entry) throw new Fault('workload-not-ready', `${key} is not running`);
      return admitted(entry).lane.run(budgetMs, run);
    },
    workOn(key, slot, run) {
      const entry = entries.get(key);
      return entry ? entry.lane.on(slot, run) : Promise.reject(new Fault('workload-not-ready', `${key} is not running`));
    },
    offers,
    onOffers(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    slot: (id, isolate, max) => ({ id, isolate, max, inFlight: 0, idle: () => {} }),
    route(key, route) {
      let entry = entries.get(key);
      if (!route) {
        if (!entry) return;
        entry.gap?.cancel();
        entries.delete(key);
        index(entry, entry.route.capabilities, false);
        entry.lane.set([]);
        entry.lane.refuse(new Fault('workload-draining', `${entry.route.name} was taken away`));
        offersChanged();
        return;
      }
      if (!entry) {
        entry = { lane: createLane({ key, clock, maxQueue }), route, gap: undefined, offering: false, total: 0, failed: 0 };
        entries.set(key, entry);
        index(entry, route.capabilities, true);
      } else if (entry.route.capabilities !== route.capabilities) {
        index(entry, entry.route.capabilities, false);
        index(entry, route.capabilities, true);
      }
      entry.route = route;
      settleOffer(entry);
      entry.lane.set(route.slots);
      offersChanged();
    },
    stats(key) {
      const entry = entries.get(key);
      return entry ? { total: entry.total, failed: entry.failed, inFlight: entry.lane.inFlight() } : NO_STATS;
    },
    close() {
      closed = true;
    },
  };
}
