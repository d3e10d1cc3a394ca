/**
 * An inspector on a workload, for its developer: the Chrome DevTools protocol on a WebSocket of this machine. An inspector reads and
 * changes everything in the isolate, so it exists only where the configuration says so (`sandbox.debug`).
 *
 * Promises:
 * D1. Nothing listens until a session was asked for. It listens on loopback, and the node-agent must too, or it does not start.
 * D2. A session is behind a path of 144 random bits, named to whoever asked and nowhere else. A page in a browser gets neither: asking
 *     takes a header no page may send across origins, and the socket refuses origins and hosts that are not this machine's.
 * D3. One developer at a time per workload. When the socket closes the workload goes on.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { Fault, type Logger, type NodeAgentConfig } from '@cim/contracts';
import { WebSocketServer } from 'ws';
import type { Sandbox } from '../sandbox/sandbox.ts';

export interface DebugSession {
  readonly workload: string;
  /** Address of the protocol. */
  readonly ws: string;
  /** The same for a Chromium browser's address bar. */
  readonly devtools: string;
}

export interface DebugDoor {
  /** @throws Fault `forbidden` where debugging is not allowed, `not-found` when no such workload runs */
  open(workload: string): Promise<DebugSession>;
  stop(): Promise<void>;
}

export interface DebugDoorDeps {
  readonly sandbox: Sandbox;
  readonly config: Pick<NodeAgentConfig, 'sandbox' | 'http'>;
  readonly log: Logger;
}

const LOOPBACK = '127.0.0.1';
const LARGEST_MESSAGE = 16 * 2 ** 20;
/** Sessions that were asked for; the oldest goes when there is one more. */
const MOST = 32;
/** Turns off what keeps a workload from going on. */
const LETTING_GO = ['Debugger.disable', 'Profiler.disable', 'HeapProfiler.disable', 'Runtime.disable'];

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);

/** @throws Fault `configuration-invalid` when debugging is allowed on a node-agent that does not listen on loopback */
export function createDebugDoor({ sandbox, config, log }: DebugDoorDeps): DebugDoor {
  const allowed = config.sandbox.debug;
  if (allowed && !isLoopback(config.http.host)) {
    const message = `expected 127.0.0.1, found ${config.http.host}: sandbox.debug is for a developer's machine, which keeps its doors to itself`;
    throw new Fault('configuration-invalid', `http.host: ${message}`, { issues: [{ path: 'http.host', message }] });
  }
  /** Path to workload. */
  const sessions = new Map<string, string>();
  const busy = new Set<string>();
  let listening: Promise<Server> | undefined;
  const sockets = new WebSocketServer({ noServer: true, maxPayload: LARGEST_MESSAGE });

  const listen = (): Promise<Server> => {
    listening ??= new Promise((resolve, reject) => {
      const server = createServer((_, response) => response.writeHead(404).end());
      server.on('upgrade', upgrade);
      server.once('error', reject);
      server.listen(0, LOOPBACK, () => resolve(server));
    });
    return listening;
  };

  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {});
    const workload = sessions.get(request.url ?? '');
    const { origin, host = '' } = request.headers;
    const ours =
      isLoopback(host.replace(/:\d+$/, '')) && (origin === undefined || /^(?:devtools|chrome-devtools):\/\//.test(origin));
    if (workload === undefined || !ours || busy.has(workload)) {
      const status = workload !== undefined && ours ? '409 Conflict' : '404 Not Found';
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, socket, head, (client) => {
      const inspection = sandbox.inspect?.(workload, (text) => client.send(text));
      if (inspection === undefined) return client.close(1011, 'the workload does not run any more');
      busy.add(workload);
      log.warn({ workload }, 'a debugger was attached');
      client.on('message', (data) => inspection.dispatch(String(data)));
      client.on('error', () => {});
      void inspection.gone.then(() => client.close(1000, 'the workload ended'));
      client.on('close', () => {
        busy.delete(workload);
        for (const [index, method] of LETTING_GO.entries())
          inspection.dispatch(JSON.stringify({ id: 2 ** 30 + index, method }));
        log.warn({ workload }, 'the debugger was detached');
      });
    });
  };

  return {
    async open(workload) {
      if (!allowed)
        throw new Fault('forbidden', `debugging is not allowed on this node-agent; set sandbox.debug on a developer's machine`);
      if (sandbox.inspect?.(workload, undefined) === undefined)
        throw new Fault('not-found', `no workload "${workload.slice(0, 100)}" runs here; see alchemist status`);
      const server = await listen();
      const path = `/${randomBytes(18).toString('base64url')}`;
      sessions.set(path, workload);
      for (const oldest of sessions.keys()) {
        if (sessions.size <= MOST) break;
        sessions.delete(oldest);
      }
      const address = `${LOOPBACK}:${(server.address() as AddressInfo).port}${path}`;
      return {
        workload,
        ws: `ws://${address}`,
        devtools: `devtools://devtools/bundled/js_app.html?experiments=true&v8only=true&ws=${address}`,
      };
    },
    async stop() {
      sessions.clear();
      for (const client of sockets.clients) client.terminate();
      sockets.close();
      const server = await listening?.catch(() => undefined);
      if (!server) return;
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
