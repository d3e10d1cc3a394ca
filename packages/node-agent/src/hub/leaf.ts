/**
 * A connection of the node to its own leaf server. There are two: one for calls, commands and the leaf's own streams, one for what is asked
 * of the hub's JetStream, so that a bundle on its way holds up no call and nobody who answers calls can speak for the hub.
 *
 * Promises:
 * N1. The node starts without it: `start` does not wait for the server, and tries for ever with jitter.
 * N2. Who needs it waits with a deadline (`ready`) and gets `leaf-unreachable`, never a hang.
 * N3. A leaf server that restarts under us is found again and every subscription with it.
 */
import { readFile } from 'node:fs/promises';
import { type Clock, Fault, type Logger, type NatsClientConfig, waitUntil } from '@cim/contracts';
import { connect } from '@cim/contracts/wire';
import { type ConnectionOptions, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';

export interface Leaf {
  start(): Promise<void>;
  /** The connection when it is up. */
  current(): NatsConnection | undefined;
  /** The connection, waited for. @throws Fault `leaf-unreachable` */
  ready(deadlineMs: number): Promise<NatsConnection>;
  /** Called at every change, and at once when already connected. */
  onChange(listener: (connection: NatsConnection | undefined) => void): void;
  /** Times the connection was found again. */
  reconnects(): number;
  stop(): Promise<void>;
}

type State =
  | { readonly phase: 'connecting' }
  | { readonly phase: 'up'; readonly connection: NatsConnection }
  | { readonly phase: 'down'; readonly connection: NatsConnection }
  | { readonly phase: 'closed' };

export interface LeafDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly config: NatsClientConfig;
  /** Name of the connection, as the server lists it. */
  readonly name: string;
  /** Where answers come in (contracts, `inboxPrefix` and `hubInboxPrefix`). */
  readonly inboxPrefix: string;
}

export function createLeaf({ clock, log, config, name, inboxPrefix }: LeafDeps): Leaf {
  let state: State = { phase: 'connecting' };
  let reconnects = 0;
  const listeners: ((connection: NatsConnection | undefined) => void)[] = [];
  const stopping = new AbortController();
  const current = () => (state.phase === 'up' ? state.connection : undefined);
  const change = (next: State) => {
    state = next;
    for (const listener of listeners) listener(current());
  };

  const run = async () => {
    const options = await connectionOptions(config, name, inboxPrefix);
    for (let attempt = 0; !stopping.signal.aborted; attempt++) {
      try {
        const connection = await connect(options);
        if (stopping.signal.aborted) return void (await connection.close());
        log.info({ server: connection.getServer(), version: connection.info?.version }, 'joined the leaf');
        change({ phase: 'up', connection });
        void follow(connection);
        return;
      } catch (error) {
        if (attempt % 20 === 0) log.warn({ error: String(error) }, 'the leaf does not answer, trying on');
        await clock.sleep(250, stopping.signal).catch(() => {});
      }
    }
  };

  const follow = async (connection: NatsConnection) => {
    for await (const { type } of connection.status()) {
      if (type === 'disconnect' && state.phase === 'up') {
        log.warn({}, 'lost the leaf');
        change({ phase: 'down', connection });
      } else if (type === 'reconnect') {
        reconnects++;
        log.info({}, 'found the leaf again');
        change({ phase: 'up', connection });
      }
    }
    if (stopping.signal.aborted || state.phase === 'closed') return;
    // The library gave up (for example: credentials refused twice). We do not.
    log.error({}, 'the connection to the leaf was closed, connecting anew');
    change({ phase: 'connecting' });
    await clock.sleep(1000, stopping.signal).catch(() => {});
    void run();
  };

  return {
    async start() {
      // A wrong path in the configuration is said at once; a server that is not there yet is not an error (N1).
      await connectionOptions(config, name, inboxPrefix);
      void run();
    },
    current,
    async ready(deadlineMs) {
      await waitUntil(clock, deadlineMs, () => current() !== undefined, 20);
      const connection = current();
      if (!connection) throw new Fault('leaf-unreachable', `the leaf did not answer within ${deadlineMs} ms`);
      return connection;
    },
    onChange(listener) {
      listeners.push(listener);
      if (current()) listener(current());
    },
    reconnects: () => reconnects,
    async stop() {
      stopping.abort();
      const held = state.phase === 'up' || state.phase === 'down' ? state.connection : undefined;
      const up = state.phase === 'up';
      state = { phase: 'closed' };
      // What was answered last must leave the buffer before the socket closes.
      if (held && up) await held.drain().catch(() => held.close());
      else await held?.close();
    },
  };
}

async function connectionOptions(config: NatsClientConfig, name: string, inboxPrefix: string): Promise<ConnectionOptions> {
  const read = async (key: string, path: string) => {
    try {
      return await readFile(path);
    } catch (cause) {
      throw new Fault('configuration-invalid', `nats.${key}: cannot read ${path}: ${(cause as Error).message}`, { cause });
    }
  };
  const text = async (key: string, path: string) => (await read(key, path)).toString('utf8').trim();
  return {
    servers: config.url,
    name,
    inboxPrefix,
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
    reconnectJitter: 200,
    timeout: 5000,
    pingInterval: 10_000,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
    // An error object made ahead of every request, in case it fails, is a good part of what a request costs.
    noAsyncTraces: true,
    ...(config.user === undefined ? {} : { user: config.user }),
    ...(config.passwordFile === undefined ? {} : { pass: await text('passwordFile', config.passwordFile) }),
    ...(config.credentialsFile === undefined
      ? {}
      : { authenticator: credsAuthenticator(await read('credentialsFile', config.credentialsFile)) }),
    ...(config.tls === undefined
      ? {}
      : {
          tls: {
            ...(config.tls.caFile === undefined ? {} : { ca: await text('tls.caFile', config.tls.caFile) }),
            ...(config.tls.certFile === undefined ? {} : { cert: await text('tls.certFile', config.tls.certFile) }),
            ...(config.tls.keyFile === undefined ? {} : { key: await text('tls.keyFile', config.tls.keyFile) }),
          },
        }),
  };
}
