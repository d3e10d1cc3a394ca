/**
 * The NATS services protocol (ADR-32), so that the plain `nats micro ls | info | stats | ping` sees every node and what it offers.
 */

import { subjectOf } from '@cim/contracts';
import { answerable } from '@cim/contracts/bus';
import type { NatsConnection } from '@nats-io/transport-node';
import type { EndpointCount } from './calls.ts';
import type { Leaf } from './leaf.ts';

export interface ServicesDeps {
  readonly leaf: Leaf;
  readonly instance: string;
  /** Unique for the life of this process. */
  readonly id: string;
  /** Semantic version of the node-agent. */
  readonly version: string;
  readonly startedAt: string;
  readonly offers: () => readonly string[];
  readonly counts: () => ReadonlyMap<string, EndpointCount>;
}

const NAME = 'cim-node-agent';

export function serveServicesProtocol(deps: ServicesDeps): void {
  const identity = () => ({ name: NAME, id: deps.id, version: deps.version, metadata: { instance: deps.instance } });
  const ping = () => ({ type: 'io.nats.micro.v1.ping_response', ...identity() });
  const endpoint = (capability: string) => ({
    name: capability.replaceAll('.', '-'),
    subject: subjectOf('call', { capability }),
    queue_group: 'cim',
  });
  const info = () => ({
    type: 'io.nats.micro.v1.info_response',
    ...identity(),
    description: `CIM instance ${deps.instance}`,
    endpoints: deps.offers().map((capability) => ({ ...endpoint(capability), metadata: {} })),
  });
  const stats = () => ({
    type: 'io.nats.micro.v1.stats_response',
    ...identity(),
    started: deps.startedAt,
    endpoints: deps.offers().map((capability) => {
      const count = deps.counts().get(capability);
      const nanoseconds = Math.round((count?.timeMs ?? 0) * 1e6);
      return {
        ...endpoint(capability),
        num_requests: count?.requests ?? 0,
        num_errors: count?.errors ?? 0,
        last_error: count?.lastError ?? '',
        processing_time: nanoseconds,
        average_processing_time: count && count.requests > 0 ? Math.round(nanoseconds / count.requests) : 0,
      };
    }),
  });
  let served: NatsConnection | undefined;
  deps.leaf.onChange((connection) => {
    if (!connection || connection === served) return;
    served = connection;
    for (const [verb, reply] of [
      ['PING', ping],
      ['INFO', info],
      ['STATS', stats],
    ] as const) {
      for (const subject of [`$SRV.${verb}`, `$SRV.${verb}.${NAME}`, `$SRV.${verb}.${NAME}.${deps.id}`]) {
        connection.subscribe(subject, {
          callback: (error, message) => {
            if (!error && answerable(message)) message.respond(JSON.stringify(reply()));
          },
        });
      }
    }
  });
}
