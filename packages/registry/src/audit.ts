/**
 * What was changed, by whom and why, as events of the hub: `cim.v1.fwd.hub.<entity>.<id>.<event>`.
 *
 * Promises:
 * U1. `record` never fails a change that is already made. It waits a moment for the hub to keep the event, then goes on; what is
 *     not kept yet is tried again until it is, bounded, and each event's id makes it one event however often it is sent.
 * U2. What falls over the bound or is left at the end is written to the log in full.
 */
import { backoffDelay, type CimEvent, type Clock, cimEvent, type Logger, subjectOf, waitUntil } from '@cim/contracts';
import type { Caller } from './auth.ts';

/** Who asks for a change, and in which request. */
export interface Actor {
  readonly caller: Caller;
  readonly requestId: string;
  /** Why, in the caller's words. */
  readonly reason?: string | undefined;
}

export interface AuditEntry {
  /** `<entity>.<event>`, e.g. `bundle.published`. */
  readonly type: string;
  /** Whose event it is: one token, e.g. the bundle's name. */
  readonly id: string;
  readonly actor: Actor;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Audit {
  record(entry: AuditEntry): Promise<void>;
  /** Events not kept by the hub yet. */
  waiting(): number;
  /** Gives what waits a last chance. */
  stop(deadlineMs: number): Promise<void>;
}

export interface AuditDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly append: (subject: string, event: CimEvent) => Promise<void>;
}

const PATIENCE_MS = 1_500;
const HELD = 10_000;

export function createAudit({ clock, random, log, append }: AuditDeps): Audit {
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
    async record({ type, id, actor, data }) {
      const event = cimEvent(
        {
          instance: 'hub',
          part: 'registry',
          type,
          subject: id,
          correlationId: actor.requestId,
          data: { ...data, by: actor.caller.name, requestId: actor.requestId, reason: actor.reason ?? null },
        },
        clock.now(),
      );
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
