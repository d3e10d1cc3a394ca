/**
 * The HTTP server: what holds for every request before and after its handler.
 *
 * Promises:
 * S1. Every answer carries `x-request-id`, the caller's own where it sent a sensible one.
 * S2. Who asks is known before anything of the body is read; the order is token, rate, role, schema, handler.
 * S3. Every fault is a problem document: unknown paths, broken HTTP and bodies too large included.
 * S4. No request hangs for ever: headers, whole requests and silent sockets have deadlines.
 * S5. `close` takes no more, lets what is under way end, and cuts what is left at the deadline.
 */
import type { Socket } from 'node:net';
import { type Clock, Fault, type Logger, newId, waitUntil } from '@cim/contracts';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import Fastify, { type FastifyError } from 'fastify';
import { serializerCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { demand, type TokenBook } from '../auth.ts';
import type { Settings } from '../config.ts';
import type { Metrics } from '../metrics.ts';
import type { App } from './app.ts';
import { describeApi, serveDocs } from './docs.ts';
import { answerFault, faultOf, validator } from './faults.ts';
import { type CatalogRooms, catalogHandlers } from './handlers-catalog.ts';
import { type ProcessRooms, processHandlers } from './handlers-process.ts';
import { type StateRooms, stateHandlers } from './handlers-state.ts';
import { BUNDLE_MEDIA_TYPE, routes } from './routes.ts';

export interface HttpDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly settings: Settings;
  readonly tokens: TokenBook;
  readonly metrics: Metrics;
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
const BEARER = /^bearer +([\x21-\x7e]{1,512})$/i;

export async function createHttpServer(deps: HttpDeps): Promise<HttpServer> {
  const { clock, log, settings, tokens, metrics } = deps;
  const { limits, http } = settings;
  const stopping = new AbortController();
  const app: App = Fastify({
    logger: false,
    bodyLimit: limits.maxBody,
    // An upload of the largest bundle over a slow line; a silent one ends earlier.
    requestTimeout: 15 * 60_000,
    connectionTimeout: 5 * 60_000,
    keepAliveTimeout: 65_000,
    http: { headersTimeout: 15_000, connectionsCheckingInterval: 5_000 },
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

  app.decorateRequest('caller', undefined);
  app.decorateRequest('tokenGiven', false);
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
    const { authorization } = request.headers;
    const token = authorization === undefined ? undefined : BEARER.exec(authorization)?.[1];
    request.tokenGiven = authorization !== undefined;
    request.caller = token === undefined ? undefined : tokens.identify(token);
  });
  await app.register(helmet, {
    strictTransportSecurity: false,
    contentSecurityPolicy: { directives: { defaultSrc: ["'none'"] }, useDefaults: false },
  });
  await app.register(rateLimit, {
    max: limits.requestsPerMinute,
    timeWindow: 60_000,
    keyGenerator: ({ caller, ip }) => (caller ? `token ${caller.name}` : `address ${ip}`),
    errorResponseBuilder: (_, { after }) =>
      new Fault(
        'rate-limited',
        `at most ${limits.requestsPerMinute} requests a minute (limits.requestsPerMinute); again in ${after}`,
      ),
  });
  // After the rate has been counted, before a body is read.
  app.addHook('preParsing', async ({ caller, tokenGiven, routeOptions, ip, headers }) => {
    const need = routeOptions.config.need ?? 'open';
    if (
      need === 'viewer-unless-local' &&
      isLocal(ip) &&
      headers['x-forwarded-for'] === undefined &&
      headers['forwarded'] === undefined
    )
      return;
    demand(caller, need, tokenGiven);
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
  processHandlers(app, { ...deps.process, metrics });
  serveDocs(app);
  await app.ready();

  return {
    async listen() {
      try {
        return await app.listen({ host: http.host, port: http.port });
      } catch (cause) {
        throw new Fault(
          'configuration-invalid',
          `http: cannot listen on ${http.host}:${http.port}: ${(cause as Error).message}`,
          {
            cause,
          },
        );
      }
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

const isLocal = (ip: string) => ip === '::1' || /^(?:::ffff:)?127\./.test(ip);

/** HTTP that is none, or headers that never end: there is no request to answer, only a socket. */
function answerBrokenHttp(error: FastifyError & { readonly code: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const fault =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new Fault('too-large', 'the headers are larger than this server takes')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new Fault('deadline-exceeded', 'the request did not come in time')
        : faultOf(new Fault('invalid-input', 'this is not HTTP as the standard has it'));
  const body = JSON.stringify(fault.toProblem());
  socket.end(
    `HTTP/1.1 ${fault.row.status} ${fault.row.title}\r\ncontent-type: application/problem+json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
