/**
 * Commands to this instance: request and reply only. Anything that must survive a cut link is desired state, not a command.
 */
import type { CheckReply, CheckRequest, NodeStatus } from '@cim/contracts';
import { serve } from '@cim/contracts/bus';
import type { NatsConnection } from '@nats-io/transport-node';
import type { Leaf } from './leaf.ts';

export interface CommandDeps {
  readonly leaf: Leaf;
  readonly instance: string;
  readonly status: () => NodeStatus;
  readonly check: (request: CheckRequest) => Promise<CheckReply>;
  /** Takes the node out of service or back in; answers the phase it is in then. */
  readonly drain: (drain: boolean) => string;
}

export function serveCommands({ leaf, instance, status, check, drain }: CommandDeps): void {
  let served: NatsConnection | undefined;
  leaf.onChange((connection) => {
    // Subscriptions outlive a reconnect of the same connection.
    if (!connection || connection === served) return;
    served = connection;
    const here = { instance };
    serve(connection, 'status', here, () => status());
    serve(connection, 'probe', here, () => {
      const { phase, health, at } = status();
      return { instance, phase, health, at };
    });
    serve(connection, 'check', here, (request) => check(request));
    serve(connection, 'drain', here, (request) => ({ instance, phase: drain(request.drain) }));
  });
}
