/**
 * One cell as the daemon sees it: a child process of one publisher, its socket, the isolates in it.
 *
 * Promises:
 * C1. Frames of all isolates of one turn of the event loop leave in one write.
 * C2. A frame that no honest cell sends ends the cell. Why a cell was ended is remembered here; its exit code is not asked.
 * C3. When the process is gone, every isolate in it has an Exit: the culprit its own, the neighbours `cell-died`.
 */
import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { type Clock, Fault, type Logger } from '@cim/contracts';
import type { CellGroup, CellLimits } from './cgroup.ts';
import { endingOf, faultOf, type Kill, openingFault, saysOutOfMemory } from './endings.ts';
import { FrameReader } from './frames.ts';
import { openingOf } from './opening.ts';
import {
  decodeFromCell,
  encodeToCell,
  type FromCell,
  fromCellLimit,
  type GuestFault,
  PROTOCOL,
  type ToCell,
} from './protocol.ts';
import { Replica, type Slot } from './replica.ts';
import type { CellInfo, OpenOptions } from './sandbox.ts';
import {
  type Allowance,
  fullAllowance,
  isolateIn,
  type Ping,
  type Sample,
  STALL_GRACE_MS,
  sample,
  spend,
  stalled,
} from './watchdog.ts';

export interface CellOptions {
  readonly child: ChildProcess;
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
  /** The cell is gone. */
  readonly onEnd: (cell: Cell) => void;
}

const STDERR_BYTES = 4096;
/** How long a dead cell's standard error is waited for, ms. */
const LAST_WORDS_MS = 250;
/** Bytes waiting in the socket beyond which a cell is not given more. */
const UNREAD_BYTES = 64 * 2 ** 20;
/** Source maps above this are left at home. */
const LARGEST_MAP = 4 * 2 ** 20;
const MIB = 2 ** 20;

export class Cell implements Slot {
  readonly pid: number;
  readonly clock: Clock;
  readonly maxReply: number;
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
  #dirty = new Set<Replica>();
  #newest = 0;
  #stderr = '';
  #kill: Kill | undefined;
  #ended = false;
  #greeted: (error?: Fault) => void = () => {};
  #ping: Ping | undefined;
  #nonce = 0;
  #pingAt = 0;
  #sample: Sample = { rssBytes: 0, heldBytes: 0, cpuMs: 0 };
  #lookedAt: number;
  readonly #born: number;
  #greetedYet = false;
  #lastIn: number | undefined;
  #allowance: Allowance = fullAllowance(1000);

