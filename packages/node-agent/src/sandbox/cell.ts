/**
 * One cell as the daemon sees it: a child process of one publisher, its socket, the isolates in it.
 *
 * Promises:
 * C1. Frames of all isolates of one turn of the event loop leave in one write.
 * C2. A frame that no honest cell sends ends the cell. Why a cell was ended is remembered here; its exit code is not asked.
 * C3. When the process is gone, every isolate in it has an Exit: the culprit its own, the neighbours `cell-died`.
 */
import type { Socket } from 'node:net';
import { type Clock, Fault, type Logger } from '@cim/contracts';
import type { LimitName } from '../core/limit-names.ts';
import type { CellProcess } from './cell/launch.ts';
import { type CellGroup, type CellLimits, limitsOf } from './cgroup.ts';
import { CpuShare } from './cpu-share.ts';
import { endingOf, faultOf, type Kill, openingFault, saysOutOfMemory } from './endings.ts';
import { type Frame, MalformedFrame } from './frames.ts';
import { decodeFromCell } from './from-cell.ts';
import { Inflow } from './inflow.ts';
import { LastWords } from './last-words.ts';
import { createLine } from './line.ts';
import { openingOf } from './opening.ts';
import { createStanding, placeInKernel, type Standing } from './priority.ts';
import { encodeToCell, type FromCell, fromCellLimit, type GuestFault, PROTOCOL, type ToCell } from './protocol.ts';
import { Pulse } from './pulse.ts';
import { Replica, type Slot } from './replica.ts';
import type { CellInfo, OpenOptions } from './sandbox.ts';
import { allowedBytes, heaviest, isolateIn, type Ping, type Sample, STALL_GRACE_MS, sample, stalled } from './watchdog.ts';

export interface CellOptions {
  readonly process: CellProcess;
  /** Runs without the just-in-time compiler. */
  readonly jitless: boolean;
  /** Its isolates are opened so that a debugger may be attached. */
  readonly debug: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly group: CellGroup | undefined;
  /** Largest answer in bytes. */
  readonly maxReply: number;
  /** Bytes the cell may hold beyond the heaps of its isolates. */
  readonly allowanceBytes: number;
  readonly page: number;
  /** Longest time from birth to ready, ms. */
  readonly startMs: number;
  /** Told at every look at which the cell computed. */
  readonly computes: () => void;
  /** The cell is gone. */
  readonly onEnd: (cell: Cell) => void;
}

/** How long a dead cell's standard error is waited for, ms. */
const LAST_WORDS_MS = 250;
/** Bytes waiting in the socket beyond which a cell is not given more. */
const UNREAD_BYTES = 64 * 2 ** 20;
/** Frames that may be on their way when an isolate ends. */
const ORPHANS = 4096;
/** Source maps above this are left at home. */
const LARGEST_MAP = 4 * 2 ** 20;

export class Cell implements Slot {
  readonly clock: Clock;
  readonly maxReply: number;
  readonly jitless: boolean;
  /** Resolves when the cell can take isolates. @throws Fault `cell-died` */
  readonly ready: Promise<void>;
  publisher: string | undefined;
  dedicated = false;
  /** Isolates on their way into this cell. */
  reserved = 0;
  readonly #options: CellOptions;
  readonly #socket: Socket;
  readonly #replicas = new Map<number, Replica>();
  readonly #openings = new Map<number, (fault: GuestFault | undefined) => void>();
  readonly #line = createLine();
  readonly #standing: Standing;
  #dirty = new Set<Replica>();
  #newest = 0;
  readonly #lastWords: LastWords;
  #kill: Kill | undefined;
  #ended = false;
  #greeted: (error?: Fault) => void = () => {};
  readonly #pulse = new Pulse();
  #sample: Sample = { rssBytes: 0, heldBytes: 0, cpuMs: 0 };
  #lookedAt: number;
  readonly #born: Ping;
  readonly #inflow: Inflow;
  /** Measures asked for and not yet given. */
  #measures = 0;
  /** Frames of isolates that are gone. */
  #orphans = 0;
  #greetedYet = false;
  #lastIn: number | undefined;
  readonly #cpu: CpuShare;

