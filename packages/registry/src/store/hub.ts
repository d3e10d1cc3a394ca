/**
 * The registry's one connection to the hub's nats-server, and the rule that nobody waits for it for ever.
 *
 * Promises:
 * H1. The registry starts without it, and tries for ever with jitter; a server that restarts is found again.
 * H2. Whoever needs it goes through `run`: an answer or a fault within its deadline. An outage that has lasted longer than the
 *     deadline is told at once, so that requests do not pile up behind it.
 * H3. A changed password or credentials file is used at the next reconnect.
 */
import { readFileSync } from 'node:fs';
import {
  backoffDelay,
  type Clock,
  Fault,
  inboxPrefix,
  type Logger,
  type NatsClientConfig,
  waitUntil,
  withDeadline,
} from '@cim/contracts';
import { connect } from '@cim/contracts/wire';
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import {
  type ConnectionOptions,
  credsAuthenticator,
  type NatsConnection,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import { hubFault } from './faults.ts';

/** The connection and its JetStream clients; the same objects for as long as the connection is the same. */
export interface Link {
  readonly connection: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
}

export interface Hub {
  /** Begins to connect; does not wait. @throws Fault `configuration-invalid` when a file named cannot be read */
  start(): Promise<void>;
  /** The link when it is up. */
  current(): Link | undefined;
  /** The link, waited for until the signal aborts. */
  up(signal: AbortSignal): Promise<Link>;
  /** Gives `work` the link, for `deadlineMs` in all. @throws Fault `hub-unreachable` and what {@link hubFault} makes of it */
  run<T>(what: string, work: (link: Link) => Promise<T>, deadlineMs?: number): Promise<T>;
  /** Called at every change. Returns how to stop listening. */
  onChange(listener: (up: boolean) => void): () => void;
  /** Why it is not up, for people; undefined while it is. */
  trouble(): string | undefined;
  stop(): Promise<void>;
}

export interface HubDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly config: NatsClientConfig;
  /** JetStream domain of the hub: asked by name, so that a leaf's own JetStream is never taken for it. */
  readonly domain: string;
}

/** Longest wait for the hub in one request, ms. */
const HUB_DEADLINE_MS = 5_000;
const ONE_ANSWER_MS = 4_000;

type State =
  | { readonly phase: 'away'; readonly since: number; readonly why: string }
  | { readonly phase: 'up'; readonly link: Link }
  | { readonly phase: 'closed' };

