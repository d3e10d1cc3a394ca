/**
 * One isolate, seen from inside its cell. With cell-main the only user of isolated-vm.
 *
 * Promises:
 * G1. Guest code is entered with `applySync` and a timeout, never otherwise; only strings (boxed from 1 KiB on) go in and out.
 * G2. No isolated-vm object reaches the guest: the wrapper holds three callbacks, for random bytes, for "there is something to take"
 *     and for the parts of the platform that are loaded when first used.
 * G3. Three interrupted entries in a row, or running out of memory, end the isolate with the reason.
 */
import ivm from 'isolated-vm';
import { FLAG, type GoneReason, type GuestFault, IN, type Opening } from '../protocol.ts';
import { entropy } from './entropy.ts';
import type { Library } from './library.ts';
import { createStackMap, type StackMap } from './stack-map.ts';
import { compile, furnish, isolateFor, type Prelude, type Vessel } from './vessel.ts';

type Text = string | [string];
type Door<A extends unknown[]> = ivm.Reference<(...args: A) => Text>;

const STRIKES = 3;
/** Who was on a core for less than this part of its limit, in all of them together, was kept from it by others: that ends nobody. */
const OWN_DOING = 0.1;
/** An entry may take so much longer than its limit, and never more than an eighth of it, ms. */
const LARGEST_GRID_MS = 64;
/** Failures of one entry by what the guest left behind, after which the isolate is ended for it. */
const LEFT_BEHIND = 16;
const TIMED_OUT = 'Script execution timed out.';
/** The entry's name in stacks. */
const ENTRY_NAME = 'entry.js';
const LONGEST_ENTROPY = 65_536;
/** Strings from this length on are boxed: bare ones are held outside of what the garbage collector feels. */
const BOX = 1024;

const box = (text: string): Text => (text.length < BOX ? text : [text]);
const unbox = (text: Text): string => (typeof text === 'string' ? text : text[0]);
/** Microseconds of cpu this thread has used. What isolated-vm counts for an isolate is wall time, as npm's builds of it are made. */
const threadUs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return user + system;
};
const messageOf = (error: unknown): string => {
  const message = error instanceof Error ? error.message : error;
  return typeof message === 'string' ? message.slice(0, 2000) : 'no message';
};

const REHEARSAL: Opening = {
  workload: { kind: 'agent', name: 'rehearsal', version: '0.0.0', instance: 'none', replica: 0 },
  config: {},
  capabilities: [{ name: 'r', input: { type: 'object' } }],
  subscribe: [],
  schedule: [],
  hooks: { start: false, stop: false, health: false },
  memoryMb: 16,
  turnMs: 1000,
  maxReply: 1024,
};

/** Opens and calls a workload of our own once, so that a warm cell has everything loaded a first start needs. */
export function rehearse(prelude: Prelude): void {
  const guest = new Guest(REHEARSAL, '', { out() {}, gone() {}, log() {} });
  guest.load(prelude, "export default { kind: 'agent', api: 1, capabilities: { r: { handle: async (input) => input } } };");
  guest.push(`${IN.call},1,0,1000,0,0,0,2`, '{}');
  guest.work();
  guest.dispose();
}

/** What a guest reports to its cell. */
export interface GuestPorts {
  /** Text of the outbox: a head and bodies. */
  out(head: string, body: string): void;
  gone(reason: GoneReason, detail: string): void;
  /** A line of log that the cell itself has to say about the guest. */
  log(message: string): void;
  /** What the inspector says. */
  inspected?(text: string): void;
  /** There is more to do. */
  again?(): void;
}

export class Guest {
  readonly #isolate: ivm.Isolate;
  readonly #ports: GuestPorts;
  readonly #opening: Opening;
  readonly #options: { timeout: number; readonly arguments: { copy: true }; readonly result: { copy: true } };
  readonly #stacks: StackMap;
  #enter: Door<[Text, number]> | undefined;
  #resume: Door<[]> | undefined;
  #collect: Door<[]> | undefined;
  #recover: Door<[number]> | undefined;
  #vessel: Vessel | undefined;
  #context: ivm.Context | undefined;
  #session: ivm.InspectorSession | undefined;
  /** An entry is under way that a debugger may have paused. */
  #held = false;
  #nudged = false;
  #strikes = 0;
  /** Cpu of the entries that were interrupted in a row, us. */
  #struckUs = 0;
  #spentUs = 0;
  #head = '';
  #body = '';
  #more = false;
  #gone = false;

