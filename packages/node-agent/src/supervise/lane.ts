/**
 * One workload's calls: its ready replicas and those that wait for one. The router's inner room.
 *
 * Promises:
 * L1. Least in flight first, in turn where equal, never more than a replica's maximum.
 * L2. Waiting is first in, first out, bounded in number and by each one's deadline; each waiter's timer ends with it.
 */
import { type Clock, Fault, type Timer } from '@cim/contracts';
import type { Isolate, ReplicaId } from '../sandbox/sandbox.ts';

/** One replica as the router sees it. Made by the router, owned by whoever asked for it. */
export interface Slot {
  readonly id: ReplicaId;
  readonly isolate: Isolate;
  readonly max: number;
  inFlight: number;
  /** Told when the last thing in flight ended. */
  idle: () => void;
}

export interface Lane {
  readonly key: string;
  /** Runs on a free replica, now or when one is. @param run gets how long it waited, ms. @throws Fault overloaded, deadline-exceeded */
  run<T>(budgetMs: number, run: (slot: Slot, waitedMs: number) => Promise<T>): Promise<T>;
  /** Runs on this replica, now, whatever else it does: for what must be on that one and no other. */
  on<T>(slot: Slot, run: () => Promise<T>): Promise<T>;
  /** True when something would begin at once. */
  free(): boolean;
  /** Swaps the replicas; what waits goes to them. */
  set(slots: readonly Slot[]): void;
  /** Ends everything that waits. */
  refuse(fault: Fault): void;
  /** In a replica, or waiting for one. */
  inFlight(): number;
}

interface Waiting {
  begin(slot: Slot): void;
  fail(fault: Fault): void;
}

export function createLane({ key, clock, maxQueue }: { key: string; clock: Clock; maxQueue: number }): Lane {
  let slots: readonly Slot[] = [];
  let turn = 0;
  let running = 0;
  /** Insertion order is the queue; a waiter that leaves early costs nothing. */
  const waiting = new Set<Waiting>();

  const pick = (): Slot | undefined => {
    let best: Slot | undefined;
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[(turn + i) % slots.length]!;
      if (slot.inFlight < slot.max && (best === undefined || slot.inFlight < best.inFlight)) best = slot;
    }
    if (slots.length > 1) turn = (turn + 1) % slots.length;
    return best;
  };

  const ended = (slot: Slot) => {
    running--;
    if (--slot.inFlight === 0) slot.idle();
    if (waiting.size > 0) pump();
  };

  const begin = <T>(slot: Slot, waitedMs: number, run: (slot: Slot, waitedMs: number) => Promise<T>): Promise<T> => {
    slot.inFlight++;
    running++;
    let work: Promise<T>;
    try {
      work = run(slot, waitedMs);
    } catch (error) {
      work = Promise.reject(error);
    }
    return work.then(
      (value) => {
        ended(slot);
        return value;
      },
      (error) => {
        ended(slot);
        throw error;
      },
    );
  };

  const pump = () => {
    for (const next of waiting) {
      const slot = pick();
      if (!slot) return;
      waiting.delete(next);
      next.begin(slot);
    }
  };

  const wait = <T>(budgetMs: number, run: (slot: Slot, waitedMs: number) => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const since = clock.monotonic();
      let timer: Timer | undefined;
      const entry: Waiting = {
        begin(slot) {
          timer?.cancel();
          // At least a millisecond: "waited" is also how a run knows that things may have changed meanwhile.
          begin(slot, Math.max(clock.monotonic() - since, 1), run).then(resolve, reject);
        },
        fail(fault) {
          timer?.cancel();
          waiting.delete(entry);
          reject(fault);
        },
      };
      timer = clock.after(budgetMs, () =>
        entry.fail(new Fault('deadline-exceeded', `${key}: no replica was free within ${Math.round(budgetMs)} ms`)),
      );
      waiting.add(entry);
    });

  return {
    key,
    run(budgetMs, run) {
      // Nobody overtakes: what waits is served first.
      const slot = waiting.size === 0 ? pick() : undefined;
      if (slot) return begin(slot, 0, run);
      if (waiting.size >= maxQueue) {
        return Promise.reject(new Fault('overloaded', `${key}: ${running} in flight and ${waiting.size} waiting already`));
      }
      return wait(budgetMs, run);
    },
    on: (slot, run) => begin(slot, 0, run),
    free: () => waiting.size === 0 && slots.some((slot) => slot.inFlight < slot.max),
    set(next) {
      slots = next;
      pump();
    },
    refuse(fault) {
      for (const entry of [...waiting]) entry.fail(fault);
    },
    inFlight: () => running + waiting.size,
  };
}
