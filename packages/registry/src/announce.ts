/**
 * What happened at the registry, as events of the hub: `cim.v1.fwd.hub.<entity>.<id>.<event>`.
 *
 * Promises:
 * U1. `say` never fails a change that is already made. It waits a moment for the hub to keep the event, then goes on; what is
 *     not kept yet is tried again until it is, bounded, and each event's id makes it one event however often it is sent.
 * U2. What falls over the bound or is left at the end is written to the log in full.
 */
import { backoffDelay, type CimEvent, type Clock, cimEvent, type Logger, subjectOf, waitUntil } from '@cim/contracts';

export interface Announcement {
  /** `<entity>.<event>`, e.g. `bundle.published`. */
  readonly type: string;
  /** Whose event it is: one token, e.g. the bundle's name. */
  readonly id: string;
  /** Id of the event itself: the same id is the same event. */
  readonly eventId: string;
  readonly by: string;
  readonly requestId: string;
  readonly reason: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Announcer {
  say(what: Announcement): Promise<void>;
  /** Events not kept by the hub yet. */
  waiting(): number;
  /** Gives what waits a last chance. */
  stop(deadlineMs: number): Promise<void>;
}

export interface AnnouncerDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly append: (subject: string, event: CimEvent) => Promise<void>;
}

const PATIENCE_MS = 1_500;
const HELD = 10_000;

export function createAnnouncer({ clock, random, log, append }: AnnouncerDeps): Announcer {
  const waiting: { readonly subject: string; readonly event: CimEvent }[] = [];
  const stopping = new AbortController();
  let sending = false;

  const send = async () => {
    sending = true;
    for (let failures = 0; waiting.length > 0 && !stopping.signal.aborted; ) {
      const first = waiting[0]!;
      try {
        await append(first.subject, first.event);
        waiting.shift();
        failures = 0;
      } catch (error) {
        if (failures === 0)
          log.warn({ error: String(error), waiting: waiting.length }, 'an event could not be kept yet, trying on');
        const delay = backoffDelay({ base: 200, cap: 5_000, factor: 2 }, failures++, random());
        await clock.sleep(delay, stopping.signal).catch(() => {});
      }
    }
    sending = false;
  };

  return {
    async say({ type, id, eventId, by, requestId, reason, data }) {
      const said = cimEvent(
        {
          instance: 'hub',
          part: 'registry',
          type,
          subject: id,
          correlationId: requestId,
          data: { ...data, by, requestId, reason },
        },
        clock.now(),
      );
      const event = { ...said, id: eventId, causationid: eventId };
      const [entity, name] = type.split('.') as [string, string];
      const entry = { subject: subjectOf('eventForward', { instance: 'hub', entity, id, event: name }), event };
      if (waiting.length >= HELD) return log.error({ event }, 'too many events wait for the hub; this one is in the log alone');
      waiting.push(entry);
      if (!sending) void send();
      await waitUntil(clock, PATIENCE_MS, () => !waiting.includes(entry), 2);
    },
    waiting: () => waiting.length,
    async stop(deadlineMs) {
      await waitUntil(clock, deadlineMs, () => waiting.length === 0, 20);
      stopping.abort(new Error('stopping'));
      for (const { event } of waiting) log.error({ event }, 'an event was not kept by the hub; it is in the log alone');
    },
  };
}
