/**
 * Follows a stream of the leaf: an ephemeral push consumer of our own, with heartbeats short enough to notice a leaf that is away within
 * seconds (the client library's ordered consumer fixes them at 30 s) and deleted when we are done. What the hub keeps is followed
 * otherwise (read.ts).
 *
 * Promises:
 * W1. Messages arrive in order, each once; a gap ends the follow and says so.
 * W2. It always ends with a reason as a value, never by hanging: heartbeats missed, consumer lost, asked to stop.
 * W3. Flow control is answered only when what came before has been handled, so a slow disk slows the sender.
 * Protocol: NATS ADR-1/ADR-17 (ordered consumers), nats-server push consumers with idle heartbeat and flow control.
 */
import { type Clock, newId } from '@cim/contracts';
import { AckPolicy, type ConsumerConfig, DeliverPolicy, type JetStreamManager } from '@nats-io/jetstream';
import { createInbox, type Msg, type MsgHdrs, type NatsConnection, nanos } from '@nats-io/transport-node';

export interface Followed {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly headers: MsgHdrs | undefined;
  readonly sequence: number;
  /** Messages that match and are still to come, at the time this one was sent. */
  readonly pending: number;
}

export type FollowEnd =
  | { readonly kind: 'stopped' }
  | { readonly kind: 'silent'; readonly ms: number }
  | { readonly kind: 'gap' }
  | { readonly kind: 'lost'; readonly detail: string };

export interface FollowOptions {
  readonly connection: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly clock: Clock;
  readonly stream: string;
  readonly filter: string;
  /** `last` gives the newest of each subject first, a number starts at that stream sequence. */
  readonly from: 'last' | number;
  readonly heartbeatMs: number;
  readonly inboxPrefix: string;
  readonly signal: AbortSignal;
  /** Told once when nothing matched at the start; else the first message's `pending` says how much is to come. */
  readonly empty: () => void;
  readonly each: (message: Followed) => void | Promise<void>;
}

/** @throws what creating the consumer throws; after that every ending is a {@link FollowEnd} */
export async function follow(options: FollowOptions): Promise<FollowEnd> {
  const { connection, jsm, clock, stream, heartbeatMs, signal } = options;
  const inbox = createInbox(options.inboxPrefix);
  const config: Partial<ConsumerConfig> & { name: string } = {
    name: `cim-${newId()}`,
    deliver_subject: inbox,
    filter_subject: options.filter,
    ack_policy: AckPolicy.None,
    max_deliver: 1,
    mem_storage: true,
    num_replicas: 1,
    flow_control: true,
    idle_heartbeat: nanos(heartbeatMs),
    inactive_threshold: nanos(Math.max(30_000, heartbeatMs * 6)),
    ...(options.from === 'last'
      ? { deliver_policy: DeliverPolicy.LastPerSubject }
      : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: options.from }),
  };
  const ended = Promise.withResolvers<FollowEnd>();
  let heard = clock.monotonic();
  let expected = 1;
  let queue: Promise<void> = Promise.resolve();
  const handle = (work: () => void | Promise<void>) => {
    queue = queue.then(work).catch((error) => ended.resolve({ kind: 'lost', detail: String(error) }));
  };
  const subscription = connection.subscribe(inbox, {
    callback: (error, message) => {
      if (error) return ended.resolve({ kind: 'lost', detail: error.message });
      heard = clock.monotonic();
      const status = message.headers?.code ?? 0;
      if (status === 100) {
        const stalled = message.headers?.get('Nats-Consumer-Stalled');
        if (message.reply) handle(() => void message.respond());
        else if (stalled) connection.publish(stalled);
        return;
      }
      if (status >= 400) return ended.resolve({ kind: 'lost', detail: message.headers?.description ?? String(status) });
      const place = placeOf(message);
      if (!place || place.delivered !== expected) return ended.resolve({ kind: 'gap' });
      expected++;
      handle(() =>
        options.each({
          subject: message.subject,
          data: message.data,
          headers: message.headers,
          sequence: place.sequence,
          pending: place.pending,
        }),
      );
    },
  });
  const onAbort = () => ended.resolve({ kind: 'stopped' });
  try {
    signal.throwIfAborted();
    signal.addEventListener('abort', onAbort, { once: true });
    const info = await jsm.consumers.add(stream, config);
    // The counts are a snapshot that deliveries race with; only "nothing at all" can be read off it for sure.
    if (info.num_pending === 0 && (info.delivered?.consumer_seq ?? 0) === 0 && expected === 1) handle(options.empty);
    const silent = clock.every(Math.max(heartbeatMs / 2, 100), () => {
      const ms = clock.monotonic() - heard;
      if (ms > heartbeatMs * 2.5) ended.resolve({ kind: 'silent', ms });
    });
    try {
      return await ended.promise;
    } finally {
      silent.cancel();
      await queue;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    subscription.unsubscribe();
    // Best effort: the server forgets it by itself after inactive_threshold.
    void jsm.consumers.delete(stream, config.name).catch(() => {});
  }
}

/** `$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<tries>.<stream seq>.<consumer seq>.<time>.<pending>[.<token>]` (ADR-15). */
export function placeOf(message: Msg): { sequence: number; delivered: number; pending: number } | undefined {
  const tokens = message.reply?.split('.') ?? [];
  const at = tokens.length >= 11 ? 7 : tokens.length === 9 ? 5 : -1;
  if (at < 0) return undefined;
  return { sequence: Number(tokens[at]), delivered: Number(tokens[at + 1]), pending: Number(tokens[at + 3]) };
}
