/**
 * Events of the fleet for whoever watches: one reader of the hub's stream per process, handed on to every listener.
 *
 * Promises:
 * E1. A listener gets every matching event after its place once and in order: what it missed is read from the stream, then it joins
 *     the others without a gap.
 * E2. However many listen, the hub sees one consumer for what is live, and one for each that is catching up.
 * E3. When the stream was made anew, listeners are ended and told so: their places mean nothing there.
 */
import {
  backoffDelay,
  type Clock,
  eventPattern,
  Fault,
  type Logger,
  patternOf,
  subjectWithin,
  waitUntil,
} from '@cim/contracts';
import type { EventLog, Since, StoredEvent } from './store/event-log.ts';

export interface EventFilter {
  /** One instance, or `hub` for what the registry says; absent: all. */
  readonly instance?: string | undefined;
  /** As people write it, e.g. `agent.*.deployed`; absent: all. */
  readonly pattern?: string | undefined;
}

export interface Listening {
  readonly filter: EventFilter;
  /** As {@link Events.place} gave it. */
  readonly since: Since;
  readonly signal: AbortSignal;
  /** Takes an event. A promise says when there is room again; while catching up it is waited for. */
  readonly take: (event: StoredEvent) => Promise<void> | undefined;
}

export interface Events {
  start(): void;
  stop(): Promise<void>;
  /** From `since` on the oldest first, or without it the newest `limit`; always in order. @throws Fault */
  list(filter: EventFilter, since: Since | undefined, limit: number): Promise<StoredEvent[]>;
  /**
   * Where a listener that wants `since` (absent: from now on) begins, fixed before it is told that it listens. A place beyond the
   * end, as of another life of the stream, is the end. @throws Fault `hub-unreachable`
   */
  place(since: Since | undefined): Promise<Since>;
  /** Listens until the signal aborts (returns) or the stream was made anew (E3, says so). */
  listen(listening: Listening): Promise<'stopped' | 'anew'>;
}

export interface EventsDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly events: EventLog;
}

/** Recent events kept for those who catch up. */
const RECENT = 1024;
const RECENT_BYTES = 16 * 2 ** 20;
const READY_MS = 5_000;

/** The NATS subject pattern of a filter. @throws Fault `invalid-input` naming the field */
export function filterSubject({ instance, pattern }: EventFilter): string {
  try {
    return eventPattern(instance ?? '*', pattern ?? '>');
  } catch (cause) {
    const { message } = cause as Error;
    throw new Fault('invalid-input', `query.pattern: ${message}`, { cause, issues: [{ path: 'query.pattern', message }] });
  }
}

export function createEvents({ clock, random, log, events }: EventsDeps): Events {
  const stopping = new AbortController();
  const listeners = new Set<(event: StoredEvent) => void>();
  const recent: StoredEvent[] = [];
  let recentBytes = 0;
  /** All events after `floor` up to `position` are in `recent`. */
  let floor: number | undefined;
  let position = 0;
  let life = new AbortController();
  let running: Promise<void> = Promise.resolve();

  const hand = (event: StoredEvent) => {
    position = event.sequence;
    recent.push(event);
    recentBytes += event.bytes;
    while (recent.length > RECENT || recentBytes > RECENT_BYTES) {
      const gone = recent.shift()!;
      recentBytes -= gone.bytes;
      floor = gone.sequence;
    }
    for (const listener of listeners) listener(event);
  };

  const once = async () => {
    const { last } = await events.bounds();
    if (floor === undefined || last < position) {
      if (floor !== undefined) {
        log.warn({ position, last }, 'the stream of events was made anew');
        life.abort();
        life = new AbortController();
      }
      recent.length = 0;
      recentBytes = 0;
      floor = position = last;
    }
    return events.follow(patternOf('event'), position, stopping.signal, hand);
  };

  const run = async () => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      const before = position;
      try {
        const ending = await once();
        if (ending.kind !== 'stopped') log.debug({ ...ending }, 'the reading of events ended, beginning anew');
      } catch (error) {
        if (!stopping.signal.aborted) log.debug({ error: String(error) }, 'events cannot be read, trying on');
      }
      failures = position > before ? 0 : failures + 1;
      const delay = backoffDelay({ base: 100, cap: 2_000, factor: 2 }, failures, random());
      await clock.sleep(delay, stopping.signal).catch(() => {});
    }
  };

  /** Reads what is stored after `after`. @returns the place up to which all is handed on */
  const catchUp = async ({ since, signal, take }: Listening, subject: string): Promise<number> => {
    const { last } = await events.bounds();
    let place = 'after' in since ? since.after : 0;
    const each = async (event: StoredEvent) => {
      place = event.sequence;
      await take(event);
    };
    if ('time' in since) {
      // Only the first stretch goes by time; from its last event on it goes by sequence.
      const [first] = await events.read(subject, since, 1, signal);
      place = first ? first.sequence - 1 : last;
    }
    if (place >= last) return place;
    const ending = await events.follow(subject, place, signal, each, { untilCaughtUp: true });
    return ending.kind === 'stopped' ? Math.max(place, last) : place;
  };

  return {
    start() {
      running = run();
    },
    async stop() {
      stopping.abort(new Error('stopping'));
      await running;
    },

    async list(filter, since, limit) {
      const subject = filterSubject(filter);
      return since ? events.read(subject, since, limit) : events.tail(subject, limit);
    },

    async place(since) {
      if (!(await waitUntil(clock, READY_MS, () => floor !== undefined, 20)))
        throw new Fault('hub-unreachable', 'events cannot be read yet');
      if (!since) return { after: position };
      return 'after' in since && since.after > position
        ? { after: Math.min(since.after, (await events.bounds()).last) }
        : since;
    },

    async listen(listening) {
      const { filter, signal, take } = listening;
      const subject = filterSubject(filter);
      const thisLife = life.signal;
      const either = AbortSignal.any([signal, stopping.signal, thisLife]);
      let place = 'after' in listening.since ? listening.since.after : undefined;
      for (let failures = 0; !either.aborted; ) {
        if (place === undefined || place < floor!) {
          const since: Since = place === undefined ? listening.since : { after: place };
          try {
            place = await catchUp({ ...listening, since, signal: either }, subject);
            failures = 0;
          } catch (error) {
            log.debug({ error: String(error) }, 'a listener cannot catch up, trying on');
            const delay = backoffDelay({ base: 200, cap: 2_000, factor: 2 }, failures++, random());
            await clock.sleep(delay, either).catch(() => {});
          }
          continue;
        }
        const missed = recent.filter(({ sequence }) => sequence > place!);
        if (missed.length > 0) {
          for (const event of missed) {
            place = event.sequence;
            if (either.aborted) break;
            if (subjectWithin(event.subject, subject)) await take(event);
          }
          continue;
        }
        // Nothing is missing and nothing can come in between: join. (Our reader may be behind a place reached elsewhere.)
        const listener = (event: StoredEvent) => {
          if (event.sequence > place! && subjectWithin(event.subject, subject)) void take(event);
        };
        listeners.add(listener);
        try {
          await aborted(either);
        } finally {
          listeners.delete(listener);
        }
      }
      return thisLife.aborted ? 'anew' : 'stopped';
    },
  };
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
