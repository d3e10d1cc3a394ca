/**
 * Text of a nats-server configuration from data: what the embedded fleet, the testkit and `alchemist hub init` write to disk.
 * Pure. Users get the permissions of their party and nothing else.
 * Format: nats-server's own (docs.nats.io, "Configuration"); JSON values are valid in it.
 */
import type { Party } from './channels.ts';
import { permissionsOf } from './permissions.ts';
import { bytesOf } from './quantity.ts';

export interface NatsUser {
  readonly user: string;
  readonly password: string;
  /** Party and id the permissions are those of; absent: everything (an administrator). */
  readonly party?: { readonly party: Party; readonly id: string };
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
  /** Leaf side: hubs to join, with the user and password of this leaf in the address. */
  readonly remotes?: readonly { readonly url: string }[];
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
  if (options.users.length > 0) {
    config['authorization'] = {
      users: options.users.map(({ user, password, party }) => ({
        user,
        password,
        ...(party === undefined ? {} : { permissions: permissionsOf(party.party, party.id) }),
      })),
    };
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
          }),
      // A leaf that waits a minute between tries is offline for a minute longer than its link.
      ...(options.remotes ? { reconnect: '1s', remotes: options.remotes.map(({ url }) => ({ url })) } : {}),
    };
  }
  return `${JSON.stringify(config, null, 2)}\n`;
}