  constructor(options: CellOptions) {
    const { clock } = options;
    const { process } = options;
    this.#options = options;
    this.clock = clock;
    this.maxReply = options.maxReply;
    this.jitless = options.jitless;
    this.#born = { nonce: 0, sentAt: clock.monotonic(), cpuMs: 0 };
    this.#lookedAt = this.#born.sentAt;
    this.#socket = process.socket;
    this.ready = new Promise((resolve, reject) => {
      this.#greeted = (error) => (error ? reject(error) : resolve());
    });
    this.ready.catch(() => {});
    this.#cpu = new CpuShare(process, options.group, (times) =>
      this.#hit('cpu', `its cell may use ${this.limits.milliCpu / 1000} cores for long, and was held back`, times),
    );
    this.#inflow = new Inflow({
      clock,
      source: this.#socket,
      largest: fromCellLimit(options.maxReply),
      take: (frame: Frame) => this.#take(decodeFromCell(frame)),
      fail: (error) => this.kill('malformed', `sent what no cell sends: ${error.message}`),
      held: (ms) => this.#hit('frames', `its cell sends more than the node-agent has time for; not read for ${ms} ms`),
    });
    this.#socket.on('error', () => {});
    // A cell that dies loses its socket before its reason is known: only one that lives on without it is ended for that.
    this.#socket.on('close', () => void clock.after(LAST_WORDS_MS, () => this.kill('malformed', 'closed its socket')));
    this.#lastWords = new LastWords(process.words, (detail) => this.kill('malformed', detail));
    process.onGone((problem) => {
      if (problem !== '') this.#end(problem);
      // When its standard error has been read to its end: its last words tell a crash for memory from others.
      else void clock.after(process.words.destroyed ? 0 : LAST_WORDS_MS, () => this.#end(''));
      process.words.once('close', () => this.#end(''));
    });
    this.#standing = createStanding(() => this.pid, placeInKernel(options.group?.behind), options.computes);
    process.onStarted(() => this.#standing.born());
  }

  /** The process the isolates are in. */
  get pid(): number {
    return this.#options.process.pid();
  }
  get isolates(): number {
    return this.#replicas.size;
  }
  /** True while nobody's code was in it. */
  untouched = (): boolean => this.#newest === 0 && !this.ended;
  get ended(): boolean {
    return this.#ended || this.#kill !== undefined || this.#socket.destroyed;
  }
  /** What the isolates in here may take together, and the cell itself. */
  get limits(): CellLimits {
    return limitsOf(
      [...this.#replicas.values()].map(({ options }) => options.limits),
      this.#options.allowanceBytes,
    );
  }
  info(): CellInfo {
    const { rssBytes, cpuMs } = this.#sample;
    return { pid: this.pid, publisher: this.publisher, dedicated: this.dedicated, isolates: this.isolates, rssBytes, cpuMs };
  }

  /** Makes room for an isolate and loads its code. @throws Fault */
  open(options: OpenOptions, signal: AbortSignal): Promise<Replica> {
    // One after the other: a cell that loads many in a row could not answer between them, and would be taken for one that is held.
    return this.#line(async () => {
      signal.throwIfAborted();
      if (this.ended) throw new Fault('cell-died', 'the cell ended before the workload was loaded');
      return this.#open(options);
    });
  }

  /** True while it loads this very one. */
  loads = (options: OpenOptions): boolean => [...this.#openings.keys()].some((n) => this.#replicas.get(n)?.options === options);

  async #open(options: OpenOptions): Promise<Replica> {
    this.#newest += 1;
    const replica = new Replica(options, this.#newest, this);
    this.#replicas.set(replica.number, replica);
    this.#limit();
    const fault = await new Promise<GuestFault | undefined>((resolve, reject) => {
      this.#openings.set(replica.number, resolve);
      replica.exited.then((exit) => reject(openingFault(exit)));
      const { entry, sourceMap = '' } = options.bundle;
      const map = sourceMap.length <= LARGEST_MAP ? sourceMap : '';
      this.#send({
        kind: 'open',
        isolate: replica.number,
        opening: openingOf(options, this.maxReply, this.#options.debug),
        entry,
        sourceMap: map,
      });
    });
    this.#openings.delete(replica.number);
    if (fault === undefined) return replica;
    const said = faultOf(fault, options.host.redact);
    if (said.code === 'out-of-memory') replica.hit('heap', said.detail);
    if (said.code === 'turn-exceeded') replica.hit('turn', said.detail);
    replica.ended({ kind: 'faulted', fault: said });
    throw said;
  }

  dirty(replica: Replica): void {
    // After what is being read now has been taken in whole, and before anything else is waited for.
    if (this.#dirty.size === 0) queueMicrotask(() => this.#flushAll());
    this.#dirty.add(replica);
  }

  earned(): void {
    this.#inflow.earned();
  }

  flush(replica: Replica): void {
    const batch = replica.drain();
    if (batch) this.#send({ kind: 'enter', isolate: replica.number, ...batch });
  }

  inspect(replica: Replica, text: string): void {
    this.#send({ kind: 'inspect', isolate: replica.number, text });
  }

  release(replica: Replica): void {
    if (!this.#replicas.delete(replica.number) || this.ended) return;
    this.#openings.delete(replica.number);
    // An empty cell is never used again: it has run somebody's code.
    if (this.#replicas.size === 0 && this.reserved === 0) this.kill('unused', 'its last isolate was closed');
    else {
      this.#send({ kind: 'dispose', isolate: replica.number });
      this.#limit();
    }
  }

  /** Closes every isolate in here. */
  async close(deadlineMs: number): Promise<void> {
    await Promise.all([...this.#replicas.values()].map((replica) => replica.close(deadlineMs)));
  }

  /** Ends the process; the first reason counts. */
  kill(why: Kill['why'], detail: string, isolate = isolateIn(this.pid)): void {
    if (this.#ended || this.#kill) return;
    this.#kill = { why, detail, isolate };
    this.#options.process.signal('SIGKILL');
  }

  /** Looks at the cell from outside: memory, cpu, whether it answers. @param full true when also idle cells are looked at */
  look(now: number, full: boolean): void {
    if (this.ended) return;
    if (!this.#greetedYet) {
      const { startMs, page } = this.#options;
      if (stalled(this.#born, now, sample(this.pid, page)?.cpuMs ?? 0, startMs))
        this.kill('stall', `was not ready within ${startMs} ms`);
      return;
    }
    const busy = this.#pulse.awaited || this.#cpu.resting || [...this.#replicas.values()].some((replica) => replica.busy);
    if (!busy && !full) return;
    const seen = sample(this.pid, this.#options.page);
    if (!seen) return;
    const elapsed = now - this.#lookedAt;
    const used = seen.cpuMs - this.#sample.cpuMs;
    this.#sample = seen;
    this.#lookedAt = now;
    // A spare stays behind: whoever gets it has to show that it is calm.
    if (this.publisher !== undefined) this.#standing.look(elapsed);
    this.#lastIn = isolateIn(this.pid) ?? this.#lastIn;
    const shares = [...this.#replicas.values()].map(({ share }) => share);
    const memoryBytes = allowedBytes(shares, this.#options.allowanceBytes);
    if (seen.heldBytes > memoryBytes) {
      const said = `held ${Math.round(seen.heldBytes / 2 ** 20)} MiB, ${Math.round(memoryBytes / 2 ** 20)} allowed`;
      this.kill('memory', said, heaviest(shares, seen.heldBytes, this.#lastIn));
      return;
    }
    this.#cpu.look(used, elapsed, this.limits.milliCpu, full);
    this.#stallCheck(now, elapsed, full);
  }

  /** Told of the isolate that has the thread: the limit is one of the cell. */
  #hit(limit: LimitName, detail: string, count = 1): void {
    const replica =
      (this.#lastIn === undefined ? undefined : this.#replicas.get(this.#lastIn)) ?? [...this.#replicas.values()][0];
    replica?.hit(limit, detail, count);
  }

  #stallCheck(now: number, elapsed: number, full: boolean): void {
    const { cpuMs } = this.#sample;
    const turnMs = Math.max(0, ...[...this.#replicas.values()].map(({ options }) => options.limits.turnMs));
    // Loading is two timed entries in a row: the entry file and its default export.
    const limitMs = (this.#openings.size > 0 ? 2 * turnMs : turnMs) + STALL_GRACE_MS;
    const overdue = this.#pulse.overdue({ now, elapsed, cpuMs, limitMs }, this.#cpu.resting || this.#inflow.holding);
    if (overdue !== undefined) this.kill('stall', `did not answer for ${Math.round(overdue)} ms`);
    const nonce = this.#pulse.beat(now, cpuMs);
    if (nonce === undefined) return;
    this.#send({ kind: 'ping', nonce });
    if (!full && this.#replicas.size < 2) return;
    for (const replica of this.#replicas.values()) replica.footprint.measuring();
    this.#measures += 1;
    this.#send({ kind: 'measure' });
  }

  #take(message: FromCell): void {
    if (message.kind === 'pong') {
      this.#pulse.answered(message.nonce);
      return;
    }
    if (message.kind === 'hello') {
      if (message.protocol !== PROTOCOL) throw new MalformedFrame(`protocol ${message.protocol}`);
      if (this.#greetedYet) throw new MalformedFrame('a second greeting');
      this.#greetedYet = true;
      // The first process was put there before the cell's code began; this is for a cell that was quicker.
      this.#options.group?.add(this.pid);
      this.#greeted();
      return;
    }
    if (message.kind === 'measured') {
      if (this.#measures === 0) throw new MalformedFrame('measures nobody asked for');
      this.#measures -= 1;
      for (const [isolate, ...figures] of message.rows) this.#replicas.get(isolate)?.measured(figures);
      return;
    }
    const replica = this.#replicas.get(message.isolate);
    if (!replica) {
      if (message.isolate === 0 || message.isolate > this.#newest) throw new MalformedFrame(`isolate ${message.isolate}`);
      this.#orphans += 1;
      if (this.#orphans > ORPHANS * this.#newest) throw new MalformedFrame('a flood from isolates that are gone');
      return;
    }
    switch (message.kind) {
      case 'out':
        replica.out(message.head, message.body);
        return;
      case 'inspected':
        replica.inspected(message.text);
        return;
      case 'opened': {
        const opened = this.#openings.get(message.isolate);
        if (!opened) throw new Error('opened twice');
        if (message.fault) faultOf(message.fault);
        opened(message.fault);
        return;
      }
      case 'gone': {
        const { reason, detail } = message;
        if (reason !== 'faulted') replica.hit(reason === 'out-of-memory' ? 'heap' : 'turn', detail);
        replica.ended(
          reason === 'faulted' ? { kind: 'faulted', fault: new Fault('cell-died', detail) } : { kind: reason, detail },
        );
      }
    }
  }

  #flushAll(): void {
    const replicas = this.#dirty;
    this.#dirty = new Set();
    if (this.ended) return;
    if (replicas.size > 1) this.#socket.cork();
    for (const replica of replicas) this.flush(replica);
    if (replicas.size > 1) this.#socket.uncork();
  }

  #send(message: ToCell): void {
    if (this.ended) return;
    if (this.#socket.writableLength > UNREAD_BYTES) this.kill('stall', `left ${this.#socket.writableLength} bytes unread`);
    else this.#socket.write(encodeToCell(message));
  }

  #limit(): void {
    try {
      this.#options.group?.limit(this.limits);
    } catch (error) {
      this.#options.log.error({ pid: this.pid, error: (error as Error).message }, 'limits of a cell could not be set');
      this.kill('stop', 'its limits could not be set');
    }
  }

  #end(problem: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#inflow.stop();
    this.#socket.destroy();
    const { group, log, onEnd } = this.#options;
    const stderr = this.#lastWords.text;
    const memory = group?.outOfMemory() === true || saysOutOfMemory(stderr);
    group?.remove();
    const replicas = [...this.#replicas.values()];
    const ending = endingOf({ kill: this.#kill, memory, problem, lastIn: this.#lastIn, parties: replicas });
    const said = stderr === '' ? '' : ` (${stderr.slice(-300)})`;
    this.#greeted(new Fault('cell-died', `the cell ended before it was ready: ${ending.detail}${said}`));
    if (ending.why !== 'unused' && ending.why !== 'stop') {
      const culprit = ending.culprit?.options.id.name;
      log.warn({ pid: this.pid, why: ending.why, detail: ending.detail, culprit, stderr }, 'cell ended');
    }
    for (const replica of replicas) {
      const exit = ending.exitOf(replica);
      if (exit.kind === 'out-of-memory') replica.hit('memory', exit.detail);
      if (exit.kind === 'out-of-time') replica.hit('turn', exit.detail);
      replica.ended(exit);
    }
    onEnd(this);
  }
}
