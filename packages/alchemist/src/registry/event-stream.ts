/**
 * Server-sent events of the registry (WHATWG HTML, section 9.2), read as an async sequence.
 *
 * Promises:
 * S1. A cut is healed: it connects again with jittered delays and resumes after the last event it handed on, so nothing is lost
 *     and nothing comes twice.
 * S2. Silence longer than three heartbeats is a cut.
 * S3. A refusal that trying again cannot help (no token, no role, bad pattern) ends it with that fault.
 */
import { backoffDelay, CimEvent, type Clock, decodeJson, Fault } from '@cim/contracts';
import type { SequencedEvent } from './answers.ts';
import type { RegistryClient } from './client.ts';
import { type EventQuery, matches } from './event-query.ts';

const SILENCE_MS = 50_000;

export interface EventStreamOptions {
  readonly query: EventQuery;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Told when the stream stands (again), and why it was cut. */
  readonly onOpen?: (() => void) | undefined;
  readonly onCut?: ((fault: Fault) => void) | undefined;
}

/** Events from now on (or from `query.since`) until the signal aborts. @throws Fault (S3) */
export async function* eventStream(registry: RegistryClient, options: EventStreamOptions): AsyncGenerator<SequencedEvent> {
  const { query, clock, random, signal, onOpen, onCut } = options;
  let last: string | undefined;
  let attempt = 0;
  while (!signal.aborted) {
    const quiet = new AbortController();
    const either = AbortSignal.any([signal, quiet.signal]);
    let guard = clock.after(SILENCE_MS, () => quiet.abort(new Fault('hub-unreachable', 'the event stream fell silent')));
    try {
      const answer = await registry.openEvents(query, last, either);
      onOpen?.();
      for await (const { id, data } of messages(answer.body!)) {
        guard.cancel();
        guard = clock.after(SILENCE_MS, () => quiet.abort(new Fault('hub-unreachable', 'the event stream fell silent')));
        if (data === '') continue;
        const event = decodeJson(CimEvent, data, 'event');
        last = id;
        attempt = 0;
        if (matches(event, query.patterns ?? [])) yield { sequence: Number(id), event };
      }
      throw new Fault('hub-unreachable', 'the registry ended the event stream');
    } catch (error) {
      if (signal.aborted) return;
      const fault =
        error instanceof Fault ? error : new Fault('hub-unreachable', `the event stream broke (${(error as Error).message})`);
      if (fault.row.retry === 'no') throw fault;
      onCut?.(fault);
    } finally {
      guard.cancel();
      quiet.abort();
    }
    await clock.sleep(backoffDelay({ base: 200, cap: 10_000, factor: 2 }, attempt++, random()), signal).catch(() => {});
  }
}

/** One message of the protocol; a comment (the heartbeat) comes as empty data. */
export interface SseMessage {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}

/** The messages of a body. Takes any split into chunks, `\n` and `\r\n`. */
export async function* messages(body: AsyncIterable<Uint8Array>): AsyncGenerator<SseMessage> {
  const decoder = new TextDecoder();
  let rest = '';
  let id = '';
  let event = '';
  let data: string[] = [];
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end).replace(/\r$/, '');
      rest = rest.slice(end + 1);
      if (line === '') {
        if (data.length > 0) yield { id, event, data: data.join('\n') };
        event = '';
        data = [];
      } else if (line.startsWith(':')) {
        yield { id, event: '', data: '' };
      } else {
        const colon = line.indexOf(':');
        const field = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
        if (field === 'data') data.push(value);
        else if (field === 'id') id = value;
        else if (field === 'event') event = value;
      }
    }
  }
}
