/**
 * Writes the node's status to the hub, on the beat and soon after a change. Absence at the hub means unknown, so a missed beat is
 * only logged and counted: nothing here may slow the node down.
 */
import { type Clock, type Logger, type NodeStatus, topology } from '@cim/contracts';
import { jetstream } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { fitStatus } from '../core/fit-status.ts';
import type { Leaf } from './leaf.ts';

export interface Heartbeat {
  start(): void;
  /** Something worth knowing changed: beat soon, many changes in one. */
  soon(): void;
  /** Wall time of the last beat the hub acknowledged, ms; undefined before the first. */
  lastAcknowledged(): number | undefined;
  /** Seconds since that beat. */
  ageSeconds(): number | undefined;
  /** A last beat that says the node is stopped. */
  stop(): Promise<void>;
}

export interface HeartbeatDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly leaf: Leaf;
  readonly hubDomain: string;
  readonly periodMs: number;
  readonly instance: string;
  readonly status: () => NodeStatus;
}

/** Many changes within this become one beat. */
const GATHER_MS = 100;
/** A large status is sent less often while much changes: a thousand workloads that start would be a flood of megabytes. */
const BYTES_PER_MS = 500;
/** What a server takes where it does not say, and what the store's own headers need, bytes. */
const DEFAULT_PAYLOAD = 2 ** 20;
const HEADERS = 1024;

export function createHeartbeat({ clock, random, log, leaf, hubDomain, periodMs, instance, status }: HeartbeatDeps): Heartbeat {
  let last: number | undefined;
  let bucket: { readonly connection: NatsConnection; readonly kv: KV } | undefined;
  let timer = clock.after(0, () => {});
  let gathering = false;
  let gatherMs = GATHER_MS;
  let stopped = false;
  let beating: Promise<void> | undefined;
  let failed = false;

  const beat = async () => {
    const connection = leaf.current();
    if (!connection) return;
    try {
      if (bucket?.connection !== connection) {
        const js = jetstream(connection, { domain: hubDomain, timeout: 5_000 });
        bucket = {
          connection,
          kv: await new Kvm(js).open(topology.nodes.name, { bindOnly: true, allow_direct: true } as never),
        };
      }
      const text = fitStatus(status(), (connection.info?.max_payload ?? DEFAULT_PAYLOAD) - HEADERS);
      gatherMs = GATHER_MS + text.length / BYTES_PER_MS;
      await bucket.kv.put(instance, text);
      last = clock.now();
      if (failed) log.info({}, 'heartbeats reach the hub again');
      failed = false;
    } catch (error) {
      if (!failed) log.warn({ error: String(error) }, 'a heartbeat did not reach the hub');
      failed = true;
      bucket = undefined;
    }
  };

  const schedule = () => {
    timer.cancel();
    // Spread a fleet that started together over the period.
    timer = clock.after(periodMs * (0.85 + random() * 0.3), tick);
  };
  const tick = () => {
    gathering = false;
    // Never two at a time: a slow link would pile them up.
    beating ??= beat().finally(() => {
      beating = undefined;
      if (!stopped && !gathering) schedule();
    });
  };

  return {
    start: tick,
    soon() {
      if (stopped || gathering) return;
      gathering = true;
      timer.cancel();
      timer = clock.after(gatherMs, tick);
    },
    lastAcknowledged: () => last,
    ageSeconds: () => (last === undefined ? undefined : (clock.now() - last) / 1000),
    async stop() {
      stopped = true;
      timer.cancel();
      await beating;
      await beat();
    },
  };
}
