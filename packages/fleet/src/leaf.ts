/**
 * A leaf's nats-server: JetStream domain = instance id, joined to the hub as its own user, whose permissions hold whatever is done on
 * the leaf. On the leaf itself there are two users: the node-agent, who owns it, and an administrator.
 */
import { join } from 'node:path';
import { leafUser } from './hub.ts';
import { ledgerDirectory } from './machine/lock.ts';
import { type NatsProcess, startNatsServer } from './nats/server.ts';
import type { Secrets } from './secrets.ts';

export interface LeafOptions {
  /** State directory of the fleet. */
  readonly directory: string;
  readonly secrets: Secrets;
  readonly instance: string;
  /** Where the hub, or the link to it, listens. */
  readonly hub: { readonly host: string; readonly port: number };
  /** Its credential, instead of a user with a password. */
  readonly credentialsFile?: string;
}

/** The node-agent's user on its own leaf. */
export const agentUser = (instance: string): string => `agent-${instance}`;
/** The administrator's user on a leaf. */
export const leafAdminUser = (instance: string): string => `admin-${instance}`;

/** Directory of an instance below the state directory. */
export const instanceDirectory = (directory: string, instance: string): string => join(directory, 'leaves', instance);

export function startLeaf({ directory, secrets, instance, hub, credentialsFile }: LeafOptions): Promise<NatsProcess> {
  const user = leafUser(instance);
  return startNatsServer({
    name: instance,
    domain: instance,
    directory: join(instanceDirectory(directory, instance), 'nats'),
    users: [agentUser(instance), leafAdminUser(instance)].map((name) => ({ user: name, password: secrets.password(name) })),
    remotes: [
      credentialsFile === undefined
        ? { url: `nats-leaf://${user}:${secrets.password(user)}@${hub.host}:${hub.port}` }
        : { url: `nats-leaf://${hub.host}:${hub.port}`, credentialsFile },
    ],
    ledgerFile: join(ledgerDirectory(directory), `${instance}.json`),
  });
}
