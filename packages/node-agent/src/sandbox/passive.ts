/**
 * Passivation: a replica that nobody has used for a while is closed behind the wall and opened again by the next call. To everyone else
 * it is the same Isolate all along: it keeps its place in the router, its offer, its health.
 *
 * Promises:
 * Z1. A replica is put to sleep only when nothing is under way in it and it has set no timer (core/passivate.ts). Its `stop` runs then
 *     and its `start` when it wakes; what it held in memory is gone, as after a restart.
 * Z2. A call, a message or a run that finds it asleep, falling asleep or waking waits for it, no longer than its own deadline.
 * Z3. One opening at a time; a start that fails fails what waited for it and ends the replica, so that the restart policy takes over.
 * Z4. A health probe neither wakes it nor counts as use: asleep is healthy.
 */
import { type Clock, DeadlineError, Fault, type Logger, type Timer, withDeadline } from '@cim/contracts';
import { chooseIdle } from '../core/passivate.ts';
import type { AnswerText, CallRequest, Exit, Isolate, OpenOptions, Sandbox, Usage } from './sandbox.ts';

export interface PassiveOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Idle time before a replica is put to sleep, ms. */
  readonly afterMs: number;
}

/** Longest time a `stop` may take on the way to sleep, ms. */
const STOP_MS = 5_000;
/** Replicas put to sleep in one look. */
const MOST = 64;
/** Looks in one idle time, and the shortest time between two, ms. */
const LOOKS = 8;
const SHORTEST_LOOK_MS = 100;

/** The same sandbox, whose replicas sleep when they are idle. */
export function passivating(sandbox: Sandbox, { clock, log, afterMs }: PassiveOptions): Sandbox {
  const sleepers = new Set<Sleeper>();
  let watch: Timer | undefined;

  const look = () => {
    const now = clock.monotonic();
    const seen = [...sleepers].flatMap((sleeper) => sleeper.resting(now) ?? []);
    for (const sleeper of chooseIdle(seen, { afterMs, most: MOST }, now)) {
      const { kind, name, replica } = sleeper.options.id;
      log.debug({ workload: `${kind}.${name}`, replica }, 'an idle replica gives its memory back');
      sleeper.sleep();
    }
  };

  return {
    ...sandbox,
    async start() {
      await sandbox.start();
      watch ??= clock.every(Math.max(SHORTEST_LOOK_MS, afterMs / LOOKS), look);
    },
    async open(options) {
      const sleeper = new Sleeper(options, await sandbox.open(options), clock, () => sandbox.open(options));
      sleepers.add(sleeper);
      void sleeper.exited.then(() => sleepers.delete(sleeper));
      return sleeper;
    },
    async stop(deadlineMs) {
      watch?.cancel();
      await sandbox.stop(deadlineMs);
      for (const sleeper of sleepers) sleeper.over({ kind: 'closed' });
    },
  };
}

type State =
  | { readonly kind: 'awake'; readonly inner: Isolate }
  | { readonly kind: 'falling'; readonly asleep: Promise<void> }
  | { readonly kind: 'asleep' }
  | { readonly kind: 'waking'; readonly opening: Promise<Isolate> }
  | { readonly kind: 'over' };

class Sleeper implements Isolate {
  readonly options: OpenOptions;
  readonly exited: Promise<Exit>;
  readonly #clock: Clock;
  readonly #open: () => Promise<Isolate>;
  #state: State;
  #end: (exit: Exit) => void = () => {};
  #usedAt: number;
  /** Messages and runs under way. */
  #others = 0;
  #pid: number;
  /** Cpu of its earlier lives, ms. */
  #cpuMs = 0;

  constructor(options: OpenOptions, inner: Isolate, clock: Clock, open: () => Promise<Isolate>) {
    this.options = options;
    this.#clock = clock;
    this.#open = open;
    this.exited = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#usedAt = clock.monotonic();
    this.#pid = inner.cellPid;
    this.#state = { kind: 'awake', inner };
    this.#follow(inner);
  }

  get cellPid(): number {
    return this.#pid;
  }
  get asleep(): boolean {
    return this.#state.kind === 'asleep';
  }

  call(request: CallRequest): Promise<AnswerText> {
    this.#usedAt = this.#clock.monotonic();
    if (this.#state.kind === 'awake') return this.#state.inner.call(request);
    return this.#when(request.budgetMs, `call ${request.capability}`, (inner, budgetMs) =>
      inner.call({ ...request, budgetMs }),
    );
  }

  message(pattern: string, subject: string, data: string): Promise<void> {
    return this.#other(`message ${subject}`, (inner) => inner.message(pattern, subject, data));
  }

