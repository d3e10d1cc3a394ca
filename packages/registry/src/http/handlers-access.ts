/** Tokens and the audit log over HTTP. */
import type { Audit } from '../audit.ts';
import type { Tokens } from '../tokens.ts';
import { type App, actorOf, at } from './app.ts';
import { routes } from './routes.ts';
import { LINES_MEDIA_TYPE, MOST_ENTRIES } from './routes-access.ts';

export interface AccessRooms {
  readonly tokens: Tokens;
  readonly audit: Audit;
}

export function accessHandlers(app: App, { tokens, audit }: AccessRooms): void {
  app.route({ ...at(routes.tokens), handler: async () => ({ tokens: await tokens.list() }) });
  app.route({
    ...at(routes.createToken),
    async handler(request, reply) {
      const { token, view } = await tokens.create(request.body, actorOf(request));
      return reply.status(201).send({ ...view, token });
    },
  });
  app.route({
    ...at(routes.revokeToken),
    handler: async (request) => tokens.revoke(request.params.id, actorOf(request)),
  });
  app.route({
    ...at(routes.audit),
    async handler({ query }, reply) {
      const entries = await audit.read(Number(query.after ?? 0), Number(query.limit ?? MOST_ENTRIES));
      const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
      return reply
        .type(LINES_MEDIA_TYPE)
        .serializer(String)
        .send(lines as never);
    },
  });
  app.route({
    ...at(routes.auditHead),
    handler: async () => ({ head: (await audit.head()) ?? null, open: audit.facts().open }),
  });
}
