/**
 * All that the registry counts: names begin with `cim_registry_`, base units, labels bounded (routes as declared, never a name or id
 * a caller chose).
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface Metrics {
  request(route: string, method: string, status: number, seconds: number): void;
  published(created: boolean, bytes: number): void;
  desiredWrite(outcome: 'written' | 'conflict'): void;
  sseDropped(reason: string): void;
  audited(outcome: string): void;
  swept(count: number): void;
  text(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** Read when somebody scrapes. */
export interface Observed {
  readonly version: string;
  readonly nodeVersion: string;
  readonly presence: () => Readonly<Record<'online' | 'unknown', number>>;
  readonly natsConnected: () => boolean;
  readonly sseClients: () => number;
  readonly eventsWaiting: () => number;
  readonly eventsRefused: () => number;
  readonly auditOpen: () => number;
  /** ms since 1970; undefined without TLS. */
  readonly certificateExpiresAt: () => number | undefined;
}

export function createMetrics(observed: Observed): Metrics {
  const registry = new Registry();
  // Event-loop delay, memory, garbage collection, open handles.
  collectDefaultMetrics({ register: registry, prefix: 'cim_registry_' });
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `cim_registry_${name}`,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });

  new Gauge({
    name: 'cim_registry_build_info',
    help: 'Version of the registry and of Node; always 1.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version: observed.version, node: observed.nodeVersion }, 1);
  new Gauge({
    name: 'cim_registry_nodes',
    help: 'Instances by presence.',
    labelNames: ['presence'],
    registers,
    collect() {
      for (const [presence, count] of Object.entries(observed.presence())) this.set({ presence }, count);
    },
  });
  gauge('nats_connected', '1 while the hub answers.', () => (observed.natsConnected() ? 1 : 0));
  gauge('sse_clients', 'Open event streams.', observed.sseClients);
  gauge('events_waiting', 'Events the hub has not kept yet.', observed.eventsWaiting);
  gauge('events_refused', 'Messages in the stream of events that were no events.', observed.eventsRefused);
  gauge('audit_open', 'Changes whose outcome is not in the audit log yet.', observed.auditOpen);
  new Gauge({
    name: 'cim_registry_certificate_expiry_seconds',
    help: 'When the certificate that is served ends, seconds since 1970; absent without TLS.',
    registers,
    collect() {
      const at = observed.certificateExpiresAt();
      if (at === undefined) this.remove();
      else this.set(Math.floor(at / 1000));
    },
  });
  const audited = new Counter({
    name: 'cim_registry_audit_outcomes_total',
    help: 'Outcomes written to the audit log.',
    labelNames: ['outcome'],
    registers,
  });
  const requests = new Histogram({
    name: 'cim_registry_http_request_seconds',
    help: 'Time from request to the end of the answer.',
    labelNames: ['route', 'method', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const publishes = new Counter({
    name: 'cim_registry_publishes_total',
    help: 'Publishes taken; created="false" where the same bytes were published before.',
    labelNames: ['created'],
    registers,
  });
  const bytes = new Counter({ name: 'cim_registry_publish_bytes_total', help: 'Bytes of bundles taken.', registers });
  const writes = new Counter({
    name: 'cim_registry_desired_writes_total',
    help: 'Writes of desired documents by outcome.',
    labelNames: ['outcome'],
    registers,
  });
  const dropped = new Counter({
    name: 'cim_registry_sse_dropped_total',
    help: 'Event streams ended by the registry, by reason.',
    labelNames: ['reason'],
    registers,
  });
  const swept = new Counter({
    name: 'cim_registry_swept_total',
    help: 'Objects and loose chunks collected after interrupted publishes.',
    registers,
  });

  return {
    request: (route, method, status, seconds) => requests.observe({ route, method, status: String(status) }, seconds),
    published(created, size) {
      publishes.inc({ created: String(created) });
      bytes.inc(size);
    },
    desiredWrite: (outcome) => writes.inc({ outcome }),
    sseDropped: (reason) => dropped.inc({ reason }),
    audited: (outcome) => audited.inc({ outcome }),
    swept: (count) => swept.inc(count),
    text: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  };
}