  run(schedule: string): Promise<void> {
    return this.#other(`schedule ${schedule}`, (inner) => inner.run(schedule));
  }

  /** Z4. */
  health(): Promise<void> {
    if (this.#state.kind === 'awake') return this.#state.inner.health();
    return this.#state.kind === 'over' ? Promise.reject(this.#notRunning()) : Promise.resolve();
  }

  usage(): Usage {
    const now = this.#state.kind === 'awake' ? this.#state.inner.usage() : { inFlight: 0, heapBytes: 0, cpuMs: 0 };
    return { ...now, cpuMs: this.#cpuMs + now.cpuMs };
  }

  /** What the choice is made from; undefined while it is not awake. */
  resting(now: number): { readonly replica: Sleeper; readonly usedAt: number; readonly quiet: boolean } | undefined {
    if (this.#state.kind !== 'awake') return undefined;
    const { inner } = this.#state;
    if (this.#others > 0 || inner.usage().inFlight > 0) this.#usedAt = now;
    return { replica: this, usedAt: this.#usedAt, quiet: inner.quiet === true };
  }

  /** Closes what is behind the wall; nothing may be under way in it. */
  sleep(): void {
    if (this.#state.kind !== 'awake') return;
    const { inner } = this.#state;
    this.#cpuMs += inner.usage().cpuMs;
    const asleep = inner.close(STOP_MS).then(() => {
      if (this.#state.kind === 'falling') this.#state = { kind: 'asleep' };
    });
    this.#state = { kind: 'falling', asleep };
  }

  async close(deadlineMs: number): Promise<void> {
    const before = this.#state;
    if (before.kind === 'awake') return before.inner.close(deadlineMs);
    this.over({ kind: 'closed' });
    if (before.kind !== 'falling' && before.kind !== 'waking') return;
    // What was on its way is waited for, so that nothing of it is left; `#wake` closes what opens now.
    const settled = before.kind === 'falling' ? before.asleep : before.opening.catch(() => {});
    const given = new AbortController();
    await Promise.race([settled, this.#clock.sleep(deadlineMs, given.signal).catch(() => {})]);
    given.abort();
  }

  /** It is no more. */
  over(exit: Exit): void {
    if (this.#state.kind === 'over') return;
    this.#state = { kind: 'over' };
    this.#end(exit);
  }

  /** An end nobody asked for ends the whole; one on the way to sleep is what was asked for. */
  #follow(inner: Isolate): void {
    void inner.exited.then((exit) => {
      if (this.#state.kind === 'awake' && this.#state.inner === inner) this.over(exit);
    });
  }

  #awake(): Promise<Isolate> {
    switch (this.#state.kind) {
      case 'awake':
        return Promise.resolve(this.#state.inner);
      case 'waking':
        return this.#state.opening;
      case 'falling':
        return this.#state.asleep.then(() => this.#awake());
      case 'over':
        return Promise.reject(this.#notRunning());
      case 'asleep': {
        const opening = this.#wake();
        opening.catch(() => {});
        this.#state = { kind: 'waking', opening };
        return opening;
      }
    }
  }

  async #wake(): Promise<Isolate> {
    let inner: Isolate;
    try {
      inner = await this.#open();
    } catch (error) {
      const fault = Fault.of(error, 'it did not start again');
      this.over({ kind: 'faulted', fault });
      throw fault;
    }
    if (this.#state.kind === 'over') {
      await inner.close(0);
      throw this.#notRunning();
    }
    this.#pid = inner.cellPid;
    this.#usedAt = this.#clock.monotonic();
    this.#state = { kind: 'awake', inner };
    this.#follow(inner);
    return inner;
  }

  /** Z2. */
  async #when<T>(budgetMs: number, what: string, work: (inner: Isolate, leftMs: number) => Promise<T>): Promise<T> {
    const from = this.#clock.monotonic();
    let inner: Isolate;
    try {
      inner = await withDeadline(this.#clock, budgetMs, what, () => this.#awake());
    } catch (error) {
      if (!(error instanceof DeadlineError)) throw error;
      throw new Fault('deadline-exceeded', `${what}: ${this.options.id.name} did not wake within ${Math.round(budgetMs)} ms`);
    }
    return work(inner, Math.max(1, budgetMs - (this.#clock.monotonic() - from)));
  }

  async #other(what: string, work: (inner: Isolate) => Promise<void>): Promise<void> {
    this.#others += 1;
    try {
      await this.#when(this.options.limits.timeoutMs, what, work);
    } finally {
      this.#others -= 1;
      this.#usedAt = this.#clock.monotonic();
    }
  }

  #notRunning(): Fault {
    return new Fault('workload-not-ready', `${this.options.id.name} is not running`);
  }
}
