/**
 * One client of the event stream, as server-sent events (WHATWG HTML, section 9.2).
 *
 * Promises:
 * T1. A client that does not read is dropped once `MOST_BUFFERED` bytes wait for it, with the reason as a comment, in the log and
 *     in a metric; it costs nobody else anything.
 * T2. A comment every 15 s says that the stream lives.
 * T3. An end has a reason, and `retry` tells the client when to come back.
 */
import type { ServerResponse } from 'node:http';
import type { Clock } from '@cim/contracts';
import type { Events, Listening } from '../events.ts';
import type { StoredEvent } from '../store/event-log.ts';

const HEARTBEAT_MS = 15_000;
const RETRY_MS = 1_000;
const MOST_BUFFERED = 2 ** 20;
/** Longest wait for a client to read while it catches up, ms. */
const PATIENCE_MS = 30_000;

export interface EventClient {
  readonly clock: Clock;
  readonly events: Events;
  readonly listening: Pick<Listening, 'filter' | 'since'>;
  /** What this client may know of. */
  readonly visible: (event: StoredEvent) => boolean;
  readonly response: ServerResponse;
  readonly headers: Readonly<Record<string, string>>;
  /** Aborted when the registry stops. */
  readonly stopping: AbortSignal;
}

/** Serves the client until it goes or is dropped. @returns why it ended */
export async function serveEvents({
  clock,
  events,
  listening,
  visible,
  response,
  headers,
  stopping,
}: EventClient): Promise<string> {
  const end = new AbortController();
  let reason = 'client-gone';
  const drop = (why: string) => {
    if (end.signal.aborted) return;
    reason = why;
    end.abort();
  };
  response.once('close', () => end.abort());
  const onStop = () => drop('shutdown');
  stopping.addEventListener('abort', onStop, { once: true });
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    ...headers,
  });
  response.write(`retry: ${RETRY_MS}\n\n`);
  const heartbeat = clock.every(HEARTBEAT_MS, () => {
    if (response.writableLength > MOST_BUFFERED) drop('slow');
    else response.write(': alive\n\n');
  });
  let draining: Promise<void> | undefined;
  const drained = () => {
    draining ??= new Promise<void>((resolve) => {
      const late = clock.after(PATIENCE_MS, () => drop('slow'));
      const done = () => {
        draining = undefined;
        late.cancel();
        response.off('drain', done);
        end.signal.removeEventListener('abort', done);
        resolve();
      };
      response.once('drain', done);
      end.signal.addEventListener('abort', done, { once: true });
    });
    return draining;
  };
  const take = (stored: StoredEvent): Promise<void> | undefined => {
    if (end.signal.aborted || !visible(stored)) return undefined;
    const { sequence, event } = stored;
    if (response.writableLength > MOST_BUFFERED) {
      drop('slow');
      return undefined;
    }
    return response.write(`id: ${sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`) ? undefined : drained();
  };
  try {
    if (stopping.aborted) onStop();
    const ended = await events.listen({ ...listening, signal: end.signal, take });
    if (ended === 'anew') drop('stream-made-anew');
    else if (!end.signal.aborted) drop('shutdown');
  } finally {
    heartbeat.cancel();
    stopping.removeEventListener('abort', onStop);
    if (!response.destroyed) response.end(`: dropped: ${reason}\n\n`);
    // A client that does not read does not read the reason either: it is cut after a moment.
    if (reason === 'slow') clock.after(1_000, () => response.destroy());
  }
  return reason;
}
