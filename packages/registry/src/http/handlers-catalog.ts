/** Publishing and finding bundles over HTTP. */
import type { IncomingMessage } from 'node:http';
import { type Clock, decodeJson, Envelope, Fault } from '@cim/contracts';
import { withinScope } from '../auth.ts';
import type { Catalog } from '../catalog.ts';
import type { Publish } from '../publish.ts';
import type { Objects } from '../store/objects.ts';
import { type App, actorOf, at } from './app.ts';
import { BUNDLE_MEDIA_TYPE, routes } from './routes.ts';

export interface CatalogRooms {
  readonly clock: Clock;
  readonly catalog: Catalog;
  readonly publish: Publish;
  readonly objects: Objects;
}

/** Longest pause in an upload, ms. */
const QUIET_MS = 30_000;
/** Slowest upload, once it has had a while to begin, bytes a second: less is somebody who holds a lane and sends nothing to speak of. */
const SLOWEST = 8 * 1024;
const BEGINNING_MS = 60_000;

export function catalogHandlers(app: App, { clock, catalog, publish, objects }: CatalogRooms): void {
  app.route({
    ...at(routes.publish),
    async handler(request, reply) {
      const body = request.raw;
      try {
        if (request.body !== body) {
          const message = `expected ${BUNDLE_MEDIA_TYPE}, found ${request.headers['content-type'] ?? 'none'}`;
          throw new Fault('invalid-input', `header.content-type: ${message}`, {
            issues: [{ path: 'header.content-type', message }],
          });
        }
        const length = request.headers['content-length'];
        const published = await publish({
          envelope: envelopeOf(request.headers['cim-envelope']),
          contentLength: length === undefined ? undefined : Number(length),
          body: arriving(body, clock),
          channel: request.query.channel,
          actor: actorOf(request),
        });
        return reply.status(published.created ? 201 : 200).send(published);
      } finally {
        // What was refused early is still on its way: it is let run out, so that the answer reaches a client that is sending.
        if (!body.readableEnded) body.resume();
      }
    },
  });

  app.route({
    ...at(routes.bytes),
    async handler({ params: { digest }, caller }, reply) {
      if (caller?.scope?.workloads && !(await catalog.namesOf(digest)).some((workload) => withinScope(caller, { workload })))
        throw new Fault('not-found', `there are no bytes ${digest}`);
      const { size, bytes } = await objects.open(digest);
      reply.header('content-length', size).header('etag', `"${digest}"`);
      return reply.type(BUNDLE_MEDIA_TYPE).send(bytes as never);
    },
  });

  app.route({
    ...at(routes.catalog),
    async handler({ caller }) {
      return { bundles: (await catalog.list()).filter(({ name }) => withinScope(caller, { workload: name })) };
    },
  });
  app.route({ ...at(routes.catalogItem), handler: async ({ params }) => catalog.item(params.name) });
  app.route({ ...at(routes.resolve), handler: async ({ params, query }) => catalog.resolve(params.name, query.ref) });
  app.route({
    ...at(routes.setChannel),
    handler: async (request) =>
      catalog.setChannel(request.params.name, request.params.channel, request.body.version, actorOf(request)),
  });
}

/** @throws Fault `invalid-input` naming the header and the field in it */
function envelopeOf(header: string): Envelope {
  const issue = (path: string, message: string) => ({
    path: path === '(whole)' ? 'header.cim-envelope' : `header.cim-envelope.${path}`,
    message,
  });
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(header)) {
    const message = 'expected base64 of the JSON of a DSSE envelope';
    throw new Fault('invalid-input', `header.cim-envelope: ${message}`, { issues: [issue('(whole)', message)] });
  }
  try {
    return decodeJson(Envelope, Buffer.from(header, 'base64'), 'header.cim-envelope');
  } catch (error) {
    const fault = Fault.of(error);
    throw new Fault(fault.code, fault.detail, {
      cause: error,
      issues: fault.issues.map((one) => issue(one.path, one.message)),
    });
  }
}

/** The body as it comes; the request is not torn down when reading ends early, and not waited for when it falls silent. */
async function* arriving(body: IncomingMessage, clock: Clock): AsyncGenerator<Uint8Array> {
  const chunks = body.iterator({ destroyOnReturn: false });
  const begun = clock.monotonic();
  let bytes = 0;
  for (;;) {
    const quiet = clock.after(QUIET_MS, () => body.destroy(new Error(`nothing came for ${QUIET_MS / 1000} s`)));
    const { done, value } = await chunks.next().finally(() => quiet.cancel());
    if (done) return;
    bytes += (value as Uint8Array).length;
    const ms = clock.monotonic() - begun;
    if (ms > BEGINNING_MS && bytes < (ms / 1000) * SLOWEST)
      throw new Fault('request-incomplete', `the upload is slower than ${SLOWEST} bytes a second`);
    yield value as Uint8Array;
  }
}
