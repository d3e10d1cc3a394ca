/**
 * One replica as the daemon sees it: the {@link Isolate} of the seam. Its code runs in a cell; here are its calls, its requests to the
 * host and its end.
 *
 * Promises:
 * P1. Every call ends by its deadline, with text or with a Fault, whatever the cell does.
 * P2. What the guest asks goes to its HostDoor with the call it is for; at most ASKS_LIMIT at a time.
 * P3. `exited` resolves once.
 */
import { type Clock, Fault, type LogFields, type Timer } from '@cim/contracts';
import { faultAt, faultOf } from './endings.ts';
import { MalformedFrame } from './frames.ts';
import { type Item, Ledger } from './ledger.ts';
import { ASKS_LIMIT, type GuestFault, HEAD_LIMIT, IN, SOFT_OUT } from './protocol.ts';
import { type Level, type MetricKind, readRecords } from './records.ts';
import type { CallRequest, Exit, HostOperation, Isolate, OpenOptions, Usage } from './sandbox.ts';

/** What a replica needs of its cell. */
export interface Slot {
  readonly pid: number;
  readonly clock: Clock;
  /** Largest answer in bytes. */
  readonly maxReply: number;
  /** Asks to be drained with {@link Replica.drain} at the end of this turn of the event loop. */
  dirty(replica: Replica): void;
  /** Writes what waits at once. */
  flush(replica: Replica): void;
  /** Gives the isolate back. */
  release(replica: Replica): void;
}

/** Messages, runs and hooks under way, beyond the calls. */
const OTHERS = 256;
const LOGS_A_SECOND = 512;
const METRICS_A_SECOND = 4096;
/** The least the daemon waits before it wakes an isolate, ms. */
const SHORTEST_WAKE = 4;

export class Replica implements Isolate {
  readonly options: OpenOptions;
  readonly number: number;
  readonly exited: Promise<Exit>;
  readonly #slot: Slot;
  readonly #ledger: Ledger;
  readonly #capabilities: ReadonlyMap<string, number>;
  readonly #subjects: ReadonlyMap<string, number>;
  readonly #schedules: ReadonlyMap<string, number>;
  #state: 'open' | 'closing' | 'ended' = 'open';
  #end: (exit: Exit) => void = () => {};
  #closed: Promise<void> | undefined;
  #head = '';
  #body = '';
  #asks = 0;
  #wake: Timer | undefined;
  #second = 0;
  #logs = 0;
  #metrics = 0;
  #heapBytes = 0;
  #cpuMs = 0;

  constructor(options: OpenOptions, number: number, slot: Slot) {
    const { manifest } = options.bundle;
    this.options = options;
    this.number = number;
    this.#slot = slot;
    this.#ledger = new Ledger(slot.clock, (late) => this.#push(`${IN.cancel},${late}`, ''));
    this.#capabilities = positions(Object.keys(manifest.capabilities));
    this.#subjects = positions(manifest.subscribe);
    this.#schedules = positions(Object.keys(manifest.schedule));
    this.exited = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get cellPid(): number {
    return this.#slot.pid;
  }
  /** True while anything waits for this isolate. */
  get busy(): boolean {
    return this.#ledger.size > 0 || this.#head !== '';
  }

  call({ callId, capability, input, budgetMs, correlationId, traceparent = '' }: CallRequest): Promise<string> {
    if (this.#state !== 'open') return Promise.reject(this.#notOpen());
    const at = this.#capabilities.get(capability);
    if (at === undefined)
      return Promise.reject(new Fault('capability-unknown', `${this.options.id.name} does not offer ${capability}`));
    const { maxConcurrent, timeoutMs } = this.options.limits;
    if (this.#ledger.calls >= maxConcurrent) {
      return Promise.reject(new Fault('overloaded', `${this.options.id.name}: ${maxConcurrent} calls in flight already`));
    }
    const allowedMs = Math.min(budgetMs, timeoutMs);
    if (!(allowedMs > 0))
      return Promise.reject(new Fault('deadline-exceeded', `call ${capability}: no time left when it arrived`));
    return new Promise((resolve, reject) => {
      const deadline = this.#slot.clock.monotonic() + allowedMs;
      const slot = this.#ledger.add({
        kind: 'call',
        what: capability,
        callId,
        correlationId,
        deadline,
        allowedMs,
        resolve,
        reject,
      });
      const lengths = `${callId.length},${correlationId.length},${traceparent.length},${input.length}`;
      this.#push(`${IN.call},${slot},${at},${Math.ceil(allowedMs)},${lengths}`, callId + correlationId + traceparent + input);
      // Alone, it need not wait for others of this turn of the loop.
      if (this.#ledger.size === 1) this.#slot.flush(this);
    });
  }

  message(pattern: string, subject: string, data: string): Promise<void> {
    const at = this.#subjects.get(pattern);
    if (at === undefined)
      return Promise.reject(new Fault('not-found', `${this.options.id.name} does not subscribe to ${pattern}`));
    return this.#ask(
      'message',
      pattern,
      this.options.limits.timeoutMs,
      IN.message,
      `,${at},${subject.length},${data.length}`,
      subject + data,
    );
  }

