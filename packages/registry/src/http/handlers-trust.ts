/** Trust, the transparency log and provenance over HTTP. */
import type { ProvenanceShelf } from '../provenance.ts';
import type { Transparency } from '../transparency.ts';
import type { TrustDesk } from '../trust.ts';
import { type App, actorOf, at } from './app.ts';
import { LINES_MEDIA_TYPE, MOST_ENTRIES } from './routes-access.ts';
import { trustRoutes } from './routes-trust.ts';

export interface TrustRooms {
  readonly trust: TrustDesk;
  readonly transparency: Transparency;
  readonly provenance: ProvenanceShelf;
}

export function trustHandlers(app: App, { trust, transparency, provenance }: TrustRooms): void {
  app.route({ ...at(trustRoutes.trust), handler: async () => trust.get() });
  app.route({
    ...at(trustRoutes.putTrust),
    handler: async (request) => trust.put(request.body, request.query.dryRun === 'true', actorOf(request)),
  });
  app.route({
    ...at(trustRoutes.log),
    async handler({ query }, reply) {
      const entries = await transparency.read(Number(query.after ?? 0), Number(query.limit ?? MOST_ENTRIES));
      const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
      return reply
        .type(LINES_MEDIA_TYPE)
        .serializer(String)
        .send(lines as never);
    },
  });
  app.route({
    ...at(trustRoutes.logHead),
    handler: async () => ({ head: (await transparency.head()) ?? null, key: transparency.key ?? null }),
  });
  app.route({
    ...at(trustRoutes.provenance),
    handler: async ({ params: { name, version } }) => provenance.get(name, version),
  });
  app.route({
    ...at(trustRoutes.putProvenance),
    handler: async (request) => provenance.put(request.params.name, request.params.version, request.body, actorOf(request)),
  });
}