  constructor(options: CellOptions) {
    const { child, clock } = options;
    this.#options = options;
    this.clock = clock;
    this.maxReply = options.maxReply;
    this.pid = child.pid ?? 0;
    this.#born = clock.monotonic();
    this.#lookedAt = this.#born;
    this.#socket = child.stdio[3] as Socket;
    this.ready = new Promise((resolve, reject) => {
      this.#greeted = (error) => (error ? reject(error) : resolve());
    });
    this.ready.catch(() => {});
    const reader = new FrameReader(fromCellLimit(options.maxReply));
    this.#socket.on('data', (chunk: Buffer) => {
      if (this.#ended) return;
      try {
        reader.push(chunk, (frame) => this.#take(decodeFromCell(frame)));
      } catch (error) {
        this.kill('malformed', `sent what no cell sends: ${(error as Error).message}`);
      }
    });
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => this.kill('malformed', 'closed its socket'));
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(-STDERR_BYTES);
    });
    child.on('error', (error) => this.#end(error.message));
    // `close` comes when standard error has been read to its end: its last words tell a crash for memory from others.
    child.on('close', () => this.#end(''));
    child.on('exit', () => void clock.after(LAST_WORDS_MS, () => this.#end('')));
    options.group?.add(this.pid);
  }

  get isolates(): number {
    return this.#replicas.size;
  }
  get ended(): boolean {
    return this.#ended || this.#kill !== undefined;
  }
  /** What the isolates in here may take together, and the cell itself. */
  get limits(): CellLimits {
    let memoryBytes = this.#options.allowanceBytes;
    let milliCpu = 0;
    for (const { options } of this.#replicas.values()) {
      memoryBytes += options.limits.memoryBytes;
      milliCpu += options.limits.milliCpu;
    }
    // A spare may use a core to get warm; below a twentieth of one nothing would ever load.
    return { memoryBytes, milliCpu: this.#replicas.size === 0 ? 1000 : Math.max(milliCpu, 50) };
  }
  info(): CellInfo {
    const { rssBytes, cpuMs } = this.#sample;
    return { pid: this.pid, publisher: this.publisher, dedicated: this.dedicated, isolates: this.isolates, rssBytes, cpuMs };
  }

  /** Makes room for an isolate and loads its code. @throws Fault */
  async open(options: OpenOptions): Promise<Replica> {
    this.#newest += 1;
    const replica = new Replica(options, this.#newest, this);
    this.#replicas.set(replica.number, replica);
    this.#limit();
    const fault = await new Promise<GuestFault | undefined>((resolve, reject) => {
      this.#openings.set(replica.number, resolve);
      replica.exited.then((exit) => reject(openingFault(exit)));
      const { entry, sourceMap = '' } = options.bundle;
      const map = sourceMap.length <= LARGEST_MAP ? sourceMap : '';
      this.#send({ kind: 'open', isolate: replica.number, opening: openingOf(options, this.maxReply), entry, sourceMap: map });
    });
    this.#openings.delete(replica.number);
    if (fault === undefined) return replica;
    const said = faultOf(fault);
    replica.ended({ kind: 'faulted', fault: said });
    throw said;
  }

  dirty(replica: Replica): void {
    if (this.#dirty.size === 0) setImmediate(() => this.#flushAll());
    this.#dirty.add(replica);
  }

  flush(replica: Replica): void {
    const batch = replica.drain();
    if (batch) this.#send({ kind: 'enter', isolate: replica.number, ...batch });
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
  kill(why: Kill['why'], detail: string): void {
    if (this.#ended || this.#kill) return;
    this.#kill = { why, detail, isolate: isolateIn(this.pid) };
    this.#options.child.kill('SIGKILL');
  }

  /** Looks at the cell from outside: memory, cpu, whether it answers. @param full true when also idle cells are looked at */
  look(now: number, full: boolean): void {
    if (this.ended) return;
    if (!this.#greetedYet) {
      if (now - this.#born > this.#options.startMs) this.kill('stall', `was not ready within ${this.#options.startMs} ms`);
      return;
    }
    const busy =
      this.#ping !== undefined || this.#allowance.resting || [...this.#replicas.values()].some((replica) => replica.busy);
    if (!busy && !full) return;
    const seen = sample(this.pid, this.#options.page);
    if (!seen) return;
    const elapsed = now - this.#lookedAt;
    const used = seen.cpuMs - this.#sample.cpuMs;
    this.#sample = seen;
    this.#lookedAt = now;
    this.#lastIn = isolateIn(this.pid) ?? this.#lastIn;
    const { memoryBytes, milliCpu } = this.limits;
    if (seen.heldBytes > memoryBytes) {
      this.kill('memory', `held ${Math.round(seen.heldBytes / MIB)} MiB, ${Math.round(memoryBytes / MIB)} allowed`);
      return;
    }
    if (this.#options.group === undefined) this.#throttle(used, elapsed, milliCpu);
    this.#stallCheck(now, elapsed, full);
  }

  /** Stops the process for a while when it has used more than its share; only where no cgroup does it. */
  #throttle(used: number, elapsed: number, milliCpu: number): void {
    const before = this.#allowance;
    this.#allowance = spend(before, used, elapsed, milliCpu);
    if (this.#allowance.resting !== before.resting) this.#options.child.kill(this.#allowance.resting ? 'SIGSTOP' : 'SIGCONT');
  }

  #stallCheck(now: number, elapsed: number, full: boolean): void {
    const { cpuMs } = this.#sample;
    if (this.#ping) {
      // Time in which the cell could not answer, or the daemon could not have read the answer, is not the cell's.
      const excused = this.#allowance.resting ? elapsed : Math.max(0, elapsed - 400);
      this.#ping = { ...this.#ping, sentAt: this.#ping.sentAt + excused };
      let turnMs = 0;
      for (const { options } of this.#replicas.values()) turnMs = Math.max(turnMs, options.limits.turnMs);
      // Loading is two timed entries in a row: the entry file and its default export.
      const limitMs = (this.#openings.size > 0 ? 2 * turnMs : turnMs) + STALL_GRACE_MS;
      if (stalled(this.#ping, now, cpuMs, limitMs))
        this.kill('stall', `did not answer for ${Math.round(now - this.#ping.sentAt)} ms`);
    } else if (now >= this.#pingAt) {
      this.#nonce = (this.#nonce + 1) % 2 ** 31;
      this.#ping = { nonce: this.#nonce, sentAt: now, cpuMs };
      this.#pingAt = now + 200;
      this.#send({ kind: 'ping', nonce: this.#nonce });
      if (full) this.#send({ kind: 'measure' });
    }
  }

  #take(message: FromCell): void {
    if (message.kind === 'pong') {
      if (message.nonce === this.#ping?.nonce) this.#ping = undefined;
      return;
    }
    if (message.kind === 'hello') {
      if (message.protocol !== PROTOCOL) throw new Error(`protocol ${message.protocol}`);
      this.#greetedYet = true;
      this.#greeted();
      return;
    }
    if (message.kind === 'measured') {
      for (const [isolate, heapBytes, cpuMs] of message.rows) this.#replicas.get(isolate)?.measured(heapBytes, cpuMs);
      return;
    }
    const replica = this.#replicas.get(message.isolate);
    if (!replica) {
      if (message.isolate === 0 || message.isolate > this.#newest) throw new Error(`isolate ${message.isolate}`);
      return;
    }
    switch (message.kind) {
      case 'out':
        replica.out(message.head, message.body);
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
    this.#socket.destroy();
    const { group, log, onEnd } = this.#options;
    const stderr = this.#stderr.trim();
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
    for (const replica of replicas) replica.ended(ending.exitOf(replica));
    onEnd(this);
  }
}