  /** @param vessel an isolate that was kept ready for one with this memory limit */
  constructor(opening: Opening, sourceMap: string, ports: GuestPorts, vessel?: Vessel) {
    this.#opening = opening;
    this.#ports = ports;
    this.#options = { timeout: opening.turnMs, arguments: { copy: true }, result: { copy: true } };
    this.#stacks = createStackMap(ENTRY_NAME, sourceMap);
    this.#vessel = vessel;
    this.#isolate = vessel?.isolate ?? isolateFor(opening.memoryMb, opening.inspect === true);
  }

  get heapBytes(): number {
    if (this.#isolate.isDisposed || this.#session) return 0;
    const heap = this.#isolate.getHeapStatisticsSync();
    return heap.used_heap_size + heap.externally_allocated_size;
  }

  /** Memory the heap takes, garbage and empty pages included, with buffers. */
  get takenBytes(): number {
    if (this.#isolate.isDisposed || this.#session) return 0;
    const heap = this.#isolate.getHeapStatisticsSync();
    return heap.total_physical_size + heap.externally_allocated_size;
  }

  /** Milliseconds of cpu its loading and its entries took, with what the cell does around them. */
  get cpuMs(): number {
    return Math.round(this.#spentUs / 1000);
  }

  /** True when {@link work} has something to do. */
  get waiting(): boolean {
    return !this.#held && (this.#more || this.#head !== '');
  }

  /** Runs the prelude and the entry and reads its default export. @returns what was wrong, or undefined */
  load(prelude: Prelude, entry: string): GuestFault | undefined {
    const before = threadUs();
    const fault = this.#load(prelude, entry);
    this.#spentUs += threadUs() - before;
    return fault;
  }

  #load(prelude: Prelude, entry: string): GuestFault | undefined {
    const { turnMs } = this.#opening;
    try {
      const { context, boot } = this.#vessel ?? furnish(this.#isolate, prelude, this.#opening.inspect === true);
      this.#vessel = undefined;
      this.#context = context;
      const chance = new ivm.Callback((bytes: number) => entropy(Math.min(bytes, LONGEST_ENTROPY)));
      const nudge = new ivm.Callback(() => {
        this.#nudged = true;
      });
      const doors: ivm.Reference<any> = boot.applySync(
        undefined,
        [
          new ivm.ExternalCopy([JSON.stringify(this.#opening)]).copyInto(),
          chance,
          nudge,
          this.#partLoader(context, prelude.library),
        ],
        {
          result: { reference: true },
        },
      );
      const door = (name: string): ivm.Reference<any> => doors.getSync(name, { reference: true });
      this.#enter = door('enter');
      this.#resume = door('resume');
      this.#collect = door('collect');
      this.#recover = door('recover');

      const module = this.#isolate.compileModuleSync(entry, { filename: ENTRY_NAME });
      const [imported] = module.dependencySpecifiers;
      if (imported !== undefined) {
        const detail = `the entry imports ${JSON.stringify(imported)}: a workload has no modules but its own; bundle it in`;
        return { code: 'start-failed', detail };
      }
      module.instantiateSync(context, () => {
        throw new Error('no imports');
      });
      module.evaluateSync({ timeout: turnMs });
      const refused = unbox(
        door('adopt').applySync(undefined, [module.namespace.derefInto()], { timeout: turnMs, result: { copy: true } }) as Text,
      );
      if (refused === '') return undefined;
      const fault = JSON.parse(refused) as GuestFault;
      return fault.stack === undefined ? fault : { ...fault, stack: this.#stacks.map(fault.stack) };
    } catch (error) {
      const detail = messageOf(error);
      if (this.#isolate.isDisposed) return { code: 'out-of-memory', detail: 'out of memory while loading' };
      if (detail === TIMED_OUT) return { code: 'turn-exceeded', detail: `loading held the thread for more than ${turnMs} ms` };
      const whole = error instanceof Error && typeof error.stack === 'string' ? error.stack.slice(0, 8192) : '';
      // Below the boundary are this program's own frames, which are nobody's business.
      const stack = whole.split('\n    at (<isolated-vm boundary>)')[0]!;
      return { code: 'start-failed', detail, stack: this.#stacks.map(stack) };
    }
  }

  /**
   * Compiles a part of the platform and hands over the function it is. Called from inside the isolate, in the guest's time: the limit of
   * the entry that needed it holds for it too.
   */
  #partLoader(context: ivm.Context, library: Library): ivm.Callback<(name: string) => unknown> {
    return new ivm.Callback((name: string) => {
      const script = compile(this.#isolate, `${name}.js`, library.part(name));
      return script.runSync(context, { reference: true }).derefInto({ release: true });
    });
  }

  /**
   * What an entry is given. Its limit ends on a grid: isolated-vm's timer thread wakes once for each limit that has passed, also of entries
   * that ended long ago, and limits that end together wake it once.
   */
  get #timed() {
    const turn = this.#opening.turnMs;
    const grid = Math.min(LARGEST_GRID_MS, Math.ceil(turn / 8));
    this.#options.timeout = Math.ceil((performance.now() + turn) / grid) * grid - Math.floor(performance.now());
    return this.#options;
  }

  /** Takes input in; {@link work} hands it to the isolate, joined with what else came in meanwhile. */
  push(head: string, body: string): void {
    this.#head = this.#head === '' ? head : `${this.#head},${head}`;
    this.#body += body;
  }

  /** One timed entry with all that waits, then everything it had to say. */
  work(): void {
    if (this.#gone || !this.#enter || !this.#resume || !this.#collect) return;
    if (this.#session) return void this.#workInspected(this.#enter, this.#resume, this.#collect);
    this.#nudged = false;
    let text: string | undefined;
    const before = threadUs();
    try {
      if (this.#head !== '') {
        const [head, body] = [this.#head, this.#body];
        this.#head = '';
        this.#body = '';
        text = unbox(this.#enter.applySync(undefined, [box(head + body), head.length], this.#timed));
        // What is left of an interrupted batch does not count: going on with it proves nothing.
        this.#strikes = 0;
        this.#struckUs = 0;
      } else text = unbox(this.#resume.applySync(undefined, [], this.#timed));
    } catch (error) {
      text = this.#fell(error, threadUs() - before);
    }
    try {
      while (text !== undefined) {
        const flags = text.charCodeAt(0) - 48;
        this.#tell(text, flags);
        this.#more = (flags & FLAG.more) !== 0;
        const again = (flags & FLAG.again) !== 0 || (this.#nudged && !this.#more);
        this.#nudged = false;
        text = again ? this.#quietly(() => this.#collect!.applySync(undefined, [], { result: { copy: true } })) : undefined;
      }
    } catch (error) {
      this.#end(this.#isolate.isDisposed ? 'out-of-memory' : 'faulted', messageOf(error));
    }
    this.#spentUs += threadUs() - before;
  }

  dispose(): void {
    this.#gone = true;
    if (!this.#isolate.isDisposed) this.#isolate.dispose();
  }

  /**
   * Hands over a message of a debugger; an empty one attaches it. From then on entries run beside this thread, which must go on while the
   * isolate is paused, and have no time limit. The session stays: isolated-vm does not survive its end.
   */
  inspect(message: string): void {
    if (this.#gone || this.#opening.inspect !== true || !this.#context) return;
    if (!this.#session) {
      // Parts of the platform load over this thread: all now, since later one might wait for the other.
      this.#context.evalSync(
        'for (const name of Object.getOwnPropertyNames(globalThis)) { try { void globalThis[name]; } catch {} }',
      );
      this.#session = this.#isolate.createInspectorSession();
      this.#session.onResponse = (_, said) => this.#ports.inspected?.(said);
      this.#session.onNotification = (said) => this.#ports.inspected?.(said);
    }
    if (message !== '') this.#session.dispatchProtocolMessage(message);
  }

  /** As {@link work}, while a debugger is attached. */
  async #workInspected(enter: Door<[Text, number]>, resume: Door<[]>, collect: Door<[]>): Promise<void> {
    if (this.#held) return;
    this.#held = true;
    this.#nudged = false;
    const untimed = { arguments: { copy: true }, result: { copy: true } } as const;
    const [head, body] = [this.#head, this.#body];
    this.#head = '';
    this.#body = '';
    let entry = (): Promise<Text> =>
      head === '' ? resume.apply(undefined, [], untimed) : enter.apply(undefined, [box(head + body), head.length], untimed);
    for (let left = LEFT_BEHIND; left > 0 && !this.#gone; ) {
      try {
        const text = unbox(await entry());
        const flags = text.charCodeAt(0) - 48;
        this.#tell(text, flags);
        this.#more = (flags & FLAG.more) !== 0;
        const again = (flags & FLAG.again) !== 0 || (this.#nudged && !this.#more);
        this.#nudged = false;
        if (!again) break;
        entry = () => collect.apply(undefined, [], untimed);
      } catch (error) {
        if (this.#isolate.isDisposed) {
          this.#end('out-of-memory', messageOf(error));
          return;
        }
        left -= 1;
        this.#ports.log(`unhandled rejection: ${messageOf(error)}`);
        entry = () => this.#recover!.apply(undefined, [0], untimed);
      }
    }
    this.#held = false;
    if (this.waiting) this.#ports.again?.();
  }

  #tell(text: string, flags: number): void {
    if (text.length === 1) return;
    const line = text.indexOf('\n');
    const head = text.slice(1, line);
    const body = text.slice(line + 1);
    if ((flags & FLAG.stack) === 0) this.#ports.out(head, body);
    else {
      const mapped = this.#stacks.mapRecords(head, body);
      this.#ports.out(mapped.head, mapped.body);
    }
  }

  /** An entry ended in an exception. @param usedUs microseconds of cpu it took. @returns what the isolate has to say nevertheless */
  #fell(error: unknown, usedUs: number): string | undefined {
    const message = messageOf(error);
    if (this.#isolate.isDisposed) {
      const memory = /memory/.test(message);
      this.#end(memory ? 'out-of-memory' : 'faulted', memory ? `went over ${this.#opening.memoryMb} MB of heap` : message);
      return undefined;
    }
    const late = message === TIMED_OUT;
    if (!late) this.#ports.log(`unhandled rejection: ${message}`);
    else this.#strike(usedUs);
    try {
      const text = this.#quietly(() => this.#recover!.applySync(undefined, [late ? this.#opening.turnMs : 0], this.#timed));
      if (!this.#out) return text;
      // Said before it ends, so that the callers it concerns learn the reason.
      this.#tell(text, text.charCodeAt(0) - 48);
      this.#end('out-of-time', `held the thread for more than ${this.#opening.turnMs} ms ${STRIKES} times in a row`);
    } catch (second) {
      this.#end('faulted', messageOf(second));
    }
    return undefined;
  }

  /**
   * An entry of the wrapper that runs no handler. What fails it all the same is the guest's: a rejection it left behind or was interrupted
   * before it could handle, a microtask that holds the thread. It is asked again, since what it had to say was kept.
   */
  #quietly(first: () => Text): string {
    let entry = first;
    for (let left = LEFT_BEHIND, before = threadUs(); ; left -= 1) {
      try {
        return unbox(entry());
      } catch (error) {
        if (this.#isolate.isDisposed || left === 0) throw error;
        const message = messageOf(error);
        if (message === TIMED_OUT) this.#strike(threadUs() - before);
        else this.#ports.log(`unhandled rejection: ${message}`);
        entry = () => this.#recover!.applySync(undefined, [0], this.#timed);
      }
    }
  }

  /** An entry ran into its limit. */
  #strike(usedUs: number): void {
    this.#strikes += 1;
    this.#struckUs += usedUs;
  }

  /** Too often in a row, and of its own doing. Who may wait without a core (Atomics.wait) is never taken for a victim. */
  get #out(): boolean {
    const { turnMs, language } = this.#opening;
    const own = language?.includes('sharedMemory') === true || this.#struckUs >= OWN_DOING * 1000 * turnMs;
    return own && this.#strikes >= STRIKES;
  }

  #end(reason: GoneReason, detail: string): void {
    if (this.#gone) return;
    this.dispose();
    this.#ports.gone(reason, detail);
  }
}
