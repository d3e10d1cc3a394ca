/**
 * Reads one stream of the hub for as long as the node lives: from a place on, again after every reconnect and every `resync`. Whether the
 * hub answers at all is said elsewhere (desired-source.ts); here silence means no more than that nothing new is known.
 */
import { backoffDelay, type Clock, type Logger, READERS, type ReadableRow } from '@cim/contracts';
import { createConsumerSlots } from './consumer-slots.ts';
import type { Followed } from './follow.ts';
import type { Leaf } from './leaf.ts';
import { read } from './read.ts';

export interface StreamSource {
  start(): void;
  /** Reads anew from `from()` on. */
  again(): void;
  stop(): Promise<void>;
}

export interface StreamSourceDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly leaf: Leaf;
  readonly instance: string;
  readonly hubDomain: string;
  readonly inboxPrefix: string;
  readonly resyncMs: number;
}

export interface Reading {
  readonly row: ReadableRow;
  /** Asked once per reading: the newest of each subject, or from this stream sequence on. */
  readonly from: () => 'last' | number;
  readonly each: (message: Followed) => void | Promise<void>;
  /** All there was when the reading began has been handed on, and each time again after that when nothing more is waiting. */
  readonly caughtUp?: () => void | Promise<void>;
}

const HEARTBEAT_MS = 2_000;

export function createStreamSource(deps: StreamSourceDeps, reading: Reading): StreamSource {
  const { clock, random, log, leaf } = deps;
  const { row } = reading;
  const slots = createConsumerSlots(READERS);
  const stopping = new AbortController();
  let round = new AbortController();
  let done: Promise<void> = Promise.resolve();

  const once = async (): Promise<boolean> => {
    const connection = leaf.current();
    if (!connection) return false;
    round = new AbortController();
    const resync = clock.after(deps.resyncMs * (0.75 + random() / 2), () => round.abort());
    try {
      const end = await read({
        connection,
        clock,
        instance: deps.instance,
        hubDomain: deps.hubDomain,
        row,
        from: reading.from(),
        heartbeatMs: HEARTBEAT_MS,
        inboxPrefix: deps.inboxPrefix,
        slots,
        signal: AbortSignal.any([stopping.signal, round.signal]),
        empty: () => reading.caughtUp?.(),
        each: async (message) => {
          await reading.each(message);
          if (message.pending === 0) await reading.caughtUp?.();
        },
      });
      if (end.kind === 'lost') log.info({ row, detail: end.detail }, 'the reading of what the hub keeps ended');
      return end.kind === 'stopped' || end.kind === 'gap';
    } finally {
      resync.cancel();
    }
  };

  const loop = async () => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      try {
        if (await once()) {
          failures = 0;
          continue;
        }
      } catch (error) {
        if (!stopping.signal.aborted) log.debug({ row, error: String(error) }, 'what the hub keeps cannot be read, trying on');
      }
      const delay = backoffDelay({ base: 200, cap: 5_000, factor: 1.6 }, failures++, random());
      await clock.sleep(delay, stopping.signal).catch(() => {});
    }
  };

  leaf.onChange((connection) => {
    // A new connection may lead to another hub: read again.
    if (connection) round.abort();
  });

  return {
    start() {
      done = loop();
    },
    again: () => round.abort(),
    async stop() {
      stopping.abort();
      await done;
    },
  };
}
