/**
 * The hub's nats-server of a fleet: JetStream domain `hub`, a port for leaves, and the users of the parties with the permissions the
 * channel and topology tables give them.
 */
import { join } from 'node:path';
import type { NatsOperator, NatsUser } from '@cim/contracts';
import { ledgerDirectory } from './machine/lock.ts';
import { type NatsProcess, startNatsServer } from './nats/server.ts';
import type { Secrets } from './secrets.ts';

export interface HubOptions {
  /** State directory of the fleet. */
  readonly directory: string;
  readonly secrets: Secrets;
  /** Instances that may join. */
  readonly instances: readonly string[];
  readonly wishedPort?: number;
  /** Identities by JWT instead of users with passwords. */
  readonly operator?: NatsOperator;
  /** Leaves come through links of their own and shall not find the hub past them. */
  readonly hidden?: boolean;
}

/** Name of a leaf's own user at the hub. */
export const leafUser = (instance: string): string => `node-${instance}`;

/** Users of the hub: parties with their permissions, and an administrator of each account. */
export function hubUsers(secrets: Secrets, instances: readonly string[]): NatsUser[] {
  const user = (name: string, party?: NatsUser['party']): NatsUser => ({
    user: name,
    password: secrets.password(name),
    ...(party === undefined ? {} : { party }),
  });
  return [
    user('registry', { party: 'registry', id: 'registry' }),
    user('alchemist', { party: 'alchemist', id: 'alchemist' }),
    user('admin'),
    { ...user('admin-fleet'), account: 'CIM' },
    ...instances.map((id) => user(leafUser(id), { party: 'node', id })),
  ];
}

/** Nothing listens on port 1 of loopback (tcpmux is long gone): an address that leads nowhere, at once. */
const NOWHERE = '127.0.0.1:1';

export function startHub({ directory, secrets, instances, wishedPort, hidden, operator }: HubOptions): Promise<NatsProcess> {
  return startNatsServer({
    name: 'hub',
    domain: 'hub',
    directory: join(directory, 'hub'),
    leaves: true,
    users: operator === undefined ? hubUsers(secrets, instances) : [],
    ...(operator === undefined ? {} : { operator }),
    ...(hidden ? { leafAdvertise: NOWHERE } : {}),
    ledgerFile: join(ledgerDirectory(directory), 'hub.json'),
    ...(wishedPort === undefined ? {} : { wishedPort }),
  });
}
