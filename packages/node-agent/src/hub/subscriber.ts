/**
 * Subscriptions the running workloads declared: one NATS subscription per workload and pattern, in a queue group of the workload, so
 * that its replicas on several instances share the messages. Which patterns a guest may have was judged at admission.
 */
import type { Logger } from '@cim/contracts';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import type { Leaf } from './leaf.ts';

export interface Subscribed {
  /** Stable while the same workload and pattern are served. */
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  readonly pattern: string;
  deliver(subject: string, data: string): Promise<void>;
}

export interface SubscriberDeps {
  readonly leaf: Leaf;
  readonly log: Logger;
  readonly list: () => readonly Subscribed[];
}

export function createSubscriber({ leaf, log, list }: SubscriberDeps): { sync(): void } {
  let held: { readonly connection: NatsConnection; readonly active: Map<string, Subscription> } | undefined;
  /** As of the last change: looked up for every message. */
  let wanted: ReadonlyMap<string, Subscribed> = new Map();
  const sync = () => {
    const connection = leaf.current();
    if (!connection) return;
    if (held?.connection !== connection) held = { connection, active: new Map() };
    const { active } = held;
    wanted = new Map(list().map((one) => [one.id, one]));
    for (const [id, { kind, name, pattern }] of wanted) {
      if (active.has(id)) continue;
      const subscription = connection.subscribe(pattern, {
        queue: `cim-${kind}-${name}`,
        callback: (error, message) => {
          if (error) return log.warn({ workload: name, pattern, error: error.message }, 'a subscription was refused');
          // The newest deliver of that id: a version change keeps the subscription and moves the messages.
          void wanted
            .get(id)
            ?.deliver(message.subject, jsonOf(message.data))
            .catch((fault) => log.debug({ workload: name, error: String(fault) }, 'a message was not handled'));
        },
      });
      active.set(id, subscription);
    }
    for (const [id, subscription] of active) {
      if (wanted.has(id)) continue;
      active.delete(id);
      void subscription.drain().catch(() => {});
    }
  };
  leaf.onChange(sync);
  return { sync };
}

/** JSON text as it came; anything else becomes a JSON string, so that a handler always gets data. */
function jsonOf(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}
