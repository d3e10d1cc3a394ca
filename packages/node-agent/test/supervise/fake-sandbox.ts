/** The sandbox's seam in plain functions: a bundle's entry names the behaviour, a test holds the strings. No guest code, no process. */
import { Fault } from '@cim/contracts';
import type { CallRequest, Exit, Isolate, OpenOptions, Sandbox } from '../../src/sandbox/sandbox.ts';

export interface FakeIsolate extends Isolate {
  readonly options: OpenOptions;
  readonly calls: CallRequest[];
  readonly messages: string[];
  readonly runs: string[];
  readonly closed: boolean;
  /** Ends it, as a cell that dies would. */
  end(exit: Exit): void;
  /** What `health` does from now on. */
  healthy: boolean;
  /** Answers calls that `hold` keeps. */
  release(): void;
}

export interface FakeSandbox extends Sandbox {
  /** Every isolate ever opened, in order. */
  readonly opened: FakeIsolate[];
  /** Those that are open. */
  living(): FakeIsolate[];
  /** Decides about an opening: throw to fail it, return a promise to delay it. */
  opening: (options: OpenOptions) => void | Promise<void>;
  /** Answers a call; the default says which version and replica it was. */
  answer: (isolate: FakeIsolate, request: CallRequest) => Promise<string>;
  /** The process all isolates share; undefined gives each its own. */
  cell: number | undefined;
  /** True keeps every call in flight until `release`. */
  hold: boolean;
}

export function fakeSandbox(): FakeSandbox {
  const opened: FakeIsolate[] = [];
  let pid = 100;
  const sandbox: FakeSandbox = {
    opened,
    living: () => opened.filter(({ closed }) => !closed),
    opening: () => {},
    answer: async ({ options: { id } }) => JSON.stringify(`${id.name}@${id.version}#${id.replica}`),
    cell: undefined,
    hold: false,
    limits: 'watchdog',
    layers: [],
    cells: () => [],
    start: async () => {},
    stop: async () => {},
    async open(options) {
      await sandbox.opening(options);
      const exited = Promise.withResolvers<Exit>();
      const waiting = new Set<() => void>();
      const inFlight = new Set<Promise<unknown>>();
      let over = false;
      const isolate: FakeIsolate = {
        options,
        calls: [],
        messages: [],
        runs: [],
        healthy: true,
        get closed() {
          return over;
        },
        cellPid: sandbox.cell ?? pid++,
        exited: exited.promise,
        end(exit) {
          over = true;
          exited.resolve(exit);
        },
        release() {
          for (const go of waiting) go();
          waiting.clear();
        },
        call(request) {
          if (over) return Promise.reject(new Fault('cell-died', 'the cell is gone'));
          isolate.calls.push(request);
          const held = sandbox.hold ? new Promise<void>((resolve) => waiting.add(resolve)) : Promise.resolve();
          const gone = exited.promise.then(() => Promise.reject(new Fault('cell-died', 'the cell went away under the call')));
          const work = Promise.race([held.then(() => sandbox.answer(isolate, request)), gone]);
          inFlight.add(work);
          work.then(
            () => inFlight.delete(work),
            () => inFlight.delete(work),
          );
          return work;
        },
        async message(pattern, subject, data) {
          isolate.messages.push(`${pattern} ${subject} ${data}`);
        },
        async run(schedule) {
          isolate.runs.push(schedule);
          if (sandbox.hold) await new Promise<void>((resolve) => waiting.add(resolve));
        },
        async health() {
          if (!isolate.healthy) throw new Fault('handler-failed', 'not well');
        },
        get quiet() {
          return !over && inFlight.size === 0;
        },
        usage: () => ({ inFlight: inFlight.size, heapBytes: 0, cpuMs: 0 }),
        async close() {
          await Promise.allSettled(inFlight);
          isolate.end({ kind: 'closed' });
        },
      };
      opened.push(isolate);
      return isolate;
    },
  };
  return sandbox;
}
