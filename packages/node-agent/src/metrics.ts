/**
 * All that the node-agent counts, in one place: names, units and help. prom-client keeps it; `/metrics` shows it.
 * Names: `cim_` prefix, base units, bounded labels (never a call, message or run id).
 */
import type { WorkloadStatus } from '@cim/contracts';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { countCalls } from './call-metrics.ts';

export interface Metrics {
  readonly registry: Registry;
  call(kind: string, workload: string, outcome: string, seconds: number): void;
  /** A metric of a workload's own. @returns false when it was dropped (and counted) for its name or for one name too many */
  ofWorkload(kind: 'counter' | 'gauge' | 'histogram', workload: string, name: string, value: number): boolean;
  event(type: string): void;
  reconcile(seconds: number): void;
}

/** What is read when somebody scrapes. */
export interface Observed {
  readonly workloads: () => readonly WorkloadStatus[];
  readonly cells: () => readonly {
    readonly rssBytes: number;
    readonly cpuMs: number;
    readonly isolates: number;
    readonly publisher: string | undefined;
  }[];
  readonly hubReachable: () => boolean;
  readonly leafConnected: () => boolean;
  readonly reconnects: () => number;
  readonly events: { lag(): number | undefined; dropped(): number };
  readonly health: () => string;
  readonly heartbeatAgeSeconds: () => number | undefined;
  /** Seconds since 1970; undefined where there is no credential, or no end to it. */
  readonly credentialsEnd: () => number | undefined;
  /** Metrics of its own one workload may have. */
  readonly metricNames: number;
  readonly info: Readonly<Record<'instance' | 'version' | 'limits' | 'location', string>>;
}

export function createMetrics(observed: Observed): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: 'cim_process_' });
  const events = new Counter({
    name: 'cim_events_total',
    help: 'Events this instance emitted, by type.',
    labelNames: ['type'],
    registers,
  });
  new Counter({
    name: 'cim_workload_restarts_total',
    help: 'Restarts of replicas since the workload came to this node-agent.',
    labelNames: ['kind', 'workload'],
    registers,
    collect() {
      this.reset();
      for (const { kind, name, restarts } of observed.workloads()) this.inc({ kind, workload: name }, restarts);
    },
  });
  const reconciles = new Histogram({
    name: 'cim_node_reconcile_duration_seconds',
    help: 'Time of one round of the reconciler.',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers,
  });
  const counted = new Counter({
    name: 'cim_workload_count_total',
    help: 'Counters of the workloads themselves (ctx.metrics.increment).',
    labelNames: ['workload', 'name'],
    registers,
  });
  const gauged = new Gauge({
    name: 'cim_workload_gauge',
    help: 'Gauges of the workloads themselves (ctx.metrics.gauge).',
    labelNames: ['workload', 'name'],
    registers,
  });
  const measured = new Histogram({
    name: 'cim_workload_observation',
    help: 'Observations of the workloads themselves (ctx.metrics.observe).',
    labelNames: ['workload', 'name'],
    buckets: [0.001, 0.01, 0.1, 1, 10, 100, 1000],
    registers,
  });
  const refused = new Counter({
    name: 'cim_workload_metrics_refused_total',
    help: 'Metrics of workloads dropped for a bad or a surplus name.',
    labelNames: ['workload'],
    registers,
  });
  const gauge = (name: string, help: string, read: (gauge: Gauge) => void, labelNames: string[] = []) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        read(this);
      },
    });
  gauge('cim_node_up', '1 while the node-agent runs.', (g) => g.set(1));
  gauge('cim_node_info', 'What this is.', (g) => g.set({ ...observed.info }, 1), Object.keys(observed.info));
  gauge('cim_node_health', '1 for the health the node is in.', (g) => g.set({ health: observed.health() }, 1), ['health']);
  gauge('cim_hub_reachable', '1 while the hub answers.', (g) => g.set(observed.hubReachable() ? 1 : 0));
  gauge('cim_leaf_connected', '1 while the node-agent is connected to its leaf.', (g) =>
    g.set(observed.leafConnected() ? 1 : 0),
  );
  gauge('cim_leaf_reconnects', 'Times the leaf was found again.', (g) => g.set(observed.reconnects()));
  gauge('cim_event_lag', 'Events at the leaf the hub has not acknowledged.', (g) => {
    const lag = observed.events.lag();
    if (lag !== undefined) g.set(lag);
  });
  gauge('cim_events_dropped', 'Events lost while the leaf was away.', (g) => g.set(observed.events.dropped()));
  gauge('cim_credentials_expiry_timestamp_seconds', "When the leaf's credential ends, seconds since 1970.", (g) => {
    const end = observed.credentialsEnd();
    if (end !== undefined) g.set(end);
  });
  gauge('cim_node_heartbeat_age_seconds', 'Age of the last heartbeat the hub acknowledged.', (g) => {
    const age = observed.heartbeatAgeSeconds();
    if (age !== undefined) g.set(age);
  });
  gauge(
    'cim_workload_state',
    '1 for the state each workload is in.',
    (g) => {
      for (const { kind, name, state } of observed.workloads()) g.set({ kind, workload: name, state }, 1);
    },
    ['kind', 'workload', 'state'],
  );
  gauge(
    'cim_workload_replicas',
    'Replicas: desired, ready, and passive among the ready (idle, memory given back).',
    (g) => {
      for (const {
        name,
        replicas: { desired, ready, passive = 0 },
      } of observed.workloads()) {
        g.set({ workload: name, what: 'desired' }, desired);
        g.set({ workload: name, what: 'ready' }, ready);
        g.set({ workload: name, what: 'passive' }, passive);
      }
    },
    ['workload', 'what'],
  );
  gauge(
    'cim_workload_in_flight',
    'Calls in flight.',
    (g) => {
      for (const { name, calls } of observed.workloads()) g.set({ workload: name }, calls.inFlight);
    },
    ['workload'],
  );
  gauge(
    'cim_cells',
    'Cells, in use and spare.',
    (g) => {
      const cells = observed.cells();
      g.set({ what: 'used' }, cells.filter(({ publisher }) => publisher !== undefined).length);
      g.set({ what: 'spare' }, cells.filter(({ publisher }) => publisher === undefined).length);
    },
    ['what'],
  );
  gauge('cim_cells_resident_bytes', 'Resident memory of all cells.', (g) =>
    g.set(sum(observed.cells().map(({ rssBytes }) => rssBytes))),
  );
  gauge('cim_cells_cpu_seconds', 'Cpu time of the cells that live now.', (g) =>
    g.set(sum(observed.cells().map(({ cpuMs }) => cpuMs)) / 1000),
  );
  gauge('cim_isolates', 'Isolates that live now.', (g) => g.set(sum(observed.cells().map(({ isolates }) => isolates))));

  const namesOf = new Map<string, Set<string>>();
  return {
    registry,
    call: countCalls(registry),
    ofWorkload(kind, workload, name, value) {
      const names = namesOf.get(workload) ?? new Set();
      namesOf.set(workload, names);
      if (
        !/^[a-z][a-z0-9_]{0,62}$/.test(name) ||
        !Number.isFinite(value) ||
        (!names.has(name) && names.size >= observed.metricNames)
      ) {
        refused.inc({ workload });
        return false;
      }
      names.add(name);
      if (kind === 'counter') counted.inc({ workload, name }, Math.max(0, value));
      else if (kind === 'gauge') gauged.set({ workload, name }, value);
      else measured.observe({ workload, name }, value);
      return true;
    },
    event: (type) => events.inc({ type }),
    reconcile: (took) => reconciles.observe(took),
  };
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, next) => total + next, 0);
