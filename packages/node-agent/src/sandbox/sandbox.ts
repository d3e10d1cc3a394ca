/**
 * The seam between the daemon and guest code. The daemon knows this file; what stands behind it (cells, isolates, frames, cgroups)
 * is the sandbox's own affair.
 *
 * Promises:
 * X1. Guest code runs in a cell, a process of its own; nothing it does blocks or ends the daemon.
 * X2. A cell holds bundles of one publisher only (trust group). `dedicated` workloads have a cell to themselves.
 * X3. Every entry into an isolate has a time limit, every call a deadline, every answer a size limit.
 * X4. Endings are values: `exited` resolves once with an {@link Exit}; `call` fails with a Fault of the error table.
 * X5. Only JSON text crosses. What a guest asks of the host goes through {@link HostDoor}, which checks the grants.
 */
import type { Fault, LayerState, Limits } from '@cim/contracts';
import type { VerifiedBundle } from '../bundle/verified.ts';
import type { LimitName } from '../core/limit-names.ts';

/** Which living copy of which workload this is. */
export interface ReplicaId {
  readonly instance: string;
  readonly kind: 'agent' | 'service';
  readonly name: string;
  readonly version: string;
  readonly replica: number;
}

export interface OpenOptions {
  readonly id: ReplicaId;
  readonly bundle: VerifiedBundle;
  readonly limits: Limits;
  readonly isolation: 'shared' | 'dedicated';
  /** Values of ctx.config, defaults already merged in. */
  readonly config: unknown;
  readonly host: HostDoor;
}

/** What a guest may ask of its host. Arguments are whatever the guest sent: the door checks shape and grant. */
export type HostOperation =
  | 'kv.get'
  | 'kv.entry'
  | 'kv.put'
  | 'kv.create'
  | 'kv.update'
  | 'kv.delete'
  | 'kv.keys'
  | 'publish'
  | 'emit'
  | 'call'
  | 'secret'
  | 'asset'
  | 'fetch';

/** The daemon's side of a replica: everything it may reach, checked against the manifest's grants. */
export interface HostDoor {
  /**
   * Does what the guest asked. Never trusts `args`. For `call` a fourth argument is the daemon's own, `{ budgetMs, correlationId }` of
   * the call it is made for; whatever the guest sent there is dropped.
   * @returns a JSON value, or undefined, which arrives as undefined; an `asset` as base64 text
   * @throws Fault handed to the guest as an error with its code
   */
  ask(operation: HostOperation, args: readonly unknown[], context: { readonly callId?: string }): Promise<unknown>;
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: Record<string, unknown>): void;
  metric(kind: 'counter' | 'gauge' | 'histogram', name: string, value: number): void;
  /** Told of limits the guest ran into. */
  limit?(limit: LimitName, detail: string, count: number): void;
  /** Takes secrets that were handed over out of what the guest says in its faults. */
  redact?(text: string): string;
}

export interface CallRequest {
  readonly callId: string;
  readonly capability: string;
  /** JSON text, as it came over the wire; parsed in the isolate only. */
  readonly input: string;
  /** Milliseconds until the caller stops waiting. */
  readonly budgetMs: number;
  readonly correlationId: string;
  readonly traceparent?: string;
}

/** JSON text; a large one may be the bytes of it, and whoever gets them may keep them. */
export type AnswerText = string | Buffer;

/** Why an isolate is no more. Everything the restart policy needs. */
export type Exit =
  /** `close` was asked for. */
  | { readonly kind: 'closed' }
  /** It threw while starting. */
  | { readonly kind: 'faulted'; readonly fault: Fault }
  | { readonly kind: 'out-of-memory'; readonly detail: string }
  /** It held the thread where nothing but a kill could end it. */
  | { readonly kind: 'out-of-time'; readonly detail: string }
  /** The cell ended for a reason of its own or of a neighbour in the same trust group. */
  | { readonly kind: 'cell-died'; readonly detail: string };

export interface Usage {
  readonly inFlight: number;
  /** Bytes of the isolate's heap with external memory. */
  readonly heapBytes: number;
  /** Milliseconds of cpu since it opened. */
  readonly cpuMs: number;
}

/** One living replica behind the wall. */
export interface Isolate {
  readonly cellPid: number;
  /** @returns JSON text of the answer. @throws Fault: handler-failed, output-invalid, invalid-input, turn-exceeded, deadline-exceeded, reply-too-large, out-of-memory, cell-died, overloaded */
  call(request: CallRequest): Promise<AnswerText>;
  /** Hands a message of a subscribed subject to its handler. `data` is JSON text. */
  message(pattern: string, subject: string, data: string): Promise<void>;
  /** Runs an entry of `schedule`. */
  run(schedule: string): Promise<void>;
  /** Asks the definition's own `health`; resolves at once where there is none. @throws Fault */
  health(): Promise<void>;
  usage(): Usage;
  /** True while nothing is under way in it and it has set no timer: what it does next, somebody else begins. */
  readonly quiet?: boolean;
  /** True while its memory is given back and the next call wakes it (passive.ts). */
  readonly asleep?: boolean;
  readonly exited: Promise<Exit>;
  /** Lets calls in flight end (up to `deadlineMs`), runs `stop`, disposes. Idempotent; always resolves. */
  close(deadlineMs: number): Promise<void>;
}

/** A cell as status and metrics show it. */
export interface CellInfo {
  readonly pid: number;
  /** Publisher key, or undefined for a spare. */
  readonly publisher: string | undefined;
  readonly dedicated: boolean;
  readonly isolates: number;
  /** Resident bytes as the kernel counts them. */
  readonly rssBytes: number;
  readonly cpuMs: number;
}

/** A debugger at an isolate. */
export interface Inspection {
  /** Hands over a message of the Chrome DevTools protocol. */
  dispatch(text: string): void;
  /** Resolves when the isolate is no more. */
  readonly gone: Promise<void>;
}

export interface Sandbox {
  start(): Promise<void>;
  /**
   * Opens a replica: compiles the entry, checks its default export, runs `start`. Resolves when it is ready to be called.
   * @throws Fault start-failed, out-of-memory, turn-exceeded, deadline-exceeded, cell-died
   */
  open(options: OpenOptions): Promise<Isolate>;
  /**
   * How memory and cpu limits are kept: by the kernel in a cgroup v2 per cell, or by the watchdog, which looks every 100 ms, ends a cell
   * over its memory and stops one for a while that has used more cpu than its share.
   */
  readonly limits: 'cgroup' | 'watchdog';
  /** What stands around a cell, and what does not and why. */
  readonly layers: readonly LayerState[];
  /**
   * Attaches a debugger to the newest replica of a workload; there only where the configuration allows it.
   * @param say told what the inspector says; undefined only asks whether there is such a workload
   * @returns undefined when no such workload runs
   */
  inspect?(workload: string, say: ((text: string) => void) | undefined): Inspection | undefined;
  cells(): readonly CellInfo[];
  /** Kills what is left after the deadline. No cell outlives it. */
  stop(deadlineMs: number): Promise<void>;
}
