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

/** @param waitedMs how long it waited for the replica; 0 when it did not */
type Run<T> = (slot: Slot, waitedMs: number) => Promise<T>;

export interface Lane {
  readonly key: string;
  /** Runs on a free replica, now or when one is. @throws Fault overloaded, deadline-exceeded */
  run<T>(budgetMs: number, run: Run<T>): Promise<T>;
  /** The same with one promise less, for what there is much of. Neither `done` nor `failed` is told before this has returned. */
  start<T>(budgetMs: number, run: Run<T>, done: (value: T) => void, failed: (error: unknown) => void): void;
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

  const begin = <T>(
    slot: Slot,
    waitedMs: number,
    run: Run<T>,
    done: (value: T) => void,
    failed: (error: unknown) => void,
  ): void => {
    slot.inFlight++;
    running++;
    let work: Promise<T>;
    try {
      work = run(slot, waitedMs);
    } catch (error) {
      work = Promise.reject(error);
    }
    work.then(
      (value) => {
        ended(slot);
        done(value);
      },
      (error) => {
        ended(slot);
        failed(error);
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

  const wait = <T>(budgetMs: number, run: Run<T>, done: (value: T) => void, failed: (error: unknown) => void): void => {
    const since = clock.monotonic();
    const entry: Waiting = {
      begin(slot) {
        timer.cancel();
        // At least a millisecond: "waited" is also how a run knows that things may have changed meanwhile.
        begin(slot, Math.max(clock.monotonic() - since, 1), run, done, failed);
      },
      fail(fault) {
        timer.cancel();
        waiting.delete(entry);
        failed(fault);
      },
    };
    const timer: Timer = clock.after(budgetMs, () =>
      entry.fail(new Fault('deadline-exceeded', `${key}: no replica was free within ${Math.round(budgetMs)} ms`)),
    );
    waiting.add(entry);
  };

  const start: Lane['start'] = (budgetMs, run, done, failed) => {
    // Nobody overtakes: what waits is served first.
    const slot = waiting.size === 0 ? pick() : undefined;
    if (slot) begin(slot, 0, run, done, failed);
    else if (waiting.size < maxQueue) wait(budgetMs, run, done, failed);
    else {
      const full = new Fault('overloaded', `${key}: ${running} in flight and ${waiting.size} waiting already`);
      queueMicrotask(() => failed(full));
    }
  };

  return {
    key,
    run: (budgetMs, run) => new Promise((resolve, reject) => start(budgetMs, run, resolve, reject)),
    start,
    on: (slot, run) => new Promise((resolve, reject) => begin(slot, 0, run, resolve, reject)),
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
