/**
 * The node's face on HTTP: health, metrics and a read-only view. Nothing here changes anything, so it needs no token; it listens on
 * loopback unless the operator says otherwise.
 *
 * Promises:
 * T1. `/health` is what the node found out, not that it can answer: 503 when unhealthy, with every condition and what to do.
 * T2. Errors are problem documents; an unknown path is one too.
 */

import { Condition, Fault, NodeStatus, WorkloadStatus } from '@cim/contracts';
import swagger from '@fastify/swagger';
import Fastify, { type FastifyInstance } from 'fastify';
import { jsonSchemaTransform, serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { DebugSession } from '../debug/debug-door.ts';

const DomainHealth = z.object({
  domain: z.string(),
  status: z.enum(['healthy', 'degraded', 'unhealthy', 'disabled']),
  detail: z.string(),
  conditions: z.array(Condition),
});
export type DomainHealth = z.infer<typeof DomainHealth>;

const Health = z.object({
  status: z.enum(['healthy', 'degraded', 'unhealthy']),
  instance: z.string(),
  phase: z.string(),
  hub: z.object({ reachable: z.boolean(), detail: z.string() }),
  leaf: z.object({ connected: z.boolean() }),
  limits: z.string(),
  conditions: z.array(Condition),
  domains: z.record(z.string(), z.string()),
  workloads: z.object({ total: z.number(), ready: z.number(), failed: z.number() }),
});

/** What the page reads; every member is asked anew for each request. */
export interface HttpView {
  readonly status: () => NodeStatus;
  readonly hub: () => { readonly reachable: boolean; readonly detail: string };
  readonly leafConnected: () => boolean;
  readonly domains: () => readonly DomainHealth[];
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly version: string;
  /** Opens an inspector; there where workloads may be debugged. */
  readonly debug?: (workload: string) => Promise<DebugSession>;
}

export interface HttpServer {
  /** Listens and tells the address. @throws when the port is taken */
  start(host: string, port: number): Promise<string>;
  stop(): Promise<void>;
}

export function createHttpServer(view: HttpView): HttpServer {
  const app = Fastify({
    logger: false,
    bodyLimit: 1024,
    requestTimeout: 10_000,
    connectionTimeout: 30_000,
    keepAliveTimeout: 10_000,
    forceCloseConnections: true,
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error, request, reply) => {
    const status = (error as { statusCode?: number }).statusCode;
    const fault =
      error instanceof Fault
        ? error
        : status !== undefined && status < 500
          ? new Fault('invalid-input', (error as Error).message)
          : Fault.of(error);
    return reply.status(fault.row.status).type('application/problem+json').send(fault.toProblem(request.id));
  });
  app.setNotFoundHandler((request, reply) =>
    reply
      .status(404)
      .type('application/problem+json')
      .send(
        new Fault('not-found', `${request.method} ${request.url.slice(0, 200)}: no such path; see /openapi.json`).toProblem(
          request.id,
        ),
      ),
  );
  void app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'CIM node-agent',
        version: view.version,
        description: 'Health, metrics and state of one instance. Read only.',
      },
    },
    transform: jsonSchemaTransform,
  });
  void app.register(async (scope) => routes(scope, view));
  return {
    async start(host, port) {
      try {
        return await app.listen({ host, port });
      } catch (cause) {
        throw new Fault(
          'configuration-invalid',
          `http: cannot listen on ${host}:${port} (${(cause as NodeJS.ErrnoException).code ?? cause})`,
          {
            cause,
            issues: [{ path: 'http.port', message: 'choose a free port, or 0 for any' }],
          },
        );
      }
    },
    stop: () => app.close(),
  };
}

function routes(scope: FastifyInstance, view: HttpView): void {
  const app = scope.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/health',
    { schema: { summary: 'Health of node, domains and workloads', response: { 200: Health, 503: Health } } },
    async (_, reply) => {
      const status = view.status();
      reply.status(status.health === 'unhealthy' ? 503 : 200);
      return {
        status: status.health,
        instance: status.instance,
        phase: status.phase,
        hub: view.hub(),
        leaf: { connected: view.leafConnected() },
        limits: status.limits,
        conditions: status.conditions,
        domains: Object.fromEntries(view.domains().map(({ domain, status }) => [domain, status])),
        workloads: {
          total: status.workloads.length,
          ready: status.workloads.filter(({ state }) => state === 'ready').length,
          failed: status.workloads.filter(({ state }) => state === 'failed' || state === 'quarantined').length,
        },
      };
    },
  );
  const Alive = z.object({ status: z.literal('alive') });
  app.get('/health/live', { schema: { summary: 'Answers as long as the daemon turns', response: { 200: Alive } } }, () => ({
    status: 'alive' as const,
  }));
  const Ready = z.object({ ready: z.boolean(), detail: z.string() });
  app.get(
    '/health/ready',
    { schema: { summary: 'Whether calls can be served', response: { 200: Ready, 503: Ready } } },
    async (_, reply) => {
      const { phase } = view.status();
      const ready = phase === 'running' && view.leafConnected();
      const detail = ready ? 'serving' : phase === 'running' ? 'the leaf is not connected' : `the node is ${phase}`;
      reply.status(ready ? 200 : 503);
      return { ready, detail };
    },
  );
  app.get('/metrics', { schema: { summary: 'Prometheus metrics', response: { 200: z.string() } } }, async (_, reply) => {
    const { contentType, text } = await view.metrics();
    return reply.header('content-type', contentType).send(text);
  });
  app.get('/api/v1/status', { schema: { summary: 'Everything the node says of itself', response: { 200: NodeStatus } } }, () =>
    view.status(),
  );
  app.get(
    '/api/v1/workloads',
    { schema: { summary: 'Workloads and their state', response: { 200: z.object({ workloads: z.array(WorkloadStatus) }) } } },
    () => ({ workloads: view.status().workloads }),
  );
  app.get(
    '/api/v1/domains',
    { schema: { summary: 'Domains and their health', response: { 200: z.object({ domains: z.array(DomainHealth) }) } } },
    () => ({ domains: [...view.domains()] }),
  );
  app.get(
    '/api/v1/domains/:domain/health',
    {
      schema: {
        summary: 'Health of one domain',
        params: z.object({ domain: z.string().max(63) }),
        response: { 200: DomainHealth, 503: DomainHealth },
      },
    },
    async (request, reply) => {
      const found = view.domains().find(({ domain }) => domain === request.params.domain);
      if (!found || found.status === 'disabled') {
        const known = view.domains().map(({ domain }) => domain);
        throw new Fault(
          'not-found',
          `domain "${request.params.domain}" is not switched on here; switched on: ${known.join(', ') || 'none'}`,
        );
      }
      reply.status(found.status === 'unhealthy' ? 503 : 200);
      return found;
    },
  );
  const { debug } = view;
  if (debug !== undefined) {
    const Session = z.object({ workload: z.string(), ws: z.string(), devtools: z.string() });
    app.post(
      '/api/v1/debug/:workload',
      {
        schema: {
          summary: 'An inspector on a workload; only where sandbox.debug is set',
          params: z.object({ workload: z.string().max(100) }),
          // No page may send it across origins without asking first, and nobody here says yes.
          headers: z.object({ 'x-cim-debug': z.literal('1') }),
          response: { 200: Session },
        },
      },
      (request) => debug(request.params.workload),
    );
  }
  app.get('/openapi.json', { schema: { hide: true } }, () => scope.swagger());
}
