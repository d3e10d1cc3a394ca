/**
 * Calls and commands from the wire: subscribes what the node offers now, reads the headers, asks the router, answers.
 *
 * Promises:
 * K1. A capability is subscribed exactly while a ready replica offers it, so NATS routes around a node that cannot serve.
 * K2. Every message gets one answer: JSON, or a problem document with the services-protocol headers.
 * K3. The deadline of the caller travels on: a call that waited too long is not begun.
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
import { respondFault } from '@cim/contracts/bus';
import { headers, type Msg, type NatsConnection, type Subscription } from '@nats-io/transport-node';
import type { CallRequest } from '../sandbox/sandbox.ts';
import type { Leaf } from './leaf.ts';

/** Answers a call; `servedBy` names workload and version for the caller's eyes. */
export type Route = (request: CallRequest) => Promise<{ readonly output: string; readonly servedBy: string }>;

export interface CallServer {
  /** Capabilities to serve from now on. */
  offer(capabilities: readonly string[]): void;
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
}

export function createCallServer({ leaf, instance, route, monotonic }: CallServerDeps): CallServer {
  const counts = new Map<string, EndpointCount>();
  let offered: readonly string[] = [];
  let held: { readonly connection: NatsConnection; readonly subscriptions: Map<string, Subscription[]> } | undefined;

  const answer = async (message: Msg, capability: string) => {
    const begun = monotonic();
    const count = counts.get(capability)!;
    count.requests++;
    try {
      const request = readCall(message, capability);
      const { output, servedBy } = await route(request);
      // The plain caller pays for no header it did not ask for.
      if (message.headers?.has(CALL_ID_HEADER)) {
        const reply = headers();
        reply.set(SERVED_BY_HEADER, `${instance}/${servedBy}`);
        message.respond(output, { headers: reply });
      } else message.respond(output);
    } catch (error) {
      const fault = Fault.of(error, `the call to ${capability} failed`);
      count.errors++;
      count.lastError = `${fault.code}: ${fault.detail}`.slice(0, 300);
      respondFault(message, fault);
    }
    count.timeMs += monotonic() - begun;
  };

  const subscribe = (connection: NatsConnection, capability: string): Subscription[] => {
    if (!counts.has(capability)) counts.set(capability, { requests: 0, errors: 0, lastError: '', timeMs: 0 });
    const callback = (error: Error | null, message: Msg) => {
      if (!error) void answer(message, capability);
    };
    return [
      connection.subscribe(subjectOf('call', { capability }), { queue: CALL_QUEUE, callback }),
      connection.subscribe(subjectOf('callAt', { instance, capability }), { queue: CALL_QUEUE, callback }),
    ];
  };

  const sync = () => {
    const connection = leaf.current();
    if (!connection) return;
    if (held?.connection !== connection) held = { connection, subscriptions: new Map() };
    const { subscriptions } = held;
    for (const capability of offered) {
      if (!subscriptions.has(capability)) subscriptions.set(capability, subscribe(connection, capability));
    }
    for (const [capability, list] of subscriptions) {
      if (offered.includes(capability)) continue;
      subscriptions.delete(capability);
      // Drain, not unsubscribe: what the server has already routed here is still answered.
      for (const subscription of list) void subscription.drain().catch(() => {});
    }
  };
  leaf.onChange(sync);

  return {
    offer(capabilities) {
      offered = [...capabilities];
      sync();
    },
    counts: () => counts,
    async stop() {
      offered = [];
      const all = [...(held?.subscriptions.values() ?? [])].flat();
      held?.subscriptions.clear();
      await Promise.all(all.map((subscription) => subscription.drain().catch(() => {})));
    },
  };
}

/** @throws Fault `invalid-input` naming the header */
function readCall(message: Msg, capability: string): CallRequest {
  const head = message.headers;
  const text = head?.get(TIMEOUT_HEADER);
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
  const callId = head?.get(CALL_ID_HEADER)?.slice(0, 64) || newId();
  const traceparent = head?.get(TRACEPARENT_HEADER)?.slice(0, 64);
  return {
    callId,
    capability,
    input: message.data.length === 0 ? 'null' : message.string(),
    budgetMs,
    correlationId: head?.get(CORRELATION_HEADER)?.slice(0, 64) || callId,
    ...(traceparent ? { traceparent } : {}),
  };
}
