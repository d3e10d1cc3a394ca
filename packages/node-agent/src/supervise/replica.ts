/**
 * One replica from its opening to its end: the wall is asked for an isolate, its first health is awaited, it is probed, drained, closed.
 *
 *   starting ──> ready ──> draining ──> stopping ──> (gone)
 *      │           │ ended, or unhealthy three times: `trouble`
 *      └───────────┴──────────────────> stopping ──> (gone)
 *
 * Promises:
 * R1. `trouble` is told at most once, and only for an end nobody asked for; `gone` exactly once, last, when nothing of it is left.
 * R2. Every wait has a deadline; the probe's timer lives on the phase `ready` and ends with it.
 */
import { type Clock, DeadlineError, Fault, type Logger, type Timer, withDeadline } from '@cim/contracts';
import type { Ending } from '../core/restart.ts';
import type { Exit, Isolate, OpenOptions, Sandbox } from '../sandbox/sandbox.ts';
import type { Slot } from './lane.ts';

export interface ReplicaTiming {
  /** Time between two health probes, ms. */
  readonly probeMs: number;
  /** Longest start, from asking for a cell to the first good health, ms. */
  readonly startTimeoutMs: number;
}

export interface ReplicaDeps {
  readonly sandbox: Sandbox;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly timing: ReplicaTiming;
  readonly slotFor: (isolate: Isolate) => Slot;
  /** Resolves when the disk has what it is started from: no call reaches it before. */
  readonly kept: () => Promise<void>;
  readonly ready: (replica: Replica) => void;
  readonly trouble: (replica: Replica, ending: Ending) => void;
  readonly gone: (replica: Replica) => void;
  /** A draining replica has nothing in flight any more. */
  readonly idle: (replica: Replica) => void;
}

type Phase =
  | { readonly kind: 'starting' }
  | { readonly kind: 'ready'; readonly isolate: Isolate; readonly slot: Slot; readonly probing: Timer | undefined }
  | { readonly kind: 'draining'; readonly isolate: Isolate; readonly slot: Slot; readonly until: number }
  | { readonly kind: 'stopping' };

export interface Replica {
  readonly id: number;
  readonly edition: string;
  readonly index: number;
  phase(): Phase;
  /** Stops probing; what is in flight may end until `until` (monotonic ms). Only in phase `ready`. */
  drain(until: number): void;
  /** Closes it, giving what is in flight at most `deadlineMs`. Idempotent. */
  stop(deadlineMs: number): void;
}

/** Failing probes in a row after which a replica is restarted. */
const UNHEALTHY_AFTER = 3;
/** A probe may not take longer, ms. */
const PROBE_DEADLINE_MS = 5_000;
/** How long past its own deadline a close is waited for, ms. */
const CLOSE_GRACE_MS = 2_000;

