/**
 * Calls and commands from the wire: subscribes what the node offers now, reads the headers, asks the router, answers.
 *
 * Promises:
 * K1. A capability is subscribed exactly while a ready replica offers it, so NATS routes around a node that cannot serve.
 * K2. Every message gets one answer: JSON, or a problem document with the services-protocol headers.
 * K3. The deadline of the caller travels on: a call that waited too long is not begun.
 * K4. What is said to be offered can be called: a subscription counts from when the server has said that it has it.
 */
import {
  CALL_ID_HEADER,
  CALL_QUEUE,
  CORRELATION_HEADER,
  DEFAULT_CALL_MS,
  Fault,
  LONGEST_CALL_MS,
  newId,
  SERVED_BY_HEADER,
  subjectOf,
  TIMEOUT_HEADER,
  TRACEPARENT_HEADER,
} from '@cim/contracts';
import { answerable, respondFault } from '@cim/contracts/bus';
import { headersIn, type Take, type Wire, wireOf } from '@cim/contracts/wire';
import { headers, type Msg, type MsgHdrs, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import type { AnswerText, CallRequest } from '../sandbox/sandbox.ts';
import type { Leaf } from './leaf.ts';

/** Answers a call: one of the two is told, once. `by` names workload and version for the caller's eyes. */
export type Serve = (
  request: CallRequest,
  done: (text: AnswerText, by: Server) => void,
  failed: (error: unknown) => void,
) => void;

interface Server {
  readonly kind: string;
  readonly name: string;
  readonly version: string;
}

export interface CallServer {
  /** Capabilities to serve from now on. */
  offer(capabilities: readonly string[]): void;
  /** False while one of these is on its way to the server. What is not offered now, or without a connection, keeps nobody waiting. */
  reached(capabilities: readonly string[]): boolean;
  counts(): ReadonlyMap<string, EndpointCount>;
  /** Takes every call subject back; calls under way are still answered. */
  stop(): Promise<void>;
}

/** Statistics as the NATS services protocol wants them; time in ms. */
export interface EndpointCount {
  requests: number;
  errors: number;
  lastError: string;
  timeMs: number;
}

export interface CallServerDeps {
  readonly leaf: Leaf;
  readonly instance: string;
  readonly serve: Serve;
  readonly monotonic: () => number;
  /** What an answer waits for, while the link to the hub is being changed; undefined: nothing. */
  readonly hold?: () => Promise<void> | undefined;
  /** Told when more of what is offered has reached the server. */
  readonly arrived?: () => void;
}

/** A message that asks for a call, whichever way it came. */
interface Asked {
  /** Empty: no answer is wanted. */
  readonly reply: string;
  /** @throws when they are none */
  headers(): Pick<MsgHdrs, 'get' | 'has'> | undefined;
  /** JSON, or nothing. */
  input(): string;
}

/** Where answers go. */
interface Way {
  readonly connection: NatsConnection;
  readonly wire: Wire | undefined;
}

/** One capability as one connection holds it. */
interface Offer {
  readonly subscriptions: readonly Subscription[];
  /** The server has said that it has them. */
  arrived: boolean;
}

/** What one connection holds. */
interface Held {
  readonly connection: NatsConnection;
  readonly offers: Map<string, Offer>;
  /** The server is being asked whether it has what was sent. */
  asking: boolean;
}

export function createCallServer(deps: CallServerDeps): CallServer {
  const { leaf, instance, serve, monotonic, hold = () => undefined, arrived = () => {} } = deps;
  const counts = new Map<string, EndpointCount>();
  let offered: ReadonlySet<string> = new Set();
  let held: Held | undefined;

  /** The hot path of the node: no promise of its own, no text decoded or encoded twice. */
  const answer = (message: Asked, { connection, wire }: Way, capability: string, count: EndpointCount) => {
    const { reply } = message;
    const begun = monotonic();
    count.requests++;
    /** The plain caller pays for no header it did not ask for. */
    let signed = false;
    const failed = (error: unknown): void => {
      const closed = hold();
      if (closed) return void closed.then(() => failed(error));
      const fault = Fault.of(error, `the call to ${capability} failed`);
      count.errors++;
      count.lastError = `${fault.code}: ${fault.detail}`.slice(0, 300);
      if (reply !== '') respondFault({ respond: (data, options) => connection.publish(reply, data, options) }, fault);
      count.timeMs += monotonic() - begun;
    };
    const done = (text: AnswerText, by: Server): void => {
      const closed = hold();
      if (closed) return void closed.then(() => done(text, by));
      try {
        if (reply !== '') {
          const server = signed ? `${instance}/${by.kind}/${by.name}@${by.version}` : '';
          if (wire?.publish(reply, signed ? headOf(server) : '', text) !== true) respond(connection, reply, text, server);
        }
      } catch (error) {
        failed(error);
        return;
      }
      count.timeMs += monotonic() - begun;
    };
    try {
      const headers = message.headers();
      signed = headers?.has(CALL_ID_HEADER) === true;
      serve(readCall(headers, message.input(), capability), done, failed);
    } catch (error) {
      failed(error);
    }
  };

  const subscribe = (connection: NatsConnection, capability: string): Subscription[] => {
    const count = counts.get(capability) ?? { requests: 0, errors: 0, lastError: '', timeMs: 0 };
    counts.set(capability, count);
    const way = { connection, wire: wireOf(connection) };
    const callback = (error: Error | null, message: Msg) => {
      if (!error && answerable(message)) answer(askedBy(message), way, capability, count);
    };
    const take: Take = (reply, bytes, head, data, end) => {
      if (answerable({ reply })) answer(new Taken(reply, bytes, head, data, end), way, capability, count);
    };
    return [subjectOf('call', { capability }), subjectOf('callAt', { instance, capability })].map((subject) => {
      const subscription = connection.subscribe(subject, { queue: CALL_QUEUE, callback });
      const { wire } = way;
      if (wire) {
        const sid = subscription.getID();
        wire.choose(sid, take);
        void subscription.closed.then(() => wire.leave(sid));
      }
      return subscription;
    });
  };

  const sync = () => {
    const connection = leaf.current();
    if (!connection) return;
    if (held?.connection !== connection) held = { connection, offers: new Map(), asking: false };
    const { offers } = held;
    for (const capability of offered) {
      if (!offers.has(capability)) offers.set(capability, { subscriptions: subscribe(connection, capability), arrived: false });
    }
    for (const [capability, { subscriptions }] of offers) {
      if (offered.has(capability)) continue;
      offers.delete(capability);
      // Drain, not unsubscribe: what the server has already routed here is still answered.
      for (const subscription of subscriptions) void subscription.drain().catch(() => {});
    }
    ask(held);
  };

  /** One question at a time: what is sent meanwhile goes with the next. A connection lost meanwhile asks when it is found again. */
  const ask = (of: Held) => {
    const sent = of.asking ? [] : [...of.offers.values()].filter(({ arrived }) => !arrived);
    if (sent.length === 0) return;
    of.asking = true;
    of.connection.flush().then(
      () => {
        of.asking = false;
        for (const offer of sent) offer.arrived = true;
        ask(of);
        arrived();
      },
      () => {
        of.asking = false;
      },
    );
  };
  leaf.onChange(sync);

  return {
    offer(capabilities) {
      offered = new Set(capabilities);
      sync();
    },
    reached: (capabilities) => {
      const offers = leaf.current() === held?.connection ? held?.offers : undefined;
      return capabilities.every((capability) => offers?.get(capability)?.arrived !== false);
    },
    counts: () => counts,
    async stop() {
      offered = new Set();
      const all = [...(held?.offers.values() ?? [])].flatMap(({ subscriptions }) => subscriptions);
      held?.offers.clear();
      await Promise.all(all.map((subscription) => subscription.drain().catch(() => {})));
    },
  };
}

const askedBy = (message: Msg): Asked => ({
  reply: message.reply ?? '',
  headers: () => message.headers,
  input: () => message.string(),
});

/** What came past the library: read at once, or not at all. */
class Taken implements Asked {
  readonly reply: string;
  readonly #bytes: Buffer;
  readonly #head: number;
  readonly #data: number;
  readonly #end: number;

  constructor(reply: string, bytes: Buffer, head: number, data: number, end: number) {
    this.reply = reply;
    this.#bytes = bytes;
    this.#head = head;
    this.#data = data;
    this.#end = end;
  }

  headers(): MsgHdrs | undefined {
    return headersIn(this.#bytes, this.#head, this.#data);
  }

  /** As the library reads text: without the mark some put before it. */
  input(): string {
    const bytes = this.#bytes;
    if (bytes[this.#data] === BYTE_ORDER_MARK) return decoder.decode(bytes.subarray(this.#data, this.#end));
    return bytes.toString('utf8', this.#data, this.#end);
  }
}
/** The first byte of the one in UTF-8. */
const BYTE_ORDER_MARK = 0xef;
const decoder = new TextDecoder();

/** An answer the library's way. As bytes: its own encoder is several times slower. */
function respond(connection: NatsConnection, reply: string, text: AnswerText, server: string): void {
  const output = typeof text === 'string' ? Buffer.from(text) : text;
  if (server === '') connection.publish(reply, output);
  else {
    const head = headers();
    head.set(SERVED_BY_HEADER, server);
    connection.publish(reply, output, { headers: head });
  }
}

/** The headers of an answer as they are sent. */
const headOf = (server: string): string => `NATS/1.0\r\n${SERVED_BY_HEADER}: ${server}\r\n\r\n`;

/** @throws Fault `invalid-input` naming the header */
function readCall(head: Pick<MsgHdrs, 'get'> | undefined, text: string, capability: string): CallRequest {
  const input = text === '' ? 'null' : text;
  if (head === undefined) {
    const callId = newId();
    return { callId, capability, input, budgetMs: DEFAULT_CALL_MS, correlationId: callId };
  }
  const timeout = head.get(TIMEOUT_HEADER);
  let budgetMs = DEFAULT_CALL_MS;
  if (timeout) {
    budgetMs = Number(timeout);
    if (!Number.isInteger(budgetMs) || budgetMs < 1 || budgetMs > LONGEST_CALL_MS) {
      throw new Fault(
        'invalid-input',
        `header ${TIMEOUT_HEADER}: expected 1 to ${LONGEST_CALL_MS} ms, found ${JSON.stringify(timeout.slice(0, 40))}`,
      );
    }
  }
  const callId = head.get(CALL_ID_HEADER)?.slice(0, 64) || newId();
  const traceparent = head.get(TRACEPARENT_HEADER)?.slice(0, 64);
  return {
    callId,
    capability,
    input,
    budgetMs,
    correlationId: head.get(CORRELATION_HEADER)?.slice(0, 64) || callId,
    ...(traceparent ? { traceparent } : {}),
  };
}
