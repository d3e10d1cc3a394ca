/**
 * Text of a nats-server configuration from data: what the embedded fleet, the testkit and `alchemist hub init` write to disk.
 * Pure. Who may connect is one of three: users with passwords (each with the permissions of its party and nothing else), identities an
 * operator signed, or, where neither is said, anyone: for tests on loopback only.
 * Format: nats-server's own (docs.nats.io, "Configuration"); JSON values are valid in it.
 */
import { accountOf, crossings, domainMappings, type HubAccount } from './accounts.ts';
import type { Party } from './channels.ts';
import { permissionsOf } from './permissions.ts';
import { bytesOf } from './quantity.ts';

export interface NatsUser {
  readonly user: string;
  readonly password: string;
  /** Party and id the permissions are those of; absent: everything of one account (an administrator). */
  readonly party?: { readonly party: Party; readonly id: string; readonly serves?: readonly string[] };
  /** Account of an administrator of a hub; absent: `HUB`. A server none of whose users is a party's has one account. */
  readonly account?: HubAccount;
}

/** Identities by JWT (decentralised auth): the server knows the operator, and the accounts it is told of. */
export interface NatsOperator {
  /** The operator's JWT; names the system account and the keys that may sign accounts. */
  readonly jwt: string;
  /** Where the server keeps account JWTs that are pushed to it, so that a revocation outlives a restart. Absolute. */
  readonly resolverDirectory: string;
  /** Account JWTs it knows from the start, by account key; a newer one in the directory goes first. */
  readonly accounts: Readonly<Record<string, string>>;
}

/** PEM files for a port. */
export interface NatsTlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** Authority that clients' or leaves' own certificates must be signed by; absent: they need none. */
  readonly caFile?: string;
}

export interface NatsServerOptions {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** JetStream domain. */
  readonly domain: string;
  readonly storeDirectory: string;
  readonly maxPayloadBytes?: number;
  /** Users that may connect; empty lets everyone in (for tests on loopback only). */
  readonly users: readonly NatsUser[];
  /** Identities by JWT instead of `users`. */
  readonly operator?: NatsOperator;
  /** TLS for clients. */
  readonly tls?: NatsTlsFiles;
  /** Hub side: TLS for leaves. */
  readonly leafTls?: NatsTlsFiles;
  /** Monitoring port on loopback; absent: off. */
  readonly monitorPort?: number;
  /** Hub side: port where leaves join. */
  readonly leafPort?: number;
  /**
   * Hub side: tell leaves the addresses of the hub's servers, so that they find the others of a cluster. Off by default: a leaf that
   * comes through a proxy, a tunnel or a translated address would leave it for an address it may not reach.
   */
  readonly advertiseLeafPort?: boolean;
  /**
   * Hub side: the address leaves are told instead of the hub's own. nats-server 2.10 tells its own whatever `no_advertise` says; a hub that is
   * to be reached through a proxy alone names one here that answers nobody.
   */
  readonly leafAdvertise?: string;
  /**
   * Leaf side: hubs to join, with the user and password of this leaf in the address, or its credentials file, which is read again at every
   * connect. `caFile`: authority of the hub's certificate, where it is none the system knows.
   */
  readonly remotes?: readonly { readonly url: string; readonly credentialsFile?: string; readonly caFile?: string }[];
  readonly jetstreamMaxMemory?: string;
  readonly jetstreamMaxFile?: string;
  /** File to write the process id to. */
  readonly pidFile?: string;
}

/** The configuration file's text. */
export function renderNatsConfig(options: NatsServerOptions): string {
  const config: Record<string, unknown> = {
    server_name: options.name,
    host: options.host,
    port: options.port,
    max_payload: options.maxPayloadBytes ?? 8 * 2 ** 20,
    ...(options.monitorPort === undefined ? {} : { http: `127.0.0.1:${options.monitorPort}` }),
    ...(options.pidFile === undefined ? {} : { pid_file: options.pidFile }),
    jetstream: {
      domain: options.domain,
      store_dir: options.storeDirectory,
      max_memory_store: bytesOf(options.jetstreamMaxMemory ?? '256MB'),
      max_file_store: bytesOf(options.jetstreamMaxFile ?? '16GB'),
    },
  };
  if (options.tls !== undefined) config['tls'] = tlsFiles(options.tls);
  if (options.operator !== undefined) {
    const { jwt, resolverDirectory, accounts } = options.operator;
    config['operator'] = jwt;
    config['resolver'] = { type: 'full', dir: resolverDirectory, allow_delete: false, interval: '2m' };
    config['resolver_preload'] = accounts;
  } else if (options.users.length > 0) {
    if (options.users.some(({ party }) => party !== undefined)) config['accounts'] = hubAccounts(options.users);
    else config['authorization'] = { users: options.users.map(userEntry) };
  }
  if (options.leafPort !== undefined || options.remotes) {
    config['leafnodes'] = {
      ...(options.leafPort === undefined
        ? {}
        : {
            host: options.host,
            port: options.leafPort,
            no_advertise: options.advertiseLeafPort !== true,
            ...(options.leafAdvertise === undefined ? {} : { advertise: options.leafAdvertise }),
            ...(options.leafTls === undefined ? {} : { tls: tlsFiles(options.leafTls) }),
          }),
      // A leaf that waits a minute between tries is offline for a minute longer than its link. Also how long it is away when its
      // credential is changed.
      ...(options.remotes ? { reconnect: '250ms', remotes: options.remotes.map(remote) } : {}),
    };
  }
  return `${JSON.stringify(config, null, 2)}\n`;
}

const userEntry = ({ user, password, party }: NatsUser) => ({
  user,
  password,
  ...(party === undefined ? {} : { permissions: permissionsOf(party.party, party.id, party) }),
});

/** The hub's two accounts (accounts.ts): users where they belong, and what `CIM` may ask of `HUB`. */
function hubAccounts(users: readonly NatsUser[]): Record<HubAccount, unknown> {
  const of = (account: HubAccount) =>
    users
      .filter((user) => (user.party === undefined ? (user.account ?? 'HUB') : accountOf(user.party.party)) === account)
      .map(userEntry);
  return {
    HUB: {
      jetstream: 'enabled',
      users: of('HUB'),
      exports: crossings().map(({ subject, answers }) => ({
        service: subject,
        ...(answers === 'many' ? { response_type: 'stream' } : {}),
        accounts: ['CIM'],
      })),
    },
    CIM: {
      users: of('CIM'),
      imports: crossings().map(({ subject }) => ({ service: { account: 'HUB', subject } })),
      mappings: domainMappings,
    },
  };
}

const remote = ({ url, credentialsFile, caFile }: NonNullable<NatsServerOptions['remotes']>[number]) => ({
  url,
  ...(credentialsFile === undefined ? {} : { credentials: credentialsFile }),
  ...(caFile === undefined ? {} : { tls: { ca_file: caFile } }),
});

const tlsFiles = ({ certFile, keyFile, caFile }: NatsTlsFiles) => ({
  cert_file: certFile,
  key_file: keyFile,
  ...(caFile === undefined ? {} : { ca_file: caFile, verify: true }),
});
