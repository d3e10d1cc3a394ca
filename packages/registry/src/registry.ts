/**
 * The registry, put together. Stateless: everything it knows is in the hub's JetStream, so that any number of them stand side by side.
 *
 * Table of contents:
 *   store/     the hub: connection, keys, views, objects, events, topology
 *   auth, token-file, tokens, certificates                   who asks
 *   catalog, publish, sweep        bundles
 *   desired    what should run     fleet                     what does run
 *   events     what happened       announce                  what we say of it
 *   audit      what was changed, by whom and why
 *   health, metrics                http/                     the API
 */
import { type Clock, type KvRow, type Logger, type Part, startParts, topology } from '@cim/contracts';
import { createAnnouncer } from './announce.ts';
import { createAudit } from './audit.ts';
import { catalogRow, createCatalog } from './catalog.ts';
import type { Settings } from './config.ts';
import { createDesired, desiredRow } from './desired.ts';
import { createIdentities } from './enrol/identities.ts';
import { createIssuer } from './enrol/issuer.ts';
import { createEvents } from './events.ts';
import { createFleet, nodeRow } from './fleet.ts';
import { createHealth } from './health.ts';
import { createHttpServer } from './http/server.ts';
import { createTlsFiles } from './http/tls.ts';
import { createMetrics } from './metrics.ts';
import { createProvenanceShelf } from './provenance.ts';
import { createPublish } from './publish.ts';

import { createBucket } from './store/bucket.ts';
import { createChainLog } from './store/chain-log.ts';
import { createEventLog } from './store/event-log.ts';
import { createHub } from './store/hub.ts';
import { createObjects } from './store/objects.ts';
import { createReaders } from './store/readers.ts';
import { createTopologyKeeper } from './store/topology-keeper.ts';
import { createView } from './store/view.ts';
import { sweep } from './sweep.ts';
import { createTokenBook } from './token-file.ts';
import { createTokens, tokenRow } from './tokens.ts';
import { createTransparency, logSigner } from './transparency.ts';
import { createTrustDesk } from './trust.ts';
import { version } from './version.ts';

export interface RegistryOptions {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Version of Node, for the metrics. */
  readonly nodeVersion: string;
}

export interface RunningRegistry {
  readonly url: string;
  /** Takes no more, lets what is under way end, drains. Late or failed parts are logged. */
  stop(): Promise<void>;
}

/** All of a stop, ms. */
export const STOP_DEADLINE_MS = 15_000;
const HTTP_CLOSE_MS = 10_000;
const RESYNC_MS = 60_000;
/** How long a start waits for the hub before it says that the API is up; it goes on trying anyway. */
const FIRST_CONTACT_MS = 5_000;

