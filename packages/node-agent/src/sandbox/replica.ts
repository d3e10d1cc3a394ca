/**
 * One replica as the daemon sees it: the {@link Isolate} of the seam. Its code runs in a cell; here are its calls, its requests to the
 * host and its end.
 *
 * Promises:
 * P1. Every call ends by its deadline, with text or with a Fault, whatever the cell does.
 * P2. What the guest asks goes to its HostDoor with the call it is for; at most ASKS_LIMIT at a time.
 * P3. `exited` resolves once.
 */
import { type Clock, Fault, type Timer } from '@cim/contracts';
import type { LimitName } from '../core/limit-names.ts';
import { faultAt, faultOf } from './endings.ts';
import { Footprint } from './footprint.ts';
import { MalformedFrame } from './frames.ts';
import { type Item, Ledger } from './ledger.ts';
import { Outflow } from './outflow.ts';
import { ASKS_LIMIT, type Body, type GuestFault, type GuestLimit, HEAD_LIMIT, IN, SOFT_OUT } from './protocol.ts';
import { type Level, type MetricKind, readRecords } from './records.ts';
import type { AnswerText, CallRequest, Exit, HostOperation, Inspection, Isolate, OpenOptions, Usage } from './sandbox.ts';
import type { Share } from './watchdog.ts';

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
  /** What was waited for has come. */
  earned(): void;
  /** Hands a message of a debugger to the isolate. */
  inspect(replica: Replica, text: string): void;
  /** Gives the isolate back. */
  release(replica: Replica): void;
}

/** Limits that are kept inside the isolate and end a call with their own code. */
const LIMIT_OF: Readonly<Record<string, LimitName>> = { 'turn-exceeded': 'turn', 'reply-too-large': 'reply-size' };
/** Messages, runs and hooks under way, beyond the calls. */
const OTHERS = 256;
/** Answers given twice, when an entry was interrupted between the two, over a life. */
const SURPLUS = 4096;
/** Records that leave together at most: the cell works on them while the daemon reads on. */
const BATCH = 32;
/** The least the daemon waits before it wakes an isolate, ms. */
const SHORTEST_WAKE = 4;

export class Replica implements Isolate {
  readonly options: OpenOptions;
  readonly number: number;
  readonly exited: Promise<Exit>;
  readonly footprint = new Footprint();
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
  /** Records in these two. */
  #waiting = 0;
  #asks = 0;
  #wake: Timer | undefined;
  #inspector: ((text: string) => void) | undefined;
  readonly #outflow: Outflow;