  run(schedule: string): Promise<void> {
    const at = this.#schedules.get(schedule);
    if (at === undefined) return Promise.reject(new Fault('not-found', `${this.options.id.name} has no schedule ${schedule}`));
    return this.#ask('run', schedule, this.options.limits.timeoutMs, IN.run, `,${at}`, '');
  }

  health(): Promise<void> {
    if (!this.options.bundle.manifest.hooks.health)
      return this.#state === 'open' ? Promise.resolve() : Promise.reject(this.#notOpen());
    return this.#ask('health', 'health', this.options.limits.timeoutMs, IN.health, '', '', (text) => {
      if (text === 'false') throw new Fault('handler-failed', 'health: answered false');
    });
  }

  /** Runs the definition's `start`, where there is one. @throws Fault */
  begin(deadlineMs: number): Promise<void> {
    if (!this.options.bundle.manifest.hooks.start) return Promise.resolve();
    return this.#ask('start', 'start', deadlineMs, IN.start, '', '');
  }

  usage(): Usage {
    return { inFlight: this.#ledger.calls, heapBytes: this.#heapBytes, cpuMs: this.#cpuMs };
  }

  measured(heapBytes: number, cpuMs: number): void {
    this.#heapBytes = heapBytes;
    this.#cpuMs = cpuMs;
  }

  close(deadlineMs: number): Promise<void> {
    this.#closed ??= this.#close(deadlineMs);
    return this.#closed;
  }

  async #close(deadlineMs: number): Promise<void> {
    if (this.#state === 'ended') return;
    this.#state = 'closing';
    const { clock } = this.#slot;
    const end = clock.monotonic() + deadlineMs;
    const given = new AbortController();
    await Promise.race([this.#ledger.empty(), this.exited, clock.sleep(deadlineMs, given.signal).catch(() => {})]);
    const left = end - clock.monotonic();
    if (this.options.bundle.manifest.hooks.stop && left > 0 && !this.#over) {
      await this.#ask('stop', 'stop', left, IN.stop, '', '').catch((error) =>
        this.#report('stop failed', { error: Fault.of(error).detail }),
      );
    }
    given.abort();
    this.ended({ kind: 'closed' });
  }

  /** Called by `close`, or by the cell with what happened to it (P3). */
  ended(exit: Exit): void {
    if (this.#over) return;
    this.#state = 'ended';
    this.#wake?.cancel();
    this.#head = '';
    this.#body = '';
    this.#slot.release(this);
    this.#end(exit);
    this.#ledger.rejectAll((item) => faultAt(exit, item));
  }

  get #over(): boolean {
    return this.#state === 'ended';
  }

  /** Takes what waits to be sent. */
  drain(): { readonly head: string; readonly body: string } | undefined {
    if (this.#head === '') return undefined;
    const taken = { head: this.#head, body: this.#body };
    this.#head = '';
    this.#body = '';
    return taken;
  }

  /** A batch of the isolate. @throws MalformedFrame */
  out(head: string, body: string): void {
    readRecords(head, body, this);
  }

  answer(slot: number, text: string): void {
    const item = this.#remove(slot);
    if (item === undefined) return;
    const { maxReply } = this.#slot;
    // Bytes are at most three times the characters: counted only when it may matter.
    if (text.length * 3 > maxReply && Buffer.byteLength(text) > maxReply) {
      item.reject(new Fault('reply-too-large', `${Buffer.byteLength(text)} bytes, at most ${maxReply} allowed`));
    } else item.resolve(text);
  }

  fault(slot: number, guest: GuestFault): void {
    const fault = faultOf(guest);
    const item = this.#remove(slot);
    if (item === undefined) return;
    if (guest.code === 'handler-failed' || guest.code === 'turn-exceeded') {
      const { stack, detail } = guest;
      this.#report(`${item.kind} failed`, {
        what: item.what,
        code: guest.code,
        detail,
        ...(stack ? { stack } : {}),
        callId: item.callId,
      });
    }
    item.reject(fault);
  }

  ask(id: number, slot: number | undefined, operation: string, args: readonly unknown[]): void {
    if (this.#asks >= ASKS_LIMIT) throw new MalformedFrame('more host calls than there can be');
    this.#asks += 1;
    const item = slot === undefined ? undefined : this.#ledger.get(slot);
    const { host } = this.options;
    const around =
      item === undefined
        ? undefined
        : { budgetMs: item.deadline - this.#slot.clock.monotonic(), correlationId: item.correlationId };
    // What a call within a call may take is the daemon's knowledge, so the guest's own fourth argument never counts.
    const given = operation === 'call' ? [args[0], args[1], args[2], around] : args;
    const context = item?.callId === undefined ? {} : { callId: item.callId };
    const done = (kind: number, text: string) => {
      this.#asks -= 1;
      this.#push(`${kind},${id},${text.length}`, text);
    };
    const refuse = (error: unknown) => {
      const { code, detail, row } = Fault.of(error, 'the host failed');
      done(IN.refusal, JSON.stringify({ code, detail, retry: row.retry !== 'no' }));
    };
    try {
      host.ask(operation as HostOperation, given, context).then((value) => {
        let text: string;
        try {
          text = value === undefined ? '' : JSON.stringify(value);
        } catch (error) {
          return refuse(error);
        }
        done(IN.answer, text);
      }, refuse);
    } catch (error) {
      refuse(error);
    }
  }

  log(level: Level, message: string, fields: Record<string, unknown>): void {
    this.#turn();
    this.#logs += 1;
    if (this.#logs <= LOGS_A_SECOND) this.options.host.log(level, message, fields);
  }

  metric(kind: MetricKind, name: string, value: number): void {
    this.#turn();
    this.#metrics += 1;
    if (this.#metrics <= METRICS_A_SECOND) this.options.host.metric(kind, name, value);
  }

  wake(ms: number): void {
    this.#wake?.cancel();
    this.#wake = this.#slot.clock.after(Math.max(SHORTEST_WAKE, ms), () => this.#push(`${IN.wake}`, ''));
  }

  #turn(): void {
    const now = this.#slot.clock.monotonic();
    if (now - this.#second < 1000) return;
    this.#second = now;
    this.#logs = 0;
    this.#metrics = 0;
  }

  #report(message: string, fields: LogFields): void {
    this.log('error', message, fields);
  }

  #remove(slot: number): Item | undefined {
    if (!this.#ledger.known(slot)) throw new MalformedFrame('a slot never given out');
    return this.#ledger.remove(slot);
  }

  #push(head: string, body: string): void {
    if (this.#over) return;
    if (this.#head === '') {
      this.#head = head;
      this.#body = body;
      this.#slot.dirty(this);
      return;
    }
    this.#head += `,${head}`;
    this.#body += body;
    if (this.#body.length > SOFT_OUT || this.#head.length > HEAD_LIMIT) this.#slot.flush(this);
  }

  #ask(
    kind: Exclude<Item['kind'], 'call'>,
    what: string,
    allowedMs: number,
    record: number,
    numbers: string,
    body: string,
    check: (text: string) => void = () => {},
  ): Promise<void> {
    const late = kind === 'stop' ? this.#over : this.#state !== 'open';
    if (late) return Promise.reject(this.#notOpen());
    if (this.#ledger.size - this.#ledger.calls >= OTHERS) {
      return Promise.reject(new Fault('overloaded', `${this.options.id.name}: ${OTHERS} messages and runs under way already`));
    }
    return new Promise<string>((resolve, reject) => {
      const deadline = this.#slot.clock.monotonic() + allowedMs;
      const none = { callId: undefined, correlationId: undefined };
      const slot = this.#ledger.add({ kind, what, ...none, deadline, allowedMs, resolve, reject });
      this.#push(`${record},${slot}${numbers}`, body);
    }).then(check);
  }

  #notOpen(): Fault {
    const { name } = this.options.id;
    return this.#over
      ? new Fault('workload-not-ready', `${name} is not running`)
      : new Fault('workload-draining', `${name} is draining`);
  }
}

const positions = (names: readonly string[]): ReadonlyMap<string, number> => new Map(names.map((name, at) => [name, at]));