export function createHub({ clock, random, log, config, domain }: HubDeps): Hub {
  let state: State = { phase: 'away', since: clock.monotonic(), why: 'not connected yet' };
  let connection: NatsConnection | undefined;
  const listeners = new Set<(up: boolean) => void>();
  const stopping = new AbortController();
  const current = () => (state.phase === 'up' ? state.link : undefined);
  const change = (next: State) => {
    if (state.phase === 'closed') return;
    state = next;
    for (const listener of listeners) listener(next.phase === 'up');
  };
  const away = (why: string) => {
    change({ phase: 'away', since: state.phase === 'away' ? state.since : clock.monotonic(), why });
  };

  const run = async () => {
    for (let attempt = 0; !stopping.signal.aborted; attempt++) {
      try {
        connection = await connect(connectionOptions(config));
        if (stopping.signal.aborted) return void (await connection.close());
        const link = {
          connection,
          js: jetstream(connection, { domain, timeout: ONE_ANSWER_MS }),
          jsm: await jetstreamManager(connection, { domain, timeout: ONE_ANSWER_MS, checkAPI: false }),
        };
        log.info({ server: connection.getServer(), version: connection.info?.version }, 'joined the hub');
        attempt = 0;
        change({ phase: 'up', link });
        await watch(link);
        // The library gave up by itself (for example: credentials refused twice). We do not.
        away('the connection was closed');
      } catch (error) {
        away(error instanceof Error ? error.message : String(error));
        if (attempt % 20 === 0) log.warn({ error: String(error) }, 'the hub does not answer, trying on');
      }
      const delay = backoffDelay({ base: 200, cap: 2_000, factor: 2 }, attempt, random());
      await clock.sleep(delay, stopping.signal).catch(() => {});
    }
  };

  /** Follows one connection through its losses until it is closed for good. */
  const watch = async (link: Link) => {
    for await (const status of link.connection.status()) {
      if (status.type === 'disconnect') {
        log.warn({ server: status.server }, 'lost the hub');
        away('the connection was lost');
      } else if (status.type === 'reconnect') {
        log.info({ server: status.server }, 'found the hub again');
        change({ phase: 'up', link });
      } else if (status.type === 'error') log.warn({ error: String(status.error) }, 'the hub refused something');
    }
  };

  return {
    async start() {
      // A wrong path is said at once (H1 is about servers, not about slips).
      connectionOptions(config);
      void run();
    },
    current,
    async up(signal) {
      for (;;) {
        const link = current();
        if (link) return link;
        const changed = Promise.withResolvers<void>();
        listeners.add(changed.resolve as () => void);
        const onAbort = () => changed.reject(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
        try {
          signal.throwIfAborted();
          await changed.promise;
        } finally {
          listeners.delete(changed.resolve as () => void);
          signal.removeEventListener('abort', onAbort);
        }
      }
    },
    async run(what, work, deadlineMs = HUB_DEADLINE_MS) {
      const begun = clock.monotonic();
      const patience = state.phase === 'away' ? Math.max(0, state.since + deadlineMs - begun) : deadlineMs;
      if (!current()) await waitUntil(clock, Math.min(patience, deadlineMs), () => current() !== undefined, 20);
      const link = current();
      if (!link) throw new Fault('hub-unreachable', `${what}: ${state.phase === 'away' ? state.why : 'shutting down'}`);
      const left = Math.max(deadlineMs - (clock.monotonic() - begun), 250);
      try {
        return await withDeadline(clock, left, what, () => work(link));
      } catch (error) {
        throw hubFault(error, what);
      }
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    trouble: () => (state.phase === 'away' ? state.why : state.phase === 'closed' ? 'shutting down' : undefined),
    async stop() {
      stopping.abort(new Error('stopping'));
      const up = current() !== undefined;
      state = { phase: 'closed' };
      if (!connection || connection.isClosed()) return;
      // What was written last must leave the buffer; with nobody there, nothing ever will.
      if (up) await connection.drain().catch(() => connection?.close());
      else await connection.close();
    },
  };
}

function connectionOptions(config: NatsClientConfig): ConnectionOptions {
  const read = (key: string, path: string) => {
    try {
      return readFileSync(path);
    } catch (cause) {
      throw new Fault('configuration-invalid', `nats.${key}: cannot read ${path}: ${(cause as Error).message}`, {
        cause,
        issues: [{ path: `nats.${key}`, message: `cannot read ${path}` }],
      });
    }
  };
  const text = (key: string, path: string) => read(key, path).toString('utf8').trim();
  const { user, passwordFile, credentialsFile, tls } = config;
  // Asked again at every connect (H3); read here once so that a wrong path is found at start.
  if (passwordFile !== undefined) text('passwordFile', passwordFile);
  if (credentialsFile !== undefined) read('credentialsFile', credentialsFile);
  const lastGood = <T>(get: () => T): (() => T) => {
    let good = get();
    return () => {
      try {
        good = get();
      } catch {
        // The file is being replaced: what was good is tried again, and the next connect reads it anew.
      }
      return good;
    };
  };
  const authenticator =
    credentialsFile !== undefined
      ? credsAuthenticator(lastGood(() => new Uint8Array(read('credentialsFile', credentialsFile))))
      : user !== undefined
        ? usernamePasswordAuthenticator(
            user,
            passwordFile === undefined ? '' : lastGood(() => text('passwordFile', passwordFile)),
          )
        : undefined;
  return {
    servers: config.url,
    name: 'cim-registry',
    inboxPrefix: inboxPrefix('registry', 'registry'),
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
    reconnectJitter: 200,
    timeout: 3_000,
    pingInterval: 5_000,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
    ...(authenticator === undefined ? {} : { authenticator }),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            ...(tls.caFile === undefined ? {} : { ca: text('tls.caFile', tls.caFile) }),
            ...(tls.certFile === undefined ? {} : { cert: text('tls.certFile', tls.certFile) }),
            ...(tls.keyFile === undefined ? {} : { key: text('tls.keyFile', tls.keyFile) }),
          },
        }),
  };
}
