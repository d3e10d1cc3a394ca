/**
 * The HTTP server: what holds for every request before and after its handler.
 *
 * Promises:
 * S1. Every answer carries `x-request-id`, the caller's own where it sent a sensible one.
 * S2. Who asks is known before anything of the body is read; the order is head, token, rate, role, scope, schema, handler (gate.ts).
 * S3. Every fault is a problem document: unknown paths, broken HTTP and bodies too large included. Of a fault of our own it says no more
 *     than the request id; the log has the rest.
 * S4. No request hangs for ever: handshakes, headers, bodies, whole requests and silent sockets have deadlines.
 * S5. `close` takes no more, lets what is under way end, and cuts what is left at the deadline.
 */
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { type Clock, Fault, type Logger, newId, waitUntil } from '@cim/contracts';
import helmet from '@fastify/helmet';
import Fastify, { type FastifyError, type FastifyServerFactory } from 'fastify';
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Settings } from '../config.ts';
import type { Metrics } from '../metrics.ts';
import type { TokenBook } from '../token-file.ts';
import type { App } from './app.ts';
import { describeApi, serveDocs } from './docs.ts';
import { answerFault, faultOf, validator } from './faults.ts';
import { installGate } from './gate.ts';
import { type AccessRooms, accessHandlers } from './handlers-access.ts';
import { type CatalogRooms, catalogHandlers } from './handlers-catalog.ts';
import { type IdentityRooms, identityHandlers } from './handlers-identity.ts';
import { type ProcessRooms, processHandlers } from './handlers-process.ts';
import { type StateRooms, stateHandlers } from './handlers-state.ts';
import { type TrustRooms, trustHandlers } from './handlers-trust.ts';
import { BUNDLE_MEDIA_TYPE, routes } from './routes.ts';
import type { TlsFiles } from './tls.ts';

export interface HttpDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: Settings;
  readonly book: TokenBook;
  /** Certificates to serve; undefined: plain HTTP. */
  readonly tls: TlsFiles | undefined;
  readonly metrics: Metrics;
  readonly access: AccessRooms;
  readonly identity: Omit<IdentityRooms, 'clock'>;
  readonly trust: TrustRooms;
  readonly catalog: Omit<CatalogRooms, 'clock'>;
  readonly state: Omit<StateRooms, 'clock' | 'log' | 'metrics' | 'stopping'>;
  readonly process: Omit<ProcessRooms, 'metrics'>;
}

export interface HttpServer {
  /** Listens. @returns the address, e.g. `http://127.0.0.1:8484`. @throws Fault when the port cannot be had */
  listen(): Promise<string>;
  close(deadlineMs: number): Promise<void>;
}

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** A server with its bounds (S4): an upload of the largest bundle over a slow line is the longest request there is. */
function serverFactory(tls: TlsFiles | undefined, clients: boolean, maxConnections: number): FastifyServerFactory {
  const bounds = {
    requestTimeout: 15 * 60_000,
    headersTimeout: 15_000,
    connectionsCheckingInterval: 5_000,
    keepAliveTimeout: 65_000,
    maxHeaderSize: 64 * 1024,
    // `insecureHTTPParser` stays off: what breaks the framing is refused by the parser.
  };
  return (handler) => {
    let server: Server;
    if (tls) {
      const secure = { ...bounds, ...tls.options(), handshakeTimeout: 10_000, requestCert: clients, rejectUnauthorized: false };
      const encrypted = createTlsServer(secure, handler as never);
      tls.serve(encrypted);
      server = encrypted as unknown as Server;
    } else server = createServer(bounds, handler as never);
    server.timeout = 5 * 60_000;
    server.maxConnections = maxConnections;
    server.maxRequestsPerSocket = 100_000;
    return server;
  };
}

