/**
 * What to do next, from what should be and what is. Pure and level-triggered: nothing is remembered between two plans.
 *
 * Promises:
 * P1. Deterministic; the order of its inputs does not matter. When nothing changed and nothing is due, it is empty.
 * P2. A serving edition keeps its ready replicas until the next one has as many ready as were asked for; then one `shift` moves all
 *     calls at once and the old ones drain. While the next one cannot start, the old one serves and is kept up.
 * P3. A change on its way in is replaced by a newer one. `removed` drains, stops and forgets. A key that is not wanted and not removed
 *     is left alone.
 * P4. What is set aside never exceeds the capacity, but by `surge` while a version is being replaced, and not once it is.
 * P5. One workload's trouble takes nothing from another but the room it really holds; those that failed least go first.
 *
 * An *edition* is what a replica is made of: bundle, limits, config, isolation. Another number of replicas is the same edition.
 */
import { type Capacity, shortOf } from './admit.ts';
import type { Demand } from './limits.ts';

export interface PlanPolicy {
  /** Part of memory and replicas that replacements may go beyond the capacity for a while, e.g. 0.5; for cpu it is always 1. */
  readonly surge: number;
  /** Replicas starting at a time, so that each gets enough of the machine to start before its deadline. */
  readonly maxStarting: number;
  /** Bundles fetched at a time. */
  readonly maxFetching: number;
}

export const defaultPlanPolicy: PlanPolicy = { surge: 0.5, maxStarting: 16, maxFetching: 4 };

/** One workload as desired. `key` is `<kind>.<name>`, once per list. */
export interface Wanted {
  readonly key: string;
  readonly state: 'running' | 'removed';
  readonly edition: string;
  readonly replicas: number;
}

/** Whether an edition may be tried now. Times in ms of the clock `now` is read from. */
export type Hold =
  | { readonly kind: 'free' }
  | { readonly kind: 'until'; readonly at: number }
  /** `withdrawn`: it is no longer trusted, so that it goes at once, also where it serves. */
  | { readonly kind: 'given-up'; readonly verdict: 'failed' | 'quarantined' | 'withdrawn' };

export interface SeenEdition {
  readonly edition: string;
  /** `here`: fetched, verified and admitted. */
  readonly bundle: 'absent' | 'fetching' | 'here';
  readonly demand: Demand;
  readonly hold: Hold;
  /** Endings that still count. */
  readonly failures: number;
}

export interface SeenReplica {
  readonly id: number;
  readonly edition: string;
  readonly index: number;
  readonly phase: 'starting' | 'ready' | 'draining' | 'stopping';
  readonly inFlight: number;
  /** When a draining one is stopped whatever it still does. */
  readonly drainUntil: number;
  readonly demand: Demand;
}

export interface Seen {
  readonly key: string;
  /** Where calls go, and how many replicas were asked for when they last came to go there. */
  readonly serving: { readonly edition: string; readonly replicas: number } | undefined;
  readonly editions: readonly SeenEdition[];
  readonly replicas: readonly SeenReplica[];
}

export type Step =
  | { readonly kind: 'fetch'; readonly key: string; readonly edition: string }
  | { readonly kind: 'start'; readonly key: string; readonly edition: string; readonly index: number }
  /** From now on calls go to this edition, `replicas` of it. */
  | { readonly kind: 'shift'; readonly key: string; readonly edition: string; readonly replicas: number }
  /** No new calls; those in flight end. */
  | { readonly kind: 'drain'; readonly key: string; readonly id: number }
  | { readonly kind: 'stop'; readonly key: string; readonly id: number }
  /** Nothing of this edition is needed any more; a fetch of it ends. */
  | { readonly kind: 'forget'; readonly key: string; readonly edition: string }
  | { readonly kind: 'remove'; readonly key: string }
  /** Nothing to do but to say: it would be started, were there room. */
  | { readonly kind: 'blocked'; readonly key: string; readonly edition: string; readonly detail: string }
  /** Look again at this time, at the latest. Last, and at most one. */
  | { readonly kind: 'wait'; readonly until: number };

