/**
 * Real nats-servers in one call, each on ports of its own, gone when the test is.
 */
import { inboxPrefix, type NatsUser, type Party } from '@cim/contracts';
import {
  agentUser,
  type Link,
  leafAdminUser,
  type NatsProcess,
  openLink,
  openSecrets,
  type Secrets,
  startHub,
  startLeaf,
  startNatsServer,
} from '@cim/fleet';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { temporaryDirectory } from './temporary.ts';
import { waitFor } from './wait.ts';

export interface TestNats extends AsyncDisposable {
  readonly server: NatsProcess;
  readonly url: string;
  readonly directory: string;
  /** A connection that is closed with the server. */
  connect(user?: { readonly user: string; readonly password: string }): Promise<NatsConnection>;
}

/** One nats-server with JetStream. Without users everyone on loopback may do everything. */
export async function natsServer(
  options: { readonly domain?: string; readonly users?: readonly NatsUser[] } = {},
): Promise<TestNats> {
  await using parts = new AsyncDisposableStack();
  const directory = parts.use(temporaryDirectory('cim-nats')).path;
  const server = parts.use(
    await startNatsServer({ name: 'test', domain: options.domain ?? 'hub', directory, users: options.users ?? [] }),
  );
  const connections = parts.use(connectionsTo());
  const all = parts.move();
  return {
    server,
    url: server.url,
    directory,
    connect: (user) => connections.open(server, user === undefined ? {} : { user: user.user, pass: user.password }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

export interface TestLeaf {
  readonly instance: string;
  readonly server: NatsProcess;
  /** The wire between this leaf and the hub. */
  readonly link: Link;
  /** A connection to the leaf as its node-agent, with the inbox prefix of the node. */
  asAgent(): Promise<NatsConnection>;
  /** A connection to the leaf as its administrator. */
  asAdmin(): Promise<NatsConnection>;
  /** Resolves when the leaf is joined to the hub. */
  linked(deadlineMs?: number): Promise<void>;
}

export interface HubAndLeaf extends AsyncDisposable {
  readonly directory: string;
  readonly secrets: Secrets;
  readonly hub: NatsProcess;
  /** The first leaf. */
  readonly leaf: TestLeaf;
  readonly leaves: readonly TestLeaf[];
  /** A connection to the hub as a party, with its permissions, or as the administrator. */
  asHub(who: Exclude<Party, 'node'> | 'admin'): Promise<NatsConnection>;
}

/** A hub and leaves that are joined to it, users and permissions as in a fleet, and a link to cut for each leaf. */
export async function hubAndLeaf(instances: readonly string[] = ['cim-a']): Promise<HubAndLeaf> {
  await using parts = new AsyncDisposableStack();
  const directory = parts.use(temporaryDirectory('cim-hub')).path;
  const secrets = openSecrets(`${directory}/secrets`);
  const hub = parts.use(await startHub({ directory, secrets, instances, hidden: true }));
  const connections = connectionsTo();
  const leaves = await Promise.all(
    instances.map(async (instance): Promise<TestLeaf> => {
      const link = parts.use(await openLink({ target: { host: '127.0.0.1', port: hub.leafPort! } }));
      const server = parts.use(await startLeaf({ directory, secrets, instance, hub: link }));
      const as = (user: string, prefix: string) =>
        connections.open(server, { user, pass: secrets.password(user), inboxPrefix: prefix });
      return {
        instance,
        server,
        link,
        asAgent: () => as(agentUser(instance), inboxPrefix('node', instance)),
        asAdmin: () => as(leafAdminUser(instance), '_INBOX'),
        linked: async (deadlineMs = 10_000) =>
          void (await waitFor(async () => (await server.links()) > 0, deadlineMs, `${instance} to join the hub`)),
      };
    }),
  );
  parts.use(connections);
  await Promise.all(leaves.map((leaf) => leaf.linked()));
  const all = parts.move();
  return {
    directory,
    secrets,
    hub,
    leaf: leaves[0]!,
    leaves,
    asHub: (who) =>
      connections.open(hub, {
        user: who,
        pass: secrets.password(who),
        ...(who === 'admin' ? {} : { inboxPrefix: inboxPrefix(who, who) }),
      }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function connectionsTo() {
  const opened = new Set<NatsConnection>();
  return {
    async open(server: NatsProcess, options: { user?: string; pass?: string; inboxPrefix?: string }): Promise<NatsConnection> {
      const connection = await connect({
        servers: server.url,
        reconnectTimeWait: 50,
        maxReconnectAttempts: -1,
        timeout: 5_000,
        ...options,
      });
      opened.add(connection);
      return connection;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...opened].map((connection) => connection.close()));
    },
  };
}
