/**
 * Events of this instance: into the leaf's own stream first (acknowledged in a tenth of a millisecond, link or no link), from there to
 * the hub in order and once.
 *
 * Promises:
 * E1. `emit` never blocks and never throws: while the leaf is away events wait in memory, bounded; what falls over the edge is counted.
 * E2 to E4: see forwarder.ts.
 */
import { type CimEvent, type Clock, cimEvent, type EventInput, type Logger, subjectOf, waitUntil } from '@cim/contracts';
import { jetstream } from '@nats-io/jetstream';
import type { Forwarder } from './forwarder.ts';
import type { Leaf } from './leaf.ts';

export interface EventIds {
  /** Third token after the instance: whose event it is, e.g. the workload's name. */
  readonly id: string;
}

export interface Events {
  start(): void;
  emit(input: Omit<EventInput, 'instance'> & EventIds): CimEvent;
  /** Events of the leaf's stream the hub has not acknowledged yet; undefined while unknown. */
  lag(): number | undefined;
  /** Events lost because the leaf was away for too long (E1). */
  dropped(): number;
  /** Gives what waits a last chance, then ends. */
  stop(deadlineMs: number): Promise<void>;
}

export interface EventsDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly leaf: Leaf;
  readonly instance: string;
  /** True once the leaf's stream stands. */
  readonly streamReady: () => boolean;
  readonly forwarder: Forwarder;
}

const HELD = 4096;
const BATCH = 64;

export function createEvents({ clock, log, leaf, instance, streamReady, forwarder }: EventsDeps): Events {
  const waiting: { readonly subject: string; readonly event: CimEvent }[] = [];
  let dropped = 0;
  let flushing: Promise<void> | undefined;

  const flush = async () => {
    const connection = leaf.current();
    if (!connection || !streamReady()) return;
    const js = jetstream(connection, { timeout: 5_000 });
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH);
      try {
        await Promise.all(batch.map(({ subject, event }) => js.publish(subject, JSON.stringify(event), { msgID: event.id })));
        // By identity: while we waited, the oldest may have fallen over the edge.
        const sent = new Set(batch);
        while (waiting[0] !== undefined && sent.has(waiting[0])) waiting.shift();
      } catch (error) {
        log.warn({ error: String(error), waiting: waiting.length }, 'events could not be stored at the leaf, will try again');
        return;
      }
    }
  };
  const kick = () => {
    flushing ??= flush().finally(() => {
      flushing = undefined;
    });
    return flushing;
  };
  const retry = clock.every(1_000, () => {
    if (waiting.length > 0) void kick();
  });
  leaf.onChange((connection) => {
    if (connection) void kick();
  });

  return {
    start() {
      forwarder.start();
    },
    emit({ id, ...input }) {
      const event = cimEvent({ ...input, instance }, clock.now());
      const [entity, name] = event.type.split('.') as [string, string];
      if (waiting.length >= HELD) {
        waiting.shift();
        dropped++;
      }
      waiting.push({ subject: subjectOf('event', { instance, entity, id, event: name }), event });
      void kick();
      return event;
    },
    lag: () => forwarder.lag(),
    dropped: () => dropped,
    async stop(deadlineMs) {
      retry.cancel();
      await kick();
      await waitUntil(clock, Math.min(deadlineMs, 1_000), () => waiting.length === 0 || leaf.current() === undefined);
      await forwarder.stop();
    },
  };
}