export async function createHttpServer(deps: HttpDeps): Promise<HttpServer> {
  const { clock, log, settings, tls, metrics } = deps;
  const { limits, http } = settings;
  const clients = http.tls?.clients ?? [];
  const stopping = new AbortController();
  const app: App = Fastify({
    logger: false,
    bodyLimit: limits.maxBody,
    serverFactory: serverFactory(tls, clients.length > 0, http.maxConnections),
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    requestIdHeader: false,
    genReqId: ({ headers }) => {
      const sent = headers['x-request-id'];
      return typeof sent === 'string' && REQUEST_ID.test(sent) ? sent : newId();
    },
    routerOptions: { maxParamLength: 300 },
    frameworkErrors: (error, request, reply) => answerFault(log, error, request, reply),
    clientErrorHandler: answerBrokenHttp,
  }).withTypeProvider<ZodTypeProvider>();

  app.setValidatorCompiler(validator as never);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error, request, reply) => answerFault(log, error, request, reply));
  app.addContentTypeParser(BUNDLE_MEDIA_TYPE, (_, payload, done) => done(null, payload));
  await app.register(helmet, {
    // Only TLS that is served here can be promised for the future.
    strictTransportSecurity: tls === undefined ? false : { maxAge: 180 * 86_400, includeSubDomains: false },
    contentSecurityPolicy: { directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] }, useDefaults: false },
  });
  await installGate(app, {
    clock,
    book: deps.book,
    tokens: deps.access.tokens,
    clients,
    requestsPerMinute: limits.requestsPerMinute,
    failuresPerMinute: limits.failuresPerMinute,
    bodyTimeoutMs: http.bodyTimeoutMs,
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    const seconds = reply.elapsedTime / 1000;
    if (route !== routes.eventStream.url) metrics.request(route, request.method, reply.statusCode, seconds);
    const facts = {
      requestId: request.id,
      method: request.method,
      route,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
      by: request.caller?.name,
    };
    if (request.method === 'GET') log.debug(facts, 'answered');
    else log.info(facts, 'answered');
  });
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, (request) => {
    throw new Fault(
      'not-found',
      `there is no ${request.method} ${request.url.split('?')[0]}; /openapi.json lists what there is`,
    );
  });

  await describeApi(app, deps.process.version);
  catalogHandlers(app, { ...deps.catalog, clock });
  stateHandlers(app, { ...deps.state, clock, log, metrics, stopping: stopping.signal });
  accessHandlers(app, deps.access);
  identityHandlers(app, { ...deps.identity, clock });
  trustHandlers(app, deps.trust);
  processHandlers(app, { ...deps.process, metrics });
  serveDocs(app);
  await app.ready();

  return {
    async listen() {
      try {
        await app.listen({ host: http.host, port: http.port });
      } catch (cause) {
        const why = `http: cannot listen on ${http.host}:${http.port}: ${(cause as Error).message}`;
        throw new Fault('configuration-invalid', why, { cause });
      }
      const { address, family, port } = app.server.address() as AddressInfo;
      return `${tls ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
    },
    async close(deadlineMs) {
      stopping.abort(new Error('stopping'));
      let closed = false;
      const closing = app.close().then(() => {
        closed = true;
      });
      if (!(await waitUntil(clock, deadlineMs, () => closed, 10))) app.server.closeAllConnections();
      await closing;
    },
  };
}

/** HTTP that is none, or headers that never end: there is no request to answer, only a socket. */
function answerBrokenHttp(error: FastifyError & { readonly code: string }, socket: Socket): void {
  // Only the parser's own words and late requests have somebody to answer: a handshake that failed has no line to speak on.
  const answerable = error.code?.startsWith('HPE_') || error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  if (!answerable || !socket.writable) return void socket.destroy();
  const fault =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new Fault('too-large', 'the headers are larger than this server takes')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new Fault('request-incomplete', 'the request did not come in time')
        : faultOf(new Fault('invalid-input', 'this is not HTTP as the standard has it'));
  const body = JSON.stringify(fault.toProblem());
  socket.end(
    `HTTP/1.1 ${fault.row.status} ${fault.row.title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n${body}`,
  );
}
