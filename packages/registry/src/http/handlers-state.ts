/** Desired documents, the fleet and its events over HTTP. */
import { type Clock, Fault, type Logger } from '@cim/contracts';
import { type Caller, withinScope } from '../auth.ts';
import type { DesiredStore, Expected } from '../desired.ts';
import { type EventFilter, type Events, filterSubject } from '../events.ts';
import type { Fleet, NodeView } from '../fleet.ts';
import type { Metrics } from '../metrics.ts';
import type { Since, StoredEvent } from '../store/event-log.ts';
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

  app.route({
    ...at(routes.desiredList),
    async handler({ query, caller }) {
      const found = await desired.list(compact(query));
      return {
        desired: found.filter(({ record: { document } }) =>
          withinScope(caller, { workload: document.name, instance: document.instance }),
        ),
      };
    },
  });
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

  app.route({
    ...at(routes.nodes),
    handler: async ({ caller }) => ({ nodes: (await fleet.nodes()).flatMap((node) => visibleNode(caller, node)) }),
  });
  app.route({
    ...at(routes.node),
    handler: async ({ params, caller }) => visibleNode(caller, await fleet.node(params.instance))[0]!,
  });
  app.route({
    ...at(routes.workloads),
    async handler({ query, caller }) {
      const found = await fleet.workloads(query.instance);
      return { workloads: found.filter(({ name, instance }) => withinScope(caller, { workload: name, instance })) };
    },
  });

  app.route({
    ...at(routes.events),
    async handler({ query, caller }) {
      const limit = query.limit === undefined ? DEFAULT_LIMIT : Number(query.limit);
      const found = await events.list(filterOf(query), sinceOf(query.since), limit);
      const visible = found.filter((one) => visibleEvent(caller, one));
      return { events: visible.map(({ sequence, event }) => ({ sequence, event })) };
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
        const { caller } = request;
        const listening = { filter, since };
        const visible = (event: StoredEvent) => visibleEvent(caller, event);
        const reason = await serveEvents({ clock, events, listening, visible, response: reply.raw, headers, stopping });
        if (reason !== 'client-gone') metrics.sseDropped(reason);
        rooms.log.info({ requestId: request.id, by: request.caller?.name, reason }, 'an event stream ended');
      } finally {
        rooms.sseClients(--streams);
      }
    },
  });
}

/** A node as far as the caller may know of it: with the workloads of its scope, or not at all. */
function visibleNode(caller: Caller | undefined, node: NodeView): NodeView[] {
  if (!withinScope(caller, { instance: node.instance })) return [];
  if (!node.status || !caller?.scope?.workloads) return [node];
  const workloads = node.status.workloads.filter(({ name }) => withinScope(caller, { workload: name }));
  return [{ ...node, status: { ...node.status, workloads } }];
}

/** What the hub says of a workload is of that workload's instances; what a node says of itself is of no workload. */
function visibleEvent(caller: Caller | undefined, { event, subject }: StoredEvent): boolean {
  if (!caller?.scope) return true;
  const id = subject.split('.')[5];
  const instance = event.ciminstance === 'hub' ? hubInstance(event.data) : event.ciminstance;
  return withinScope(caller, { workload: id, instance });
}

const hubInstance = (data: unknown): string | undefined => {
  const instance = (data as { readonly instance?: unknown } | null)?.instance;
  return typeof instance === 'string' ? instance : undefined;
};

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