/** What an edition wants more of, once what is settled is settled. */
interface Growth {
  readonly key: string;
  readonly edition: SeenEdition;
  readonly taken: ReadonlySet<number>;
  readonly missing: number;
  /** True for the wanted edition, false for the serving one that is kept up meanwhile. */
  readonly target: boolean;
}

const NOTHING: Demand = { memoryBytes: 0, milliCpu: 0 };
const byKey = (a: { readonly key: string }, b: { readonly key: string }) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);

/** The steps to take now, in order. @param now ms */
export function plan(
  desired: readonly Wanted[],
  observed: readonly Seen[],
  capacity: Capacity,
  policy: PlanPolicy,
  now: number,
): Step[] {
  const seen = new Map(observed.map((workload) => [workload.key, workload]));
  const steps: Step[] = [];
  const growths: Growth[] = [];
  let wake = Number.POSITIVE_INFINITY;
  const wait = (until: number) => {
    wake = Math.min(wake, until);
  };
  for (const wanted of [...desired].sort(byKey)) {
    const workload = seen.get(wanted.key);
    if (wanted.state === 'removed') {
      if (workload) steps.push(...removal(workload, now, wait));
    } else steps.push(...settle(wanted, workload ?? absent(wanted.key), now, wait, growths));
  }
  steps.push(...grow(growths, observed, steps, capacity, policy, now, wait));
  if (wake < Number.POSITIVE_INFINITY) steps.push({ kind: 'wait', until: wake });
  return steps;
}

const absent = (key: string): Seen => ({ key, serving: undefined, editions: [], replicas: [] });

function removal(workload: Seen, now: number, wait: (until: number) => void): Step[] {
  if (workload.replicas.length === 0) return [{ kind: 'remove', key: workload.key }];
  return [...workload.replicas].sort(keepFirst).flatMap((replica) => end(workload.key, replica, now, wait));
}

/** Ends a replica as gently as its phase allows. */
function end(key: string, replica: SeenReplica, now: number, wait: (until: number) => void): Step[] {
  const stop: Step = { kind: 'stop', key, id: replica.id };
  switch (replica.phase) {
    case 'starting':
      return [stop];
    case 'ready':
      return replica.inFlight === 0 ? [{ kind: 'drain', key, id: replica.id }, stop] : [{ kind: 'drain', key, id: replica.id }];
    case 'draining':
      if (replica.inFlight === 0 || now >= replica.drainUntil) return [stop];
      wait(replica.drainUntil);
      return [];
    case 'stopping':
      return [];
  }
}

