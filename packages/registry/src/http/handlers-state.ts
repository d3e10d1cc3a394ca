/** Desired documents, the fleet and its events over HTTP. */
import { type Clock, Fault, type Logger } from '@cim/contracts';
import type { DesiredStore, Expected } from '../desired.ts';
import { type EventFilter, type Events, filterSubject } from '../events.ts';
import type { Fleet } from '../fleet.ts';
import type { Metrics } from '../metrics.ts';
import type { Since } from '../store/event-log.ts';
import { type App, actorOf, at } from './app.ts';
import { serveEvents } from './event-stream.ts';
import { routes } from './routes.ts';

export interface StateRooms {
  readonly clock: Clock;
  readonly log: Logger;
  readonly desired: DesiredStore;
  readonly fleet: Fleet;
  readonly events: Events;
  readonly metrics: Metrics;
  /** Aborted when the registry stops: event streams end. */
  readonly stopping: AbortSignal;
  /** Told how many event streams are open. */
  readonly sseClients: (count: number) => void;
}

const DEFAULT_LIMIT = 100;
const MOST_STREAMS = 2_000;

export function stateHandlers(app: App, rooms: StateRooms): void {
  const { clock, desired, fleet, events, metrics } = rooms;

  app.route({ ...at(routes.desiredList), handler: async ({ query }) => ({ desired: await desired.list(compact(query)) }) });
  app.route({
    ...at(routes.desired),
    async handler({ params }, reply) {
      const stored = await desired.get(params);
      reply.header('etag', `"${stored.revision}"`);
      return stored;
    },
  });
  app.route({
    ...at(routes.putDesired),
    async handler(request, reply) {
      const stored = await desired.put({
        id: request.params,
        record: request.body,
        expected: expectedOf(request.headers['if-match'], request.headers['if-none-match']),
        dryRun: request.query.dryRun === 'true',
        actor: actorOf(request),
      });
      reply.header('etag', `"${stored.revision}"`);
      return stored;
    },
  });

  app.route({ ...at(routes.nodes), handler: async () => ({ nodes: await fleet.nodes() }) });
  app.route({ ...at(routes.node), handler: async ({ params }) => fleet.node(params.instance) });
  app.route({
    ...at(routes.workloads),
    handler: async ({ query }) => ({ workloads: await fleet.workloads(query.instance) }),
  });

  app.route({
    ...at(routes.events),
    async handler({ query }) {
      const limit = query.limit === undefined ? DEFAULT_LIMIT : Number(query.limit);
      const found = await events.list(filterOf(query), sinceOf(query.since), limit);
      return { events: found.map(({ sequence, event }) => ({ sequence, event })) };
    },
  });

  let streams = 0;
  app.route({
    ...at(routes.eventStream),
    async handler(request, reply) {
      const filter = filterOf(request.query);
      filterSubject(filter);
      const wanted = sinceOf(request.headers['last-event-id'] ?? request.query.since);
      if (streams >= MOST_STREAMS) throw new Fault('overloaded', `${streams} event streams are open at this registry`);
      const since = await events.place(wanted);
      const headers = Object.fromEntries(Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)]));
      reply.hijack();
      rooms.sseClients(++streams);
      const { stopping } = rooms;
      try {
        const listening = { filter, since };
        const reason = await serveEvents({ clock, events, listening, response: reply.raw, headers, stopping });
        if (reason !== 'client-gone') metrics.sseDropped(reason);
        rooms.log.info({ requestId: request.id, by: request.caller?.name, reason }, 'an event stream ended');
      } finally {
        rooms.sseClients(--streams);
      }
    },
  });
}

/** Without keys that are undefined. */
const compact = <T extends object>(value: T) =>
  Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as { [K in keyof T]?: NonNullable<T[K]> };

const filterOf = ({ instance, pattern }: { instance?: string | undefined; pattern?: string | undefined }): EventFilter => ({
  instance,
  pattern,
});

const sinceOf = (text: string | undefined): Since | undefined =>
  text === undefined ? undefined : /^\d+$/.test(text) ? { after: Number(text) } : { time: Date.parse(text) };

/** @throws Fault `invalid-input` unless exactly one of the two is there */
function expectedOf(ifMatch: string | undefined, ifNoneMatch: string | undefined): Expected {
  if ((ifMatch === undefined) === (ifNoneMatch === undefined)) {
    const message =
      'expected either If-Match: "<revision>" or If-None-Match: *, so that nobody overwrites what they have not seen';
    throw new Fault('invalid-input', `header.if-match: ${message}`, { issues: [{ path: 'header.if-match', message }] });
  }
  return ifMatch === undefined ? { absent: true } : { revision: Number(ifMatch.slice(1, -1)) };
}
