/**
 * Reads a stream in order through an ephemeral push consumer of our own: what views, event logs and bundle downloads stand on.
 * Our own, and not the client library's ordered consumer, for the short heartbeat, the answer as a value and the back-pressure.
 *
 * Promises:
 * W1. Messages come in order, each once; a gap ends the reading and says so.
 * W2. It always ends with a reason, never by hanging: stopped, silent, a gap, or the consumer lost.
 * W3. Flow control is answered only once what came before has been dealt with, so a slow reader slows the server down.
 * W4. Its consumer is deleted at the end, or forgotten by the server half a minute after we are gone.
 * Protocol: nats-server push consumers with idle heartbeats and flow control (ADR-15 for the reply subject).
 */
import { type Clock, inboxPrefix, newId } from '@cim/contracts';
import { AckPolicy, type ConsumerConfig, DeliverPolicy } from '@nats-io/jetstream';
import { createInbox, type Msg, type MsgHdrs, nanos } from '@nats-io/transport-node';
import type { Link } from './hub.ts';

export interface Message {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  /** Sequence in the stream. */
  readonly sequence: number;
  /** When the server stored it, ms since 1970 by the server's clock. */
  readonly storedAt: number;
  /** Messages that match and are still to come, when this one was sent. */
  readonly pending: number;
}

export type Ending =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'silent'; readonly detail: string }
  | { readonly kind: 'gap'; readonly detail: string }
  | { readonly kind: 'lost'; readonly detail: string };

/** Where reading begins: newest of each subject, a sequence, a time (ms since 1970), or what comes from now on. */
export type From = { readonly last: true } | { readonly sequence: number } | { readonly time: number };

export interface FollowOptions {
  readonly clock: Clock;
  readonly link: Link;
  readonly stream: string;
  readonly filter: string;
  readonly from: From;
  readonly signal: AbortSignal;
  /** Told once, before the first message: how many match at the start. */
  readonly begun?: (pending: number) => void;
  readonly each: (message: Message) => void | Promise<void>;
  /** Idle heartbeat, ms. */
  readonly heartbeatMs?: number;
}

const INBOX = inboxPrefix('registry', 'registry');

/** @throws what creating the consumer or `each` throws; else every end is an {@link Ending} */
export async function follow(options: FollowOptions): Promise<Ending> {
  const { clock, link, stream, signal, each, heartbeatMs = 2_000 } = options;
  const { connection, jsm } = link;
  const name = `registry-${newId()}`;
  const inbox = createInbox(INBOX);
  const ended = Promise.withResolvers<Ending>();
  let heard = clock.monotonic();
  let expected = 1;
  let busy: Promise<void> | undefined;
  /** In order, and at once where nothing is waited for. */
  const inTurn = (work: () => void | Promise<void>) => {
    const next = busy === undefined ? work() : busy.then(work);
    if (!(next instanceof Promise)) return;
    const settled = next.then(
      () => {
        if (busy === settled) busy = undefined;
      },
      (error) => ended.reject(error),
    );
    busy = settled;
  };
  const take = (error: Error | null, message: Msg) => {
    if (error) return ended.resolve({ kind: 'lost', detail: error.message });
    heard = clock.monotonic();
    const status = message.headers?.code ?? 0;
    if (status === 100) {
      const stalled = message.headers?.get('Nats-Consumer-Stalled');
      if (message.reply) inTurn(() => void message.respond());
      else if (stalled) inTurn(() => connection.publish(stalled));
      return;
    }
    if (status >= 400) return ended.resolve({ kind: 'lost', detail: message.headers?.description ?? `status ${status}` });
    const place = placeOf(message);
    if (place?.delivery !== expected)
      return ended.resolve({ kind: 'gap', detail: `expected delivery ${expected}, found ${place?.delivery ?? 'none'}` });
    expected++;
    const { subject, data, headers } = message;
    inTurn(() => (signal.aborted ? undefined : each({ subject, data, headers, ...place })));
  };
  const subscription = connection.subscribe(inbox, {
    callback: (error, message) => {
      try {
        take(error, message);
      } catch (thrown) {
        ended.reject(thrown);
      }
    },
  });
  const onAbort = () => ended.resolve({ kind: 'stopped' });
  ended.promise.catch(() => {});
  try {
    signal.throwIfAborted();
    signal.addEventListener('abort', onAbort, { once: true });
    const info = await jsm.consumers.add(stream, consumerConfig(options, name, inbox, heartbeatMs));
    // With `last` the server may have sent the first already and then no longer counts it as pending.
    options.begun?.(info.num_pending + (info.delivered?.consumer_seq ?? 0));
    const silence = clock.every(heartbeatMs / 2, () => {
      const ms = clock.monotonic() - heard;
      if (busy === undefined && ms > heartbeatMs * 2.5)
        ended.resolve({ kind: 'silent', detail: `nothing heard for ${Math.round(ms)} ms` });
    });
    try {
      return await ended.promise;
    } finally {
      silence.cancel();
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    subscription.unsubscribe();
    if (!connection.isClosed()) void jsm.consumers.delete(stream, name).catch(() => {});
  }
}

function consumerConfig({ filter, from }: FollowOptions, name: string, inbox: string, heartbeatMs: number) {
  return {
    name,
    deliver_subject: inbox,
    filter_subject: filter,
    ack_policy: AckPolicy.None,
    max_deliver: 1,
    mem_storage: true,
    num_replicas: 1,
    flow_control: true,
    idle_heartbeat: nanos(heartbeatMs),
    inactive_threshold: nanos(30_000),
    ...('last' in from
      ? { deliver_policy: DeliverPolicy.LastPerSubject }
      : 'sequence' in from
        ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Math.max(1, from.sequence) }
        : { deliver_policy: DeliverPolicy.StartTime, opt_start_time: new Date(from.time).toISOString() }),
  } satisfies Partial<ConsumerConfig>;
}

/** `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<tries>.<stream seq>.<consumer seq>.<ns>.<pending>[.<token>]`. */
function placeOf({ reply }: Msg): { sequence: number; delivery: number; storedAt: number; pending: number } | undefined {
  const tokens = reply?.split('.') ?? [];
  const at = tokens.length >= 11 ? 7 : tokens.length === 9 ? 5 : -1;
  if (at < 0) return undefined;
  return {
    sequence: Number(tokens[at]),
    delivery: Number(tokens[at + 1]),
    storedAt: Math.floor(Number(tokens[at + 2]) / 1e6),
    pending: Number(tokens[at + 3]),
  };
}

/** Everything that matches now, or the first `most` of it, in order. @throws Error when the reading broke off */
export async function readAll(
  options: Omit<FollowOptions, 'signal' | 'begun' | 'each'> & { readonly signal?: AbortSignal; readonly most?: number },
): Promise<Message[]> {
  const found: Message[] = [];
  const done = new AbortController();
  const ending = await follow({
    ...options,
    signal: options.signal ? AbortSignal.any([options.signal, done.signal]) : done.signal,
    begun: (pending) => {
      if (pending === 0) done.abort();
    },
    each: (message) => {
      if (done.signal.aborted) return;
      found.push(message);
      if (message.pending === 0 || found.length === options.most) done.abort();
    },
  });
  options.signal?.throwIfAborted();
  if (!done.signal.aborted) throw new Error(`reading ${options.stream} broke off (${ending.kind})`);
  return found;
}
