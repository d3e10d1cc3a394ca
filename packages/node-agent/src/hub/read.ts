/**
 * Follows a row of the hub across the leaf link: asks the registry for a consumer and pulls from it. The hub lets no node make consumers
 * (contracts, accounts.ts).
 *
 * Promises:
 * W1. Messages arrive in order, each once; a gap ends the reading and says so.
 * W2. It always ends with a reason as a value, never by hanging: heartbeats missed, consumer lost, asked to stop.
 * W3. More is asked for only when what came before has been handled, so a slow disk slows the hub.
 * Protocol: NATS ADR-37 (pull requests with idle heartbeats), ADR-15 (the reply subject).
 */
import { type Clock, Fault, type ReadableRow } from '@cim/contracts';
import { request } from '@cim/contracts/bus';
import { createInbox, type Msg, type NatsConnection, nanos } from '@nats-io/transport-node';
import type { ConsumerSlots } from './consumer-slots.ts';
import { type FollowEnd, type Followed, placeOf } from './follow.ts';

export interface ReadOptions {
  readonly connection: NatsConnection;
  readonly clock: Clock;
  readonly instance: string;
  readonly hubDomain: string;
  readonly row: ReadableRow;
  readonly slots: ConsumerSlots;
  /** `last` gives the newest of each subject first, a number starts at that stream sequence. */
  readonly from: 'last' | number;
  readonly heartbeatMs: number;
  readonly inboxPrefix: string;
  readonly signal: AbortSignal;
  /** Told once when nothing matched at the start; else the first message's `pending` says how much is to come. */
  readonly empty: () => void;
  readonly each: (message: Followed) => void | Promise<void>;
}

/** How long the registry may take to make a consumer. */
const MAKE_MS = 5_000;
/** How long one pull waits at the hub; below what the server keeps an answer's way home for (2 min). */
const PULL_MS = 30_000;
/** Messages of one pull. */
const BATCH = 256;

/** @throws Fault of the registry, or `hub-unreachable`; after the consumer is made every ending is a {@link FollowEnd} */
export async function read(options: ReadOptions): Promise<FollowEnd> {
  const { connection, clock, instance, row, from, heartbeatMs, signal } = options;
  const slot = await options.slots.take(signal);
  const ended = Promise.withResolvers<FollowEnd>();
  let heard = clock.monotonic();
  let expected = 1;
  let queue: Promise<void> = Promise.resolve();
  let stopPull = () => {};
  let pulling = false;
  let over = false;
  const end = (why: FollowEnd) => {
    over = true;
    ended.resolve(why);
  };
  const handle = (work: () => void | Promise<void>) => {
    queue = queue.then(() => (over ? undefined : work())).catch((error) => end({ kind: 'lost', detail: String(error) }));
  };

  const pull = (subject: string) => {
    if (over) return;
    // An inbox a pull: the hub forgets the way home of its answers when nobody listens there any more.
    const inbox = createInbox(options.inboxPrefix);
    let left = BATCH;
    const subscription = connection.subscribe(inbox, {
      callback: (error, message) => {
        if (error) return end({ kind: 'lost', detail: error.message });
        heard = clock.monotonic();
        const ending = take(message);
        if (ending === 'again' || (ending === 'message' && --left === 0)) {
          subscription.unsubscribe();
          pulling = false;
          handle(() => pull(subject));
        }
      },
    });
    stopPull = () => subscription.unsubscribe();
    pulling = true;
    heard = clock.monotonic();
    connection.publish(subject, JSON.stringify({ batch: BATCH, expires: nanos(PULL_MS), idle_heartbeat: nanos(heartbeatMs) }), {
      reply: inbox,
    });
  };

  const take = (message: Msg): 'message' | 'again' | 'sign' => {
    const status = message.headers?.code ?? 0;
    if (status === 100) {
      // A heartbeat says how far the hub is: what it sent and we never got is a gap, though nothing follows.
      const sent = Number(message.headers?.get('Nats-Last-Consumer') || 0);
      if (sent >= expected) end({ kind: 'gap' });
      return 'sign';
    }
    // The pull has waited its time.
    if (status === 408) return 'again';
    if (status >= 400) {
      end({ kind: 'lost', detail: message.headers?.description || String(status) });
      return 'sign';
    }
    const place = placeOf(message);
    if (!place || place.delivered !== expected) {
      end({ kind: 'gap' });
      return 'sign';
    }
    expected++;
    const { subject, data, headers } = message;
    handle(() => options.each({ subject, data, headers, sequence: place.sequence, pending: place.pending }));
    return 'message';
  };

  const onAbort = () => end({ kind: 'stopped' });
  let silence: { cancel(): void } | undefined;
  let answered: Promise<unknown> = Promise.resolve();
  try {
    signal.throwIfAborted();
    signal.addEventListener('abort', onAbort, { once: true });
    const noResponder = new Fault('hub-unreachable', 'no link to the hub');
    const asked = request(
      connection,
      'read',
      { instance },
      { row, slot: slot.number, from },
      { timeoutMs: MAKE_MS, noResponder },
    ).catch((error) => {
      if (error instanceof Fault && error.code === 'deadline-exceeded')
        throw new Fault('hub-unreachable', `no registry answered within ${MAKE_MS} ms`, { cause: error });
      throw error;
    });
    // Who stops does not wait for a registry that is away.
    answered = asked.catch(() => {});
    const made = await Promise.race([asked, ended.promise]);
    if (!('consumer' in made)) return made;
    if (made.pending === 0) handle(options.empty);
    pull(`$JS.${options.hubDomain}.API.CONSUMER.MSG.NEXT.${made.stream}.${made.consumer}`);
    silence = clock.every(Math.max(heartbeatMs / 2, 100), () => {
      const ms = clock.monotonic() - heard;
      if (pulling && ms > heartbeatMs * 2.5) end({ kind: 'silent', ms });
    });
    return await ended.promise;
  } finally {
    over = true;
    silence?.cancel();
    stopPull();
    signal.removeEventListener('abort', onAbort);
    await queue;
    // A registry that is late would end the consumer of whoever had the number next.
    void answered.then(() => slot.release());
  }
}
