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
import { headers, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import type { AnswerText, CallRequest } from '../sandbox/sandbox.ts';
import type { Leaf } from './leaf.ts';

/** Answers a call; `by` names workload and version for the caller's eyes. */
export type Route = (request: CallRequest) => Promise<Answer>;

interface Answer {
  readonly text: AnswerText;
  readonly by: { readonly kind: string; readonly name: string; readonly version: string };
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
  readonly route: Route;
  readonly monotonic: () => number;
  /** What an answer waits for, while the link to the hub is being changed; undefined: nothing. */
  readonly hold?: () => Promise<void> | undefined;
  /** Told when more of what is offered has reached the server. */
  readonly arrived?: () => void;
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
  const { leaf, instance, route, monotonic, hold = () => undefined, arrived = () => {} } = deps;
  const counts = new Map<string, EndpointCount>();
  let offered: ReadonlySet<string> = new Set();
  let held: Held | undefined;

  /** The hot path of the node: one promise of its own, no text decoded or encoded twice. */
  const answer = (message: Msg, capability: string, count: EndpointCount) => {
    const begun = monotonic();
    count.requests++;
    const failed = (error: unknown): unknown => {
      const closed = hold();
      if (closed) return closed.then(() => failed(error));
      const fault = Fault.of(error, `the call to ${capability} failed`);
      count.errors++;
      count.lastError = `${fault.code}: ${fault.detail}`.slice(0, 300);
      respondFault(message, fault);
      count.timeMs += monotonic() - begun;
      return undefined;
    };
    const answered = (given: Answer): unknown => {
      const closed = hold();
      if (closed) return closed.then(() => answered(given));
      const { text, by } = given;
      try {
        // As bytes: the client library's own encoder is several times slower.
        const output = typeof text === 'string' ? Buffer.from(text) : text;
        // The plain caller pays for no header it did not ask for.
        if (message.headers?.has(CALL_ID_HEADER)) {
          const reply = headers();
          reply.set(SERVED_BY_HEADER, `${instance}/${by.kind}/${by.name}@${by.version}`);
          message.respond(output, { headers: reply });
        } else message.respond(output);
      } catch (error) {
        return failed(error);
      }
      count.timeMs += monotonic() - begun;
      return undefined;
    };
    try {
      route(readCall(message, capability)).then(answered, failed);
    } catch (error) {
      failed(error);
    }
  };

  const subscribe = (connection: NatsConnection, capability: string): Subscription[] => {
    const count = counts.get(capability) ?? { requests: 0, errors: 0, lastError: '', timeMs: 0 };
    counts.set(capability, count);
    const callback = (error: Error | null, message: Msg) => {
      if (!error && answerable(message)) answer(message, capability, count);
    };
    return [
      connection.subscribe(subjectOf('call', { capability }), { queue: CALL_QUEUE, callback }),
      connection.subscribe(subjectOf('callAt', { instance, capability }), { queue: CALL_QUEUE, callback }),
    ];
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

/** @throws Fault `invalid-input` naming the header */
function readCall(message: Msg, capability: string): CallRequest {
  const head = message.headers;
  const input = message.data.length === 0 ? 'null' : message.string();
  if (head === undefined) {
    const callId = newId();
    return { callId, capability, input, budgetMs: DEFAULT_CALL_MS, correlationId: callId };
  }
  const text = head.get(TIMEOUT_HEADER);
  let budgetMs = DEFAULT_CALL_MS;
  if (text) {
    budgetMs = Number(text);
    if (!Number.isInteger(budgetMs) || budgetMs < 1 || budgetMs > LONGEST_CALL_MS) {
      throw new Fault(
        'invalid-input',
        `header ${TIMEOUT_HEADER}: expected 1 to ${LONGEST_CALL_MS} ms, found ${JSON.stringify(text.slice(0, 40))}`,
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