/** Everything but growing: shift, drain, stop, forget. What should grow goes into `growths`. */
function settle(wanted: Wanted, workload: Seen, now: number, wait: (until: number) => void, growths: Growth[]): Step[] {
  const { key } = wanted;
  if (isSettled(wanted, workload)) return [];
  const steps: Step[] = [];
  const editionOf = (edition: string): SeenEdition =>
    workload.editions.find((e) => e.edition === edition) ?? {
      edition,
      bundle: 'absent',
      demand: NOTHING,
      hold: { kind: 'free' },
      failures: 0,
    };
  const target = wanted.edition;
  const ready = (edition: string) => workload.replicas.filter((r) => r.edition === edition && r.phase === 'ready').length;
  const verdict = (edition: string) => {
    const { hold } = editionOf(edition);
    return hold.kind === 'given-up' ? hold.verdict : undefined;
  };

  const barred = (edition: string) => verdict(edition) === 'quarantined' || verdict(edition) === 'withdrawn';

  let serving = workload.serving;
  if (serving?.edition !== target) {
    // Where nothing answers that will stay, one ready replica is better than waiting for all of them.
    const answers = serving !== undefined && serving.replicas > 0 && ready(serving.edition) > 0 && !barred(serving.edition);
    const enough = answers ? wanted.replicas : Math.min(1, wanted.replicas);
    if (ready(target) >= enough && verdict(target) === undefined) serving = { edition: target, replicas: wanted.replicas };
  } else if (serving.replicas !== wanted.replicas) serving = { edition: target, replicas: wanted.replicas };
  if (serving !== undefined && serving !== workload.serving)
    steps.push({ kind: 'shift', key, edition: serving.edition, replicas: serving.replicas });

  const wish = new Map<string, number>([[target, wanted.replicas]]);
  if (serving !== undefined && serving.edition !== target) wish.set(serving.edition, serving.replicas);
  // What is quarantined or withdrawn goes; what has failed before it ever served would only hold room.
  const off = (edition: string) => barred(edition) || (verdict(edition) === 'failed' && edition !== serving?.edition);
  const rest = new Map(wish);
  for (const replica of [...workload.replicas].sort(keepFirst)) {
    const left = off(replica.edition) ? 0 : (rest.get(replica.edition) ?? 0);
    const living = replica.phase === 'starting' || replica.phase === 'ready';
    if (living && left > 0) rest.set(replica.edition, left - 1);
    else steps.push(...end(key, replica, now, wait));
  }
  for (const { edition } of [...workload.editions].sort((a, b) => (a.edition < b.edition ? -1 : 1))) {
    if (!wish.has(edition) && !workload.replicas.some((r) => r.edition === edition))
      steps.push({ kind: 'forget', key, edition });
  }

  // The serving edition first: what answers calls today comes before what may answer tomorrow.
  for (const edition of [...wish.keys()].reverse()) {
    const missing = rest.get(edition)!;
    if (missing === 0) continue;
    const taken = new Set(workload.replicas.flatMap((r) => (r.edition === edition ? [r.index] : [])));
    growths.push({ key, edition: editionOf(edition), taken, missing, target: edition === target });
  }
  return steps;
}

/** The common case, told apart early: a node has a thousand workloads of which one has changed. */
function isSettled({ edition, replicas }: Wanted, workload: Seen): boolean {
  const { serving, editions } = workload;
  return (
    serving?.edition === edition &&
    serving.replicas === replicas &&
    editions.length === 1 &&
    editions[0]!.hold.kind !== 'given-up' &&
    workload.replicas.length === replicas &&
    workload.replicas.every((r) => r.phase === 'ready' && r.edition === edition)
  );
}

/** Ready before starting, then by index: whoever stands first is kept. */
function keepFirst(a: SeenReplica, b: SeenReplica): number {
  const rank = (r: SeenReplica) => (r.phase === 'ready' ? 0 : 1);
  return rank(a) - rank(b) || a.index - b.index || a.id - b.id;
}

function sum(replicas: readonly SeenReplica[]): Capacity {
  let memoryBytes = 0;
  let milliCpu = 0;
  for (const { demand } of replicas) {
    memoryBytes += demand.memoryBytes;
    milliCpu += demand.milliCpu;
  }
  return { memoryBytes, milliCpu, replicas: replicas.length };
}

