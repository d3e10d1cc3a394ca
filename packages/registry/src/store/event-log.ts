/**
 * The hub's stream of events: append, read a stretch, follow from a place on. Sequences are those of the stream.
 * Payloads are decoded here; what is no event, or one of somebody else, is counted and left out.
 */
import { CimEvent, type Clock, decodeJson, Fault, parseSubject, type StreamRow, streamName } from '@cim/contracts';
import { type Ending, type From, follow } from './follow.ts';
import type { Hub } from './hub.ts';

export interface StoredEvent {
  readonly sequence: number;
  /** Subject it is stored under: `cim.v1.evt.<instance>.<entity>.<id>.<event>`. */
  readonly subject: string;
  readonly event: CimEvent;
  /** Size of its payload, bytes. */
  readonly bytes: number;
}

/** Where a stretch begins: after a sequence, or at a time (ms since 1970). */
export type Since = { readonly after: number } | { readonly time: number };

export interface EventLog {
  /** Appends; the id makes a repeated append one event. Resolves when the hub has it. */
  append(subject: string, event: CimEvent): Promise<void>;
  /** First and last sequence the stream holds. */
  bounds(): Promise<{ readonly first: number; readonly last: number }>;
  /** At most `max` matching events since then, oldest first; ends when there are no more now. */
  read(filter: string, since: Since, max: number, signal?: AbortSignal): Promise<StoredEvent[]>;
  /** The newest `max` matching events, oldest first. */
  tail(filter: string, max: number): Promise<StoredEvent[]>;
  /**
   * Hands on events after `after` until the signal aborts or the reading ends.
   * @param whenPlaced told once reading has begun
   */
  follow(
    filter: string,
    after: number,
    signal: AbortSignal,
    each: (event: StoredEvent) => void | Promise<void>,
    options?: { readonly whenPlaced?: () => void; readonly untilCaughtUp?: boolean },
  ): Promise<Ending>;
  /** Messages that were no events. */
  refused(): number;
}

export function createEventLog(hub: Hub, clock: Clock, row: StreamRow): EventLog {
  const stream = streamName(row);
  let refused = 0;
  const decoded = ({ subject, data, sequence }: { subject: string; data: Uint8Array; sequence: number }) => {
    try {
      const event = decodeJson(CimEvent, data, subject);
      // Who may write a subject is kept by the nats-server; what is inside must not say otherwise.
      const place = parseSubject('event', subject);
      if (place?.instance !== event.ciminstance || `${place.entity}.${place.event}` !== event.type)
        throw new Fault('invalid-input', `${subject}: carries an event of another instance or type`);
      return { sequence, subject, event, bytes: data.length };
    } catch {
      refused++;
      return undefined;
    }
  };

  /** Reads on from a place until `max` events or, where nothing more matches now, the end. */
  const stretch = async (filter: string, from: From, skip: number, max: number, signal: AbortSignal | undefined) =>
    hub.run('reading events', async (link) => {
      const found: StoredEvent[] = [];
      const done = new AbortController();
      let left = skip;
      const ending = await follow({
        clock,
        link,
        stream,
        filter,
        from,
        signal: signal ? AbortSignal.any([signal, done.signal]) : done.signal,
        begun: (pending) => {
          if (pending === 0 || max === 0) done.abort();
        },
        each: (message) => {
          const event = left-- > 0 ? undefined : decoded(message);
          if (event && found.length < max) found.push(event);
          if (message.pending === 0 || found.length >= max) done.abort();
        },
      });
      if (!done.signal.aborted && !signal?.aborted) throw new Error(`the reading broke off (${ending.kind})`);
      return found;
    });

  const bounds = () =>
    hub.run('reading events', async ({ jsm }) => {
      const { state } = await jsm.streams.info(stream);
      return { first: state.first_seq, last: state.last_seq };
    });

  /** The server counts ns in 64 bits: a time of another age would wrap around. */
  const within = (time: number) => Math.min(Math.max(time, 0), clock.now() + 86_400_000);

  return {
    append: (subject, event) =>
      hub.run(
        'writing an event',
        async ({ js }) => void (await js.publish(subject, JSON.stringify(event), { msgID: event.id })),
      ),

    bounds,

    read: (filter, since, max, signal) =>
      stretch(filter, 'after' in since ? { sequence: since.after + 1 } : { time: within(since.time) }, 0, max, signal),

    async tail(filter, max) {
      const { first, last } = await bounds();
      // How far back the newest `max` matches reach is not known: look back in growing steps and let the server count.
      for (let back = max; ; back *= 8) {
        const start = Math.max(first, last - back + 1);
        const matching = await countFrom(hub, clock, stream, filter, start);
        if (matching >= max || start <= first)
          return stretch(filter, { sequence: start }, Math.max(0, matching - max), max, undefined);
      }
    },

    async follow(filter, after, signal, each, { whenPlaced, untilCaughtUp = false } = {}) {
      const link = await hub.up(signal);
      const done = new AbortController();
      return follow({
        clock,
        link,
        stream,
        filter,
        from: { sequence: after + 1 },
        signal: AbortSignal.any([signal, done.signal]),
        begun: (pending) => {
          whenPlaced?.();
          if (untilCaughtUp && pending === 0) done.abort();
        },
        each: async (message) => {
          const event = decoded(message);
          if (event) await each(event);
          if (untilCaughtUp && message.pending === 0) done.abort();
        },
      });
    },

    refused: () => refused,
  };
}

/** How many events match from a sequence on. */
async function countFrom(hub: Hub, clock: Clock, stream: string, filter: string, sequence: number): Promise<number> {
  return hub.run('counting events', async (link) => {
    const done = new AbortController();
    let count = 0;
    await follow({
      clock,
      link,
      stream,
      filter,
      from: { sequence },
      signal: done.signal,
      begun: (pending) => {
        count = pending;
        done.abort();
      },
      each: () => {},
    });
    return count;
  });
}