  constructor(options: OpenOptions, number: number, slot: Slot) {
    const { manifest } = options.bundle;
    this.options = options;
    this.number = number;
    this.#slot = slot;
    this.#outflow = new Outflow(slot.clock, options.host);
    this.#ledger = new Ledger(slot.clock, (late, item) => {
      this.#push(`${IN.cancel},${late}`, '');
      // A caller with less patience is no limit of the workload's.
      const { timeoutMs } = options.limits;
      if (item.allowedMs >= timeoutMs) this.hit('timeout', `${item.kind} ${item.what}: no answer within ${timeoutMs} ms`);
    });
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

  get quiet(): boolean {
    return this.#state === 'open' && !this.busy && this.#asks === 0 && this.#wake === undefined;
  }

  call({ callId, capability, input, budgetMs, correlationId, traceparent = '' }: CallRequest): Promise<AnswerText> {
    if (this.#state !== 'open') return Promise.reject(this.#notOpen());
    const at = this.#capabilities.get(capability);
    if (at === undefined)
      return Promise.reject(new Fault('capability-unknown', `${this.options.id.name} does not offer ${capability}`));
    const { maxConcurrent, timeoutMs } = this.options.limits;
    if (this.#ledger.calls >= maxConcurrent) {
      const detail = `${this.options.id.name}: ${maxConcurrent} calls in flight already`;
      this.hit('in-flight', detail);
      return Promise.reject(new Fault('overloaded', detail));
    }
    const allowedMs = Math.min(budgetMs, timeoutMs);
    if (!(allowedMs > 0))
      return Promise.reject(new Fault('deadline-exceeded', `call ${capability}: no time left when it arrived`));
    return new Promise((resolve, reject) => {
      const deadline = this.#slot.clock.monotonic() + allowedMs;
      const item = { kind: 'call', what: capability, callId, correlationId, deadline, allowedMs, resolve, reject } as const;
      const slot = this.#ledger.add(item);
      const correlation = correlationId === callId ? '' : correlationId;
      const lengths = `${callId.length},${correlation.length},${traceparent.length},${input.length}`;
      this.#push(`${IN.call},${slot},${at},${Math.ceil(allowedMs)},${lengths}`, callId + correlation + traceparent + input);
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
    if (this.#inspector !== undefined && !this.#over) return Promise.resolve();
    if (!this.options.bundle.manifest.hooks.health)
      return this.#state === 'open' ? Promise.resolve() : Promise.reject(this.#notOpen());
    return this.#ask('health', 'health', this.options.limits.timeoutMs, IN.health, '', '', (text) => {
      if (text.toString() === 'false') throw new Fault('handler-failed', 'health: answered false');
    });
  }

  /** Runs the definition's `start`, where there is one. @throws Fault */
  begin(deadlineMs: number): Promise<void> {
    if (!this.options.bundle.manifest.hooks.start) return Promise.resolve();
    return this.#ask('start', 'start', deadlineMs, IN.start, '', '');
  }

  /** Attaches a debugger. From now on entries have no time limit, and health is not asked: a paused workload is not an ill one. */
  inspect(say: (text: string) => void): Inspection {
    const first = this.#inspector === undefined;
    this.#inspector = say;
    if (first) this.#slot.inspect(this, '');
    return {
      dispatch: (text) => {
        if (text !== '' && !this.#over) this.#slot.inspect(this, text);
      },
      gone: this.exited.then(() => {}),
    };
  }

  /** @throws MalformedFrame when no debugger was attached */
  inspected(text: string): void {
    if (this.#inspector === undefined) throw new MalformedFrame('an inspector that was not asked for');
    this.#inspector(text);
  }

  usage(): Usage {
    const { heapBytes, cpuMs } = this.footprint;
    return { inFlight: this.#ledger.calls, heapBytes, cpuMs };
  }

  /** @param figures heap bytes, cpu ms, bytes taken, as the cell tells them */
  measured(figures: readonly [number, number, number]): void {
    this.footprint.measured(...figures, this.busy);
  }

  /** Its memory, as far as the daemon knows. */
  get share(): Share {
    return this.footprint.share(this.number, this.options.limits.memoryBytes, this.busy);
  }

  /** Tells of a limit it ran into. */
  hit(limit: LimitName, detail: string, count = 1): void {
    this.options.host.limit?.(limit, detail, count);
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
        this.#outflow.report('stop failed', { error: Fault.of(error).detail }),
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
    this.footprint.sent();
    const taken = { head: this.#head, body: this.#body };
    this.#head = '';
    this.#body = '';
    return taken;
  }

  /** A batch of the isolate. @throws MalformedFrame */
  out(head: string, body: Body): void {
    readRecords(head, body, this);
  }

  answer(slot: number, text: Body): void {
    const item = this.#remove(slot);
    if (item === undefined) return;
    const { maxReply } = this.#slot;
    // Bytes are at most three times the characters: counted only when it may matter.
    const bytes = typeof text !== 'string' ? text.length : text.length * 3 > maxReply ? Buffer.byteLength(text) : 0;
    if (bytes > maxReply) {
      const detail = `${bytes} bytes, at most ${maxReply} allowed`;
      this.hit('reply-size', detail);
      item.reject(new Fault('reply-too-large', detail));
    } else item.resolve(text);
  }

  fault(slot: number, guest: GuestFault): void {
    const fault = faultOf(guest, this.options.host.redact);
    const limit = LIMIT_OF[guest.code];
    if (limit !== undefined) this.hit(limit, guest.detail);
    const item = this.#remove(slot);
    if (item === undefined) return;
    if (guest.code === 'handler-failed' || guest.code === 'turn-exceeded') {
      const { stack, detail } = guest;
      this.#outflow.report(`${item.kind} failed`, {
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
    this.#outflow.log(level, message, fields);
  }

  metric(kind: MetricKind, name: string, value: number): void {
    this.#outflow.metric(kind, name, value);
  }

  limit(name: GuestLimit, hits: number): void {
    this.#outflow.limit(name, hits);
  }

  wake(ms: number): void {
    this.#wake?.cancel();
    this.#wake = this.#slot.clock.after(Math.max(SHORTEST_WAKE, ms), () => {
      this.#wake = undefined;
      this.#push(`${IN.wake}`, '');
    });
  }

  #remove(slot: number): Item | undefined {
    if (!this.#ledger.known(slot)) throw new MalformedFrame('a slot never given out');
    const item = this.#ledger.remove(slot);
    if (item !== undefined) this.#slot.earned();
    else if (this.#ledger.surplus > SURPLUS) throw new MalformedFrame('more answers than there were calls');
    return item;
  }

  #push(head: string, body: string): void {
    if (this.#over) return;
    if (this.#head === '') {
      this.#head = head;
      this.#body = body;
      this.#waiting = 1;
      this.#slot.dirty(this);
      return;
    }
    this.#head += `,${head}`;
    this.#body += body;
    this.#waiting += 1;
    if (this.#waiting === BATCH || this.#body.length > SOFT_OUT || this.#head.length > HEAD_LIMIT) this.#slot.flush(this);
  }

  #ask(
    kind: Exclude<Item['kind'], 'call'>,
    what: string,
    allowedMs: number,
    record: number,
    numbers: string,
    body: string,
    check: (text: Body) => void = () => {},
  ): Promise<void> {
    const late = kind === 'stop' ? this.#over : this.#state !== 'open';
    if (late) return Promise.reject(this.#notOpen());
    if (this.#ledger.size - this.#ledger.calls >= OTHERS) {
      const detail = `${this.options.id.name}: ${OTHERS} messages and runs under way already`;
      this.hit('in-flight', detail);
      return Promise.reject(new Fault('overloaded', detail));
    }
    return new Promise<Body>((resolve, reject) => {
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