/** Opens a replica; what becomes of it is told through `deps`. */
export function openReplica(
  deps: ReplicaDeps,
  of: { readonly id: number; readonly edition: string; readonly index: number },
  /** Made in here, since reading the entry may fail. */
  options: () => OpenOptions,
  hasHealth: boolean,
): Replica {
  const { sandbox, clock, log, timing } = deps;
  let phase: Phase = { kind: 'starting' };
  let readySince = 0;
  let over = false;

  const gone = () => {
    if (over) return;
    over = true;
    deps.gone(replica);
  };

  const close = async (isolate: Isolate, deadlineMs: number) => {
    try {
      await withDeadline(clock, deadlineMs + CLOSE_GRACE_MS, 'closing a replica', () => isolate.close(deadlineMs));
    } catch (error) {
      log.error({ replica: of.id, error: (error as Error).message }, 'a replica did not close in time');
    }
    gone();
  };

  /** Leaves `ready` or `draining`; timers of the phase end here. */
  const toStopping = () => {
    if (phase.kind === 'ready') phase.probing?.cancel();
    phase = { kind: 'stopping' };
  };

  const trouble = (ending: Ending) => {
    toStopping();
    deps.trouble(replica, ending);
  };

  const exited = (exit: Exit, cell: string) => {
    const asked = phase.kind === 'stopping' || phase.kind === 'draining';
    if (!asked) trouble(endingOf(exit, phase.kind === 'ready' ? clock.monotonic() - readySince : 0, cell));
    else toStopping();
    gone();
  };

  const probe = (isolate: Isolate): Timer | undefined => {
    if (!hasHealth) return undefined;
    let failures = 0;
    let asking = false;
    let beat: Timer | undefined;
    const ask = async () => {
      if (asking) return;
      asking = true;
      try {
        await health(isolate);
        failures = 0;
      } catch (error) {
        failures++;
        const fault = asFault(error);
        log.warn({ replica: of.id, failures, code: fault.code, detail: fault.detail }, 'a health probe failed');
        if (failures >= UNHEALTHY_AFTER && phase.kind === 'ready') {
          trouble({ kind: 'unhealthy', code: fault.code, detail: fault.detail, ranMs: clock.monotonic() - readySince });
          void close(isolate, 0);
        }
      } finally {
        asking = false;
      }
    };
    // The first beat is spread, or a thousand replicas of one boot would all be asked in the same moment.
    const first = clock.after(timing.probeMs * deps.random(), () => {
      void ask();
      beat = clock.every(timing.probeMs, () => void ask());
    });
    return {
      cancel() {
        first.cancel();
        beat?.cancel();
      },
    };
  };

  const health = (isolate: Isolate) =>
    withDeadline(clock, Math.min(PROBE_DEADLINE_MS, timing.startTimeoutMs), 'the health probe', () => isolate.health());

  const start = async () => {
    let opening: Promise<Isolate> | undefined;
    let isolate: Isolate;
    try {
      isolate = await withDeadline(clock, timing.startTimeoutMs, 'the start', async () => {
        opening = sandbox.open(options());
        const opened = await opening;
        if (phase.kind === 'starting' && hasHealth) {
          // Its end while it is asked must end the asking.
          const ended = opened.exited.then(() =>
            Promise.reject(new Fault('cell-died', 'it ended during its first health probe')),
          );
          ended.catch(() => {});
          await Promise.race([health(opened), ended]);
        }
        await deps.kept();
        return opened;
      });
    } catch (error) {
      if (phase.kind === 'starting') trouble(notStarted(error));
      // What opens too late, or is unhealthy from the start, is closed as soon as it can be.
      if (!opening) return gone();
      const closed = opening.then(
        (late) => close(late, 0),
        () => gone(),
      );
      await withDeadline(clock, timing.startTimeoutMs, 'a late start', () => closed).catch(() => {
        log.error({ replica: of.id }, 'the sandbox never said what became of a start');
        gone();
      });
      return;
    }
    if (phase.kind !== 'starting') return close(isolate, 0);
    const slot = deps.slotFor(isolate);
    slot.idle = () => {
      if (phase.kind === 'draining') deps.idle(replica);
    };
    readySince = clock.monotonic();
    phase = { kind: 'ready', isolate, slot, probing: probe(isolate) };
    void isolate.exited.then((exit) => exited(exit, `cell ${isolate.cellPid}`));
    deps.ready(replica);
  };

  const replica: Replica = {
    ...of,
    phase: () => phase,
    drain(until) {
      if (phase.kind !== 'ready') return;
      phase.probing?.cancel();
      phase = { kind: 'draining', isolate: phase.isolate, slot: phase.slot, until };
    },
    stop(deadlineMs) {
      if (phase.kind === 'stopping') return;
      const isolate = phase.kind === 'starting' ? undefined : phase.isolate;
      toStopping();
      // A starting one is closed by `start` when the wall has answered.
      if (isolate) void close(isolate, deadlineMs);
    },
  };
  // Not in this turn: whoever opens it has not yet got it in hand.
  queueMicrotask(() => void start());
  return replica;
}

const asFault = (error: unknown): Fault =>
  error instanceof DeadlineError
    ? new Fault('deadline-exceeded', error.message, { cause: error })
    : Fault.of(error, (error as Error | undefined)?.message);

function notStarted(error: unknown): Ending {
  const { code, detail } = asFault(error);
  const kind = code === 'out-of-memory' ? 'out-of-memory' : code === 'turn-exceeded' ? 'out-of-time' : 'not-started';
  return { kind, code, detail, ranMs: 0 };
}

function endingOf(exit: Exit, ranMs: number, incident: string): Ending {
  switch (exit.kind) {
    case 'closed':
      return { kind: 'closed', code: 'cell-died', detail: 'it was closed by nobody here', ranMs };
    case 'faulted':
      return { kind: 'faulted', code: exit.fault.code, detail: exit.fault.detail, ranMs };
    case 'out-of-memory':
      return { kind: 'out-of-memory', code: 'out-of-memory', detail: exit.detail, ranMs };
    case 'out-of-time':
      return { kind: 'out-of-time', code: 'turn-exceeded', detail: exit.detail, ranMs };
    case 'cell-died':
      return { kind: 'cell-died', code: 'cell-died', detail: exit.detail, ranMs, incident };
  }
}
