/**
 * The fleet as it was last heard of: what every node says of itself, beside what is asked of it.
 *
 * Promises:
 * F1. A node whose heartbeat is gone is `unknown`, never dead: its last words are shown with their age.
 * F2. `converged` is true only when the node has said so about this very generation, and is still heard.
 */
import {
  type Clock,
  type DesiredRecord,
  decodeJson,
  Fault,
  type InstanceId,
  NodeStatus,
  topology,
  type WorkloadKind,
  type WorkloadName,
  type WorkloadStatus,
} from '@cim/contracts';
import type { BucketView, Held } from './store/view.ts';

export type Presence = 'online' | 'unknown';

export interface NodeView {
  readonly instance: InstanceId;
  readonly presence: Presence;
  /** Age of the status in seconds; null when none was ever heard. */
  readonly ageSeconds: number | null;
  readonly status: NodeStatus | null;
}

export interface WorkloadView {
  readonly instance: InstanceId;
  readonly kind: WorkloadKind;
  readonly name: WorkloadName;
  readonly presence: Presence;
  readonly desired: {
    readonly version: DesiredRecord['document']['bundle']['version'];
    readonly digest: DesiredRecord['document']['bundle']['digest'];
    readonly replicas: number;
    readonly generation: number;
    readonly state: 'running' | 'removed';
    readonly revision: number;
  } | null;
  readonly observed: WorkloadStatus | null;
  readonly converged: boolean;
}

export interface Fleet {
  nodes(): Promise<NodeView[]>;
  /** @throws Fault `instance-unknown` */
  node(instance: string): Promise<NodeView>;
  workloads(instance?: string): Promise<WorkloadView[]>;
  /** How many are online and unknown, by what is known now. */
  presence(): Readonly<Record<Presence, number>>;
}

/** A node may write its own key alone; what lies there must not speak for another. @throws Fault when the value is no status of it */
export function nodeRow(key: string, bytes: Uint8Array): NodeStatus {
  const status = decodeJson(NodeStatus, bytes, key);
  if (status.instance === key) return status;
  throw new Fault('invalid-input', `${key}: instance: expected "${key}" as in the key, found "${status.instance}"`);
}

export interface FleetDeps {
  readonly clock: Clock;
  readonly nodes: BucketView<NodeStatus>;
  readonly desired: BucketView<DesiredRecord>;
}

export function createFleet({ clock, nodes, desired }: FleetDeps): Fleet {
  const now = () => nodeViews(nodes.entries(), desired.entries(), clock.now());
  const fresh = async () => {
    await Promise.all([nodes.fresh(), desired.fresh()]);
    return now();
  };
  return {
    nodes: fresh,
    async node(instance) {
      const found = (await fresh()).find((node) => node.instance === instance);
      if (!found) throw new Fault('instance-unknown', `no instance "${instance}" has been heard of`);
      return found;
    },
    async workloads(instance) {
      const views = await fresh();
      return workloadViews(views, desired.entries()).filter((view) => instance === undefined || view.instance === instance);
    },
    presence() {
      const counts = { online: 0, unknown: 0 };
      for (const { presence } of now()) counts[presence]++;
      return counts;
    },
  };
}

type Desireds = ReadonlyMap<string, Held<DesiredRecord>>;

/** Pure. @param now ms since 1970 */
export function nodeViews(nodes: ReadonlyMap<string, Held<NodeStatus>>, desired: Desireds, now: number): NodeView[] {
  const views = new Map<string, NodeView>();
  for (const { value: record } of desired.values()) {
    const { instance } = record.document;
    views.set(instance, { instance, presence: 'unknown', ageSeconds: null, status: null });
  }
  for (const [key, { value: status, storedAt, gone }] of nodes) {
    const ageMs = Math.max(0, now - storedAt);
    views.set(key, {
      instance: status.instance,
      presence: !gone && ageMs <= topology.nodes.ttlMs ? 'online' : 'unknown',
      ageSeconds: Math.round(ageMs / 100) / 10,
      status,
    });
  }
  return [...views.values()].sort((a, b) => (a.instance < b.instance ? -1 : 1));
}

/** Pure. */
export function workloadViews(nodes: readonly NodeView[], desired: Desireds): WorkloadView[] {
  const views = new Map<string, WorkloadView>();
  const presences = new Map(nodes.map(({ instance, presence }) => [instance as string, presence]));
  for (const { instance, presence, status } of nodes) {
    for (const observed of status?.workloads ?? []) {
      const { kind, name } = observed;
      views.set(`${instance}.${kind}.${name}`, { instance, kind, name, presence, desired: null, observed, converged: false });
    }
  }
  for (const [key, { value, revision }] of desired) {
    const { instance, kind, name, bundle, replicas, generation, state } = value.document;
    const presence = presences.get(instance) ?? 'unknown';
    const observed = views.get(key)?.observed ?? null;
    const asked = { version: bundle.version, digest: bundle.digest, replicas, generation, state, revision };
    // A removed workload the node no longer speaks of is as it should be.
    const settled = observed === null ? state === 'removed' : observed.converged && observed.generation === generation;
    views.set(key, { instance, kind, name, presence, desired: asked, observed, converged: presence === 'online' && settled });
  }
  return [...views].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, view]) => view);
}
