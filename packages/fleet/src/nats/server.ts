/**
 * A real nats-server in a directory of its own: configuration, store, log and ports all lie there.
 *
 * Promises:
 * N1. `startNatsServer` returns when clients can connect to *this* server (its name is in the greeting), or throws the reason with the
 *     last lines of its log.
 * N2. Ports are chosen once and kept in the directory: a server that comes back, in this process or the next, is where it was, unless
 *     someone else has taken the port meanwhile while it was not ours.
 * N3. It ends with us (see child.ts).
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { DeadlineError, Fault, type NatsServerOptions, renderNatsConfig, systemClock, waitUntil } from '@cim/contracts';
import { type Child, endText, startChild, tailOf, writeFault } from '../machine/child.ts';
import { freePort, isFree } from '../machine/ports.ts';
import { findNatsServer } from './binary.ts';

export interface StartNatsOptions
  extends Pick<
    NatsServerOptions,
    'name' | 'domain' | 'users' | 'operator' | 'tls' | 'remotes' | 'maxPayloadBytes' | 'advertiseLeafPort' | 'leafAdvertise'
  > {
  /** Directory of this server; made when missing. */
  readonly directory: string;
  readonly host?: string;
  /** Listen for leaves. */
  readonly leaves?: boolean;
  /** Port for clients that is taken when it is free and none is kept. */
  readonly wishedPort?: number;
  readonly ledgerFile?: string;
  /** Longest wait for readiness, ms. */
  readonly deadlineMs?: number;
}

export interface NatsProcess extends AsyncDisposable {
  readonly name: string;
  /** Of nats-server, e.g. `2.12.1`. */
  readonly version: string;
  readonly port: number;
  readonly url: string;
  /** Where leaves join, where it listens for them. */
  readonly leafPort: number | undefined;
  readonly leafUrl: string | undefined;
  readonly monitorUrl: string;
  readonly configFile: string;
  readonly logFile: string;
  /** Of the process that runs now, or of the last one. */
  readonly pid: number;
  alive(): boolean;
  /** The end of the process that runs now. */
  ended(): Child['ended'];
  /** Ends it gracefully, by the deadline (default 5 s). */
  stop(deadlineMs?: number): Promise<void>;
  /** Ends it with a signal (default SIGKILL) and waits until it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on its ports, after `stop` or `kill`. */
  start(): Promise<void>;
  restart(): Promise<void>;
  /** SIGSTOP: the sockets stay open and nothing answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** Leaf connections it has now, on either side. */
  links(): Promise<number>;
}

interface Ports {
  readonly client: number;
  readonly monitor: number;
  readonly leaf?: number;
}

const BIND_TRIES = 4;

