/** The process itself over HTTP: health, metrics, who asks, and the description of the API. */
import type { Health } from '../health.ts';
import type { Metrics } from '../metrics.ts';
import { type App, at } from './app.ts';
import { isHere } from './gate.ts';
import { routes } from './routes.ts';

export interface ProcessRooms {
  readonly health: () => Health;
  readonly metrics: Metrics;
  readonly version: string;
}

export function processHandlers(app: App, { health, metrics, version }: ProcessRooms): void {
  app.route({
    ...at(routes.health),
    async handler(request, reply) {
      const found = health();
      const { status, hub, ready } = found;
      // Details name files, streams and errors of this machine: not for strangers.
      const told = request.caller !== undefined || isHere(request);
      const conditions = told ? found.conditions : found.conditions.map((one) => ({ ...one, detail: one.title }));
      return reply.status(status === 'unhealthy' ? 503 : 200).send({ status, hub, ready, version, conditions });
    },
  });
  app.route({ ...at(routes.live), handler: async () => ({ live: true as const }) });
  app.route({
    ...at(routes.ready),
    async handler(_, reply) {
      const { ready } = health();
      return reply.status(ready ? 200 : 503).send({ ready });
    },
  });
  app.route({
    ...at(routes.metrics),
    async handler(_, reply) {
      const { contentType, text } = await metrics.text();
      return reply.type(contentType).serializer(String).send(text);
    },
  });
  app.route({
    ...at(routes.whoami),
    async handler({ caller }) {
      const { name, roles, scope, expiresAt } = caller!;
      return { name, roles, ...(scope === undefined ? {} : { scope }), ...(expiresAt === undefined ? {} : { expiresAt }) };
    },
  });
  let description: string | undefined;
  app.route({
    ...at(routes.openapi),
    async handler(_, reply) {
      description ??= JSON.stringify(app.swagger());
      return reply
        .type('application/json')
        .serializer(String)
        .send(description as never);
    },
  });
}