/** Resolves when the API is up. @throws Fault `configuration-invalid` when a file or the port cannot be had */
export async function startRegistry({ settings, clock, random, log, nodeVersion }: RegistryOptions): Promise<RunningRegistry> {
  const hub = createHub({ clock, random, log, config: settings.nats, domain: settings.nats.domain });
  const keeper = createTopologyKeeper({ clock, log, hub, settings: settings.topology });
  const book = createTokenBook({ clock, log, file: settings.tokensFile });
  const tls = settings.http.tls && createTlsFiles({ clock, log, tls: settings.http.tls });
  const objects = createObjects(hub, clock, topology.bundles);
  const eventLog = createEventLog(hub, clock, topology.fleetEvents);
  const view = { clock, random, log, hub, resyncMs: RESYNC_MS };
  const views = {
    catalog: createView({ ...view, row: topology.catalog, decode: catalogRow, gone: 'drop' }),
    desired: createView({ ...view, row: topology.desired, decode: desiredRow, gone: 'drop' }),
    nodes: createView({ ...view, row: topology.nodes, decode: nodeRow, gone: 'keep' }),
    tokens: createView({ ...view, row: topology.tokens, decode: tokenRow, gone: 'drop' }),
  };
  const bucket = ({ name, maxValueBytes }: KvRow) => createBucket(hub, name, maxValueBytes);
  const buckets = {
    catalog: bucket(topology.catalog),
    desired: bucket(topology.desired),
    tokens: bucket(topology.tokens),
    trust: bucket(topology.trust),
    identities: bucket(topology.identities),
  };
  const announce = createAnnouncer({ clock, random, log, append: eventLog.append });
  const audit = createAudit({
    clock,
    random,
    log,
    announce,
    chain: (about) => createChainLog({ clock, hub, ...about }),
    buckets: Object.values(buckets),
    counted: (outcome) => metrics.audited(outcome),
  });
  const tokens = createTokens({ clock, bucket: buckets.tokens, view: views.tokens, audit });
  const issuer = createIssuer(settings.identity);
  const identities = createIdentities({ clock, bucket: buckets.identities, audit, issuer });
  const transparency = createTransparency({
    log,
    signer: logSigner(settings.transparency.seedFile),
    chain: (about) => createChainLog({ clock, hub, ...about }),
  });
  const trust = createTrustDesk({ clock, bucket: buckets.trust, audit, transparency, roots: settings.trust });
  const catalog = createCatalog({ clock, bucket: buckets.catalog, view: views.catalog, audit, transparency });
  const provenance = createProvenanceShelf({ bucket: buckets.catalog, catalog, audit, trust });
  const fleet = createFleet({ clock, nodes: views.nodes, desired: views.desired });
  const events = createEvents({ clock, random, log, events: eventLog });
  let sseClients = 0;
  const metrics = createMetrics({
    version,
    nodeVersion,
    presence: fleet.presence,
    natsConnected: () => hub.current() !== undefined,
    sseClients: () => sseClients,
    eventsWaiting: announce.waiting,
    auditOpen: () => audit.facts().open,
    certificateExpiresAt: () => tls?.expiresAt(),
    eventsRefused: eventLog.refused,
  });
  const desired = createDesired({
    bucket: buckets.desired,
    view: views.desired,
    catalog,
    audit,
    clock,
    trust,
    counted: metrics.desiredWrite,
  });
  const publish = createPublish({
    clock,
    catalog,
    objects,
    trust,
    transparency,
    maxBundle: settings.limits.maxBundle,
    counted: metrics.published,
  });
  const health = createHealth(clock, () => {
    const applied = keeper.applied();
    return {
      hub: hub.trouble(),
      drift: applied?.drift ?? [],
      failed: applied?.failed ?? [],
      applied: applied !== undefined,
      tokens: book.trouble(),
      tls: tls?.trouble(),
      tlsEndsAt: tls?.expiresAt(),
      audit: audit.facts().trouble,
      log: transparency.trouble(),
      stale: Object.entries(views).flatMap(([name, one]) => (one.live() ? [] : [name])),
      eventsWaiting: announce.waiting(),
      insecure: settings.nats.insecureDev === true,
      hubVersion: hub.current()?.connection.info?.version,
    };
  });
  const http = await createHttpServer({
    clock,
    log,
    settings,
    book,
    tls,
    metrics,
    access: { tokens, audit },
    trust: { trust, transparency, provenance },
    identity: { identities, perMinute: settings.identity?.perMinute ?? 0 },
    catalog: { catalog, publish, objects },
    state: {
      desired,
      fleet,
      events,
      sseClients: (count) => {
        sseClients = count;
      },
    },
    process: { health, version },
  });

  let url = '';
  const sweeping = new AbortController();
  const parts: Part[] = [
    { name: 'token file', start: book.start, stop: async () => book.stop() },
    ...(tls ? [{ name: 'certificates', start: tls.start, stop: async () => tls.stop() }] : []),
    { name: 'hub', start: hub.start, stop: hub.stop },
    begun('topology', keeper),
    { name: 'announcements', start: async () => {}, stop: (deadline) => announce.stop(Math.min(deadline, 3_000)) },
    begun('audit', audit),
    begun('view of the catalog', views.catalog),
    begun('view of desired documents', views.desired),
    begun('view of nodes', views.nodes),
    begun('view of tokens', views.tokens),
    begun('events', events),
    begun('readers of nodes', createReaders({ clock, log, hub })),
    {
      name: 'http',
      async start() {
        url = await http.listen();
      },
      stop: (deadline) => http.close(Math.min(deadline, HTTP_CLOSE_MS)),
    },
    {
      name: 'first contact',
      async start() {
        if (!(await keeper.settled(FIRST_CONTACT_MS))) log.warn({}, 'the API is up, the hub is not; trying on');
        void sweepOnce(sweeping.signal);
      },
      stop: async () => sweeping.abort(),
    },
  ];
  const sweepOnce = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      try {
        if (await keeper.settled(FIRST_CONTACT_MS)) return metrics.swept(await sweep(clock, log, objects, catalog.digests));
      } catch (error) {
        log.warn({ error: String(error) }, 'what interrupted publishes left could not be collected, trying on');
        await clock.sleep(60_000, signal).catch(() => {});
      }
    }
  };
  const running = await startParts(clock, parts);
  log.info({ url, version }, 'the registry is up');
  return {
    url,
    async stop() {
      const { late, failed } = await running.stop(STOP_DEADLINE_MS);
      if (late.length > 0 || failed.length > 0)
        log.warn(
          { late, failed: failed.map(({ name, error }) => `${name}: ${String(error)}`) },
          'not everything ended in time',
        );
      log.info({}, 'the registry has stopped');
    },
  };
}

/** A room that is begun at once and ended with its own promise. */
const begun = (name: string, room: { start(): void; stop(): Promise<void> }): Part => ({
  name,
  start: async () => room.start(),
  stop: () => room.stop(),
});