/** @throws Fault `configuration-invalid`, `storage-full`, `leaf-unreachable` when it does not come up */
export async function startNatsServer(options: StartNatsOptions): Promise<NatsProcess> {
  const { name, directory, host = '127.0.0.1', deadlineMs = 15_000 } = options;
  const binary = await findNatsServer();
  const configFile = join(directory, 'nats.conf');
  const portsFile = join(directory, 'ports.json');
  const logFile = join(directory, 'nats.log');
  const store = join(directory, 'jetstream');
  let ports: Ports;
  let child: Child;

  const configure = async (kept: Ports | undefined) => {
    const taken = new Set<number>();
    ports = {
      client: await freePort(host, kept?.client ?? options.wishedPort, taken),
      monitor: await freePort(host, kept?.monitor, taken),
      ...(options.leaves ? { leaf: await freePort(host, kept?.leaf, taken) } : {}),
    };
    const text = renderNatsConfig({
      ...options,
      host,
      port: ports.client,
      monitorPort: ports.monitor,
      storeDirectory: store,
      ...(ports.leaf === undefined ? {} : { leafPort: ports.leaf }),
    });
    try {
      mkdirSync(store, { recursive: true, mode: 0o700 });
      // Passwords stand in it.
      writeFileSync(configFile, text, { mode: 0o600 });
      writeFileSync(portsFile, `${JSON.stringify(ports)}\n`);
    } catch (cause) {
      throw writeFault(directory, cause);
    }
  };

  const launch = async () => {
    child = await startChild({
      name,
      command: binary.path,
      args: ['--config', configFile],
      cwd: directory,
      logFile,
      ...(options.ledgerFile === undefined ? {} : { ledgerFile: options.ledgerFile }),
    });
    const greeted = await greeting(child, name, host, ports.client, deadlineMs);
    if (greeted === 'ready') return greeted;
    await child.stop(1_000);
    return greeted;
  };

  const refuse = (why: string): never => {
    throw new Fault(
      'leaf-unreachable',
      `nats-server ${name}: ${why}; its log ${logFile} ends with:\n${tailOf(logFile) || '(nothing)'}`,
    );
  };

  for (let attempt = 1; ; attempt++) {
    await configure(attempt === 1 ? readPorts(portsFile) : undefined);
    const outcome = await launch();
    if (outcome === 'ready') break;
    if (attempt === BIND_TRIES || !/address already in use/.test(tailOf(logFile, 5))) refuse(outcome);
  }

  const start = async () => {
    if (!child.end()) return;
    const { client, monitor, leaf } = ports;
    for (const port of [client, monitor, ...(leaf === undefined ? [] : [leaf])]) {
      // A killed server's port is free once the kernel has closed its sockets.
      if (!(await waitUntil(systemClock, 5_000, () => isFree(host, port), 10))) refuse(`port ${port} is in use`);
    }
    const outcome = await launch();
    if (outcome !== 'ready') refuse(outcome);
  };
  const stop = async (deadline = 5_000) => void (await child.stop(deadline));
  return {
    name,
    version: binary.version,
    port: ports!.client,
    url: `nats://${host}:${ports!.client}`,
    leafPort: ports!.leaf,
    leafUrl: ports!.leaf === undefined ? undefined : `nats-leaf://${host}:${ports!.leaf}`,
    monitorUrl: `http://127.0.0.1:${ports!.monitor}`,
    configFile,
    logFile,
    get pid() {
      return child.pid;
    },
    alive: () => child.end() === undefined,
    ended: () => child.ended,
    stop,
    async kill(signal = 'SIGKILL') {
      child.kill(signal);
      await child.ended;
    },
    start,
    async restart() {
      await stop();
      await start();
    },
    pause: () => child.pause(),
    resume: () => child.resume(),
    async links() {
      const answer = await fetch(`http://127.0.0.1:${ports.monitor}/leafz`, { signal: AbortSignal.timeout(2_000) });
      return ((await answer.json()) as { leafnodes: number }).leafnodes;
    },
    [Symbol.asyncDispose]: stop,
  };
}

function readPorts(file: string): Ports | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Ports;
  } catch {
    return undefined;
  }
}

/** Waits until the server at the port greets with our name. @returns `ready`, or why not */
async function greeting(child: Child, name: string, host: string, port: number, deadlineMs: number): Promise<'ready' | string> {
  const wanted = `"server_name":${JSON.stringify(name)}`;
  let other: string | undefined;
  const ready = waitUntil(
    systemClock,
    deadlineMs,
    async () => {
      if (child.end()) return true;
      const line = await firstLine(host, port);
      if (line?.startsWith('INFO ') && !line.includes(wanted)) other = `another nats-server answers on port ${port}`;
      return line?.includes(wanted) ?? false;
    },
    10,
  );
  const end = await Promise.race([child.ended, ready]);
  if (typeof end === 'object') return `it ended with ${endText(end)}`;
  const ended = child.end();
  if (ended) return `it ended with ${endText(ended)}`;
  return end ? 'ready' : (other ?? new DeadlineError('the start', deadlineMs).message);
}

function firstLine(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host, port });
    const done = (line: string | undefined) => {
      socket.destroy();
      resolve(line);
    };
    socket.setTimeout(1_000, () => done(undefined));
    socket.once('error', () => done(undefined));
    socket.once('close', () => done(undefined));
    socket.setEncoding('utf8').on('data', (chunk) => {
      text += chunk;
      if (text.includes('\n')) done(text);
    });
  });
}
