/**
 * What is under way in one replica: every call, message, run and hook that waits for an answer, with its deadline.
 *
 * Promises:
 * L1. An item ends once: answered, refused, or late. What comes after is dropped.
 * L2. A deadline is kept by the daemon's clock, whatever the cell does; at most one timer runs, and none when nothing is under way.
 */
import { type Clock, Fault, type Timer } from '@cim/contracts';
import type { Body } from './protocol.ts';

export interface Item {
  readonly kind: 'call' | 'message' | 'run' | 'health' | 'start' | 'stop';
  /** What it is, for people: the capability, the subject, the schedule. */
  readonly what: string;
  readonly callId: string | undefined;
  readonly correlationId: string | undefined;
  /** Monotonic ms. */
  readonly deadline: number;
  readonly allowedMs: number;
  readonly resolve: (text: Body) => void;
  readonly reject: (fault: Fault) => void;
}

export class Ledger {
  readonly #clock: Clock;
  readonly #late: (slot: number, item: Item) => void;
  readonly #items = new Map<number, Item>();
  #newest = 0;
  #calls = 0;
  #surplus = 0;
  #timer: Timer | undefined;
  #alarm = Number.POSITIVE_INFINITY;
  #emptied: (() => void) | undefined;

  /** @param late told of a slot nobody waits for any more */
  constructor(clock: Clock, late: (slot: number, item: Item) => void) {
    this.#clock = clock;
    this.#late = late;
  }

  /** Calls under way. */
  get calls(): number {
    return this.#calls;
  }
  /** All that is under way. */
  get size(): number {
    return this.#items.size;
  }

  /** Items ended that had ended before, other than by being late. */
  get surplus(): number {
    return this.#surplus;
  }

  /** Enters an item. @returns its slot */
  add(item: Item): number {
    this.#newest += 1;
    this.#items.set(this.#newest, item);
    if (item.kind === 'call') this.#calls += 1;
    if (item.deadline < this.#alarm) this.#arm(item.deadline);
    return this.#newest;
  }

  get(slot: number): Item | undefined {
    return this.#items.get(slot);
  }

  /** True for slots given out, ended or not: what a cell may speak of. */
  known(slot: number): boolean {
    return slot > 0 && slot <= this.#newest;
  }

  /** Ends an item (L1). @returns it, or undefined when it has ended before */
  remove(slot: number): Item | undefined {
    const item = this.#items.get(slot);
    if (item === undefined) {
      this.#surplus += 1;
      return undefined;
    }
    this.#items.delete(slot);
    if (item.kind === 'call') this.#calls -= 1;
    if (this.#items.size === 0) this.#emptied?.();
    return item;
  }

  /** Ends all with the same fault. */
  rejectAll(fault: (item: Item) => Fault): void {
    for (const slot of [...this.#items.keys()]) {
      const item = this.remove(slot);
      item?.reject(fault(item));
    }
    this.#timer?.cancel();
    this.#alarm = Number.POSITIVE_INFINITY;
  }

  /** Resolves when nothing is under way. */
  empty(): Promise<void> {
    if (this.#items.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#emptied = resolve;
    });
  }

  #arm(at: number): void {
    this.#timer?.cancel();
    this.#alarm = at;
    this.#timer = this.#clock.after(Math.max(1, Math.ceil(at - this.#clock.monotonic())), () => this.#expire());
  }

  #expire(): void {
    this.#alarm = Number.POSITIVE_INFINITY;
    const now = this.#clock.monotonic();
    let next = Number.POSITIVE_INFINITY;
    for (const [slot, item] of this.#items) {
      if (item.deadline > now) next = Math.min(next, item.deadline);
      else {
        this.remove(slot);
        // Its answer may still come, once.
        this.#surplus -= 1;
        this.#late(slot, item);
        item.reject(
          new Fault('deadline-exceeded', `${item.kind} ${item.what}: no answer within ${Math.round(item.allowedMs)} ms`),
        );
      }
    }
    if (next !== Number.POSITIVE_INFINITY) this.#arm(next);
  }
}
