/**
 * Watching events with callbacks, as the guide's monitor does.
 *
 * Promises:
 * M1. Handlers run one after the other; one that throws is told to `onError` and the next event still comes.
 * M2. A cut of the link is told to `onError` once and healed; what happened meanwhile arrives afterwards, each event once.
 * M3. `stop` ends it; `done` then resolves and nothing is called any more.
 */
import { type CimEvent, type Clock, Fault } from '@cim/contracts';
import type { RegistryClient } from './registry/client.ts';
import { checkPatterns } from './registry/event-query.ts';
import { eventStream } from './registry/event-stream.ts';

export interface WatchOptions {
  /** Absent: the whole fleet. */
  readonly instance?: string;
  /** Patterns relative to an instance: `agent.*.deployed`, `error.*`. Absent: all. */
  readonly events?: readonly string[];
  /** ISO time or sequence number to begin after; absent: from now on. */
  readonly since?: string;
  readonly onEvent: (event: CimEvent, sequence: number) => unknown;
  readonly onError?: (error: Fault) => unknown;
  readonly signal?: AbortSignal;
}

export interface Watch {
  /** Resolves when the stream stands for the first time: what happens after that is seen. Rejects when it never will. */
  readonly ready: Promise<void>;
  /** Resolves after `stop`; rejects with the fault that ended it. */
  readonly done: Promise<void>;
  /** Events handed on so far. */
  readonly seen: number;
  stop(): Promise<void>;
}

export interface MonitorOptions {
  readonly instance?: string;
  readonly events?: readonly string[];
  readonly since?: string;
  readonly handlers: Pick<WatchOptions, 'onEvent' | 'onError'>;
}

/** @throws Fault `invalid-input` at once for a bad pattern */
export function watchEvents(
  registry: RegistryClient,
  around: { readonly clock: Clock; readonly random: () => number },
  options: WatchOptions,
): Watch {
  const { instance, events = [], since, onEvent, onError, signal } = options;
  checkPatterns(events);
  const ending = new AbortController();
  const stopped = signal === undefined ? ending.signal : AbortSignal.any([ending.signal, signal]);
  const standing = Promise.withResolvers<void>();
  let seen = 0;
  const tell = (error: unknown) => {
    try {
      onError?.(Fault.of(error, `a handler of events failed: ${(error as Error)?.message ?? error}`));
    } catch {
      // M1: a handler of errors that throws has nobody left to be told.
    }
  };
  const run = async () => {
    const stream = eventStream(registry, {
      query: { instance, patterns: events, since },
      ...around,
      signal: stopped,
      onOpen: standing.resolve,
      onCut: tell,
    });
    for await (const { event, sequence } of stream) {
      if (stopped.aborted) break;
      seen++;
      try {
        await onEvent(event, sequence);
      } catch (error) {
        tell(error);
      }
    }
  };
  const done = run().then(
    () => standing.resolve(),
    (error) => {
      standing.reject(error);
      tell(error);
      throw error;
    },
  );
  done.catch(() => {});
  standing.promise.catch(() => {});
  return {
    ready: standing.promise,
    done,
    get seen() {
      return seen;
    },
    stop() {
      ending.abort();
      return done.catch(() => {});
    },
  };
}