/** Fetches and starts, as far as slots and room allow (P4, P5). @param settled the steps that come before */
function grow(
  growths: readonly Growth[],
  observed: readonly Seen[],
  settled: readonly Step[],
  capacity: Capacity,
  policy: PlanPolicy,
  now: number,
  wait: (until: number) => void,
): Step[] {
  if (growths.length === 0) return [];
  const steps: Step[] = [];
  const slots = freeSlots(observed, settled, policy);
  /** What the editions of those that grow hold, by `<key> <edition>` and by key. */
  const held = new Map<string, Capacity>();
  const hold = (name: string, demand: Demand) => held.set(name, plus(held.get(name) ?? NO_ROOM, demand));
  const growing = new Set(growths.map(({ key }) => key));
  for (const { key, replicas } of observed) {
    if (!growing.has(key)) continue;
    for (const { edition, demand } of replicas) {
      hold(key, demand);
      hold(`${key} ${edition}`, demand);
    }
  }
  let used = sum(observed.flatMap((workload) => workload.replicas));
  // Cpu is shared and not set aside: for the length of a replacement old and new may split what there is, however small the machine.
  const beyond = { ...scaled(capacity, 1 + policy.surge), milliCpu: capacity.milliCpu * 2 };

  for (const { key, edition, taken, missing, target } of [...growths].sort(
    (a, b) => a.edition.failures - b.edition.failures || byKey(a, b),
  )) {
    if (edition.hold.kind === 'given-up') continue;
    if (edition.hold.kind === 'until' && now < edition.hold.at) {
      wait(edition.hold.at);
      continue;
    }
    if (edition.bundle === 'absent' && slots.fetching > 0) {
      steps.push({ kind: 'fetch', key, edition: edition.edition });
      slots.fetching--;
    }
    if (edition.bundle !== 'here') continue;
    const own = `${key} ${edition.edition}`;
    const { demand } = edition;
    let index = 0;
    for (let left = missing; left > 0 && slots.starting > 0; left--) {
      // What it replaces, or what is to replace it: once the change is done only one of them is left.
      const others = minus(held.get(key) ?? NO_ROOM, held.get(own) ?? NO_ROOM);
      // A replacement goes in whole or not at all: half of one would hold room and never take over.
      const count = target && others.replicas > 0 ? left : 1;
      const short = shortOf(demand, count, minus(used, others), capacity) ?? shortOf(demand, count, used, beyond);
      if (short !== undefined) {
        steps.push({ kind: 'blocked', key, edition: edition.edition, detail: short });
        break;
      }
      while (taken.has(index)) index++;
      steps.push({ kind: 'start', key, edition: edition.edition, index });
      index++;
      slots.starting--;
      used = plus(used, demand);
      hold(key, demand);
      hold(own, demand);
    }
  }
  return steps;
}

/** How many may start and be fetched now; what the settled steps end has left its place. */
function freeSlots(
  observed: readonly Seen[],
  settled: readonly Step[],
  policy: PlanPolicy,
): { starting: number; fetching: number } {
  let starting = policy.maxStarting;
  let fetching = policy.maxFetching;
  const ended = new Set(
    settled.flatMap((s) => (s.kind === 'stop' ? [`${s.key} ${s.id}`] : s.kind === 'forget' ? [`${s.key} ${s.edition}`] : [])),
  );
  const removed = new Set(settled.flatMap((s) => (s.kind === 'remove' ? [s.key] : [])));
  for (const { key, editions, replicas } of observed) {
    // Its fetches end with it.
    if (removed.has(key)) continue;
    for (const { id, phase } of replicas) if (phase === 'starting' && !ended.has(`${key} ${id}`)) starting--;
    for (const { edition, bundle } of editions) if (bundle === 'fetching' && !ended.has(`${key} ${edition}`)) fetching--;
  }
  return { starting, fetching };
}

const NO_ROOM: Capacity = { memoryBytes: 0, milliCpu: 0, replicas: 0 };
const plus = (used: Capacity, demand: Demand): Capacity => ({
  memoryBytes: used.memoryBytes + demand.memoryBytes,
  milliCpu: used.milliCpu + demand.milliCpu,
  replicas: used.replicas + 1,
});
const minus = (a: Capacity, b: Capacity): Capacity => ({
  memoryBytes: a.memoryBytes - b.memoryBytes,
  milliCpu: a.milliCpu - b.milliCpu,
  replicas: a.replicas - b.replicas,
});
const scaled = (a: Capacity, factor: number): Capacity => ({
  memoryBytes: a.memoryBytes * factor,
  milliCpu: a.milliCpu * factor,
  replicas: a.replicas * factor,
});
