/**
 * Events of this instance: into the leaf's own stream first (acknowledged in a tenth of a millisecond, link or no link), from there to
 * the hub in order and once.
 *
 * Promises:
 * E1. `emit` never blocks and never throws: while the leaf is away events wait in memory, bounded; what falls over the edge is counted.
 * E2. The forwarder acknowledges a batch at the leaf only after the hub has acknowledged each of it; the event id is the
 *     Nats-Msg-Id, so what is sent again after a crash is one event at the hub.
 * E3. Lag is measured, not guessed: the durable consumer's own count.
 */
import {
  backoffDelay,
  type CimEvent,
  type Clock,
  cimEvent,
  type EventInput,
  type Logger,
  parseSubject,
  subjectOf,
  topology,
  waitUntil,
} from '@cim/contracts';
import { AckPolicy, DeliverPolicy, type JetStreamClient, type JsMsg, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
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
  readonly random: () => number;
  readonly log: Logger;
  readonly leaf: Leaf;
  readonly instance: string;
  readonly hubDomain: string;
  /** True once the leaf's stream stands. */
  readonly streamReady: () => boolean;
}

const HELD = 4096;
const BATCH = 64;
const DURABLE = 'forward';
const LEAF_STREAM = topology.leafEvents.name;

export function createEvents({ clock, random, log, leaf, instance, hubDomain, streamReady }: EventsDeps): Events {
  const waiting: { readonly subject: string; readonly event: CimEvent }[] = [];
  const stopping = new AbortController();
  let dropped = 0;
  let lag: number | undefined;
  let flushing: Promise<void> | undefined;
  let forwarding: Promise<void> = Promise.resolve();

  const flush = async () => {
    const connection = leaf.current();
    if (!connection || !streamReady()) return;
    const js = jetstream(connection, { timeout: 5_000 });
    while (waiting.length > 0) {
      const batch = waiting.slice(0, BATCH);
      try {
        await Promise.all(batch.map(({ subject, event }) => js.publish(subject, JSON.stringify(event), { msgID: event.id })));
        waiting.splice(0, batch.length);
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

  const forward = async () => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      try {
        await forwardRound();
        failures = 0;
      } catch (error) {
        if (stopping.signal.aborted) return;
        if (failures === 0) log.debug({ error: String(error) }, 'events wait at the leaf');
        const delay = backoffDelay({ base: 250, cap: 10_000, factor: 2 }, failures++, random());
        await clock.sleep(delay, stopping.signal).catch(() => {});
      }
    }
  };

  const forwardRound = async () => {
    const connection = leaf.current();
    if (!connection || !streamReady()) {
      await clock.sleep(250, stopping.signal).catch(() => {});
      return;
    }
    const jsm = await jetstreamManager(connection, { checkAPI: false, timeout: 5_000 });
    await jsm.consumers.add(LEAF_STREAM, {
      durable_name: DURABLE,
      ack_policy: AckPolicy.All,
      deliver_policy: DeliverPolicy.All,
      ack_wait: nanos(30_000),
      max_ack_pending: BATCH * 4,
    });
    const consumer = await jetstream(connection, { timeout: 5_000 }).consumers.get(LEAF_STREAM, DURABLE);
    const hub = jetstream(connection, { domain: hubDomain, timeout: 5_000 });
    while (!stopping.signal.aborted && leaf.current() === connection) {
      const messages = await consumer.fetch({ max_messages: BATCH, expires: 1_500 });
      const batch: JsMsg[] = [];
      for await (const message of messages) batch.push(message);
      if (batch.length > 0) await forwardBatch(hub, batch);
      const info = await consumer.info();
      lag = info.num_pending + info.num_ack_pending;
    }
  };

  const forwardBatch = async (hub: JetStreamClient, batch: readonly JsMsg[]) => {
    try {
      await Promise.all(
        batch.map(async (message) => {
          const params = parseSubject('event', message.subject);
          // Not one of ours, though the stream's subject says it must be: skip it rather than stop the line for ever.
          if (!params) return;
          const id = message.headers?.get('Nats-Msg-Id');
          await hub.publish(subjectOf('eventForward', params), message.data, {
            msgID: id || `${instance}-${message.seq}`,
            expect: { streamName: topology.fleetEvents.name },
          });
        }),
      );
      batch.at(-1)?.ack();
    } catch (error) {
      // Ack policy "all": one nak gives the batch back from its first message on.
      batch[0]?.nak(1_000);
      throw error;
    }
  };

  return {
    start() {
      forwarding = forward();
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
    lag: () => lag,
    dropped: () => dropped,
    async stop(deadlineMs) {
      retry.cancel();
      await kick();
      await waitUntil(clock, Math.min(deadlineMs, 1_000), () => waiting.length === 0 || leaf.current() === undefined);
      stopping.abort();
      await forwarding;
    },
  };
}
