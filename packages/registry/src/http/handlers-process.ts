/** The process itself over HTTP: health, metrics, who asks, and the description of the API. */
import type { Health } from '../health.ts';
import type { Metrics } from '../metrics.ts';
import { type App, at } from './app.ts';
import { routes } from './routes.ts';

export interface ProcessRooms {
  readonly health: () => Health;
  readonly metrics: Metrics;
  readonly version: string;
}

export function processHandlers(app: App, { health, metrics, version }: ProcessRooms): void {
  app.route({
    ...at(routes.health),
    async handler(_, reply) {
      const found = health();
      return reply.status(found.status === 'unhealthy' ? 503 : 200).send({ ...found, version });
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
    handler: async ({ caller }) => ({ name: caller!.name, roles: caller!.roles }),
  });
  let description: string | undefined;
  app.route({
    ...at(routes.openapi),
    async handler(_, reply) {
      description ??= JSON.stringify(app.swagger());
      return reply.type('application/json').serializer(String).send(description);
    },
  });
}
