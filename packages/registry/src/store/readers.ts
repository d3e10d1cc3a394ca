/**
 * Makes nodes the consumers they follow their part of the hub's state by (channel `read`). Nodes make none themselves: contracts, accounts.ts.
 *
 * Promises:
 * R1. A node gets a consumer of its own name on a row it may read, over what it may read of it; nothing it says changes that.
 * R2. The consumer is new: one of that name from before is gone, so a reading begins where it was asked to begin.
 * R3. Any number of registries share the asking; each bounds how many it makes at a time.
 */
import { type Clock, Fault, type Logger, type ReadReply, type ReadRequest, readerConsumer } from '@cim/contracts';
import { serve } from '@cim/contracts/bus';
import type { ConsumerConfig } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { createLanes } from '../lanes.ts';
import type { Hub } from './hub.ts';

export interface Readers {
  start(): void;
  stop(): Promise<void>;
}

/** Consumers made at a time: a fleet that finds the hub again asks all at once. */
const AT_A_TIME = 32;
/** A node asks again after five seconds. */
const WAIT_MS = 4_000;

export function createReaders({
  clock,
  log,
  hub,
}: {
  readonly clock: Clock;
  readonly log: Logger;
  readonly hub: Hub;
}): Readers {
  const lanes = createLanes(clock, AT_A_TIME, WAIT_MS, 'readers');
  let served: NatsConnection | undefined;
  let ended: (() => void) | undefined;

  const make = async (instance: string, request: ReadRequest): Promise<ReadReply> => {
    const { stream, config } = readerConsumer(instance, request);
    return lanes(() =>
      hub.run(
        `a reader of ${stream} for ${instance}`,
        async ({ jsm }) => {
          // Made over, it would go on where it stood (R2). That there is none is the usual case.
          await jsm.consumers.delete(stream, config.name).catch(() => {});
          const { num_pending } = await jsm.consumers.add(stream, config as Partial<ConsumerConfig>);
          return { stream, consumer: config.name, pending: num_pending };
        },
        WAIT_MS,
      ),
    );
  };

  const listen = () => {
    const connection = hub.current()?.connection;
    // Subscriptions outlive a reconnect of the same connection.
    if (!connection || connection === served) return;
    served = connection;
    serve(
      connection,
      'read',
      {},
      async (request, { instance }) => {
        try {
          return await make(instance, request);
        } catch (error) {
          const fault = Fault.of(error, `no reader for ${instance}`);
          log.info(
            { instance, row: request.row, fault: fault.code, detail: fault.detail },
            'a node could not be given a reader',
          );
          throw fault;
        }
      },
      { queue: 'registry' },
    );
  };

  return {
    start() {
      ended = hub.onChange(listen);
      listen();
    },
    async stop() {
      ended?.();
    },
  };
}
