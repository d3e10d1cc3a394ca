/**
 * Streams, buckets and object stores as data. Applied by the registry (hub) and by the node-agent (its own leaf) at start;
 * nothing on the data path creates or changes one.
 *
 * Promises:
 * P1. Where something of that name exists with other settings, the difference is reported and nothing is changed or deleted.
 * P2. Every stream says how many consumers it allows: nats-server stops at 1,000 where a stream is silent.
 */

export type Place = 'hub' | 'leaf';
/** What a party may do with it: nothing, read its own keys, write its own keys, read all, make it and add to it, do all. */
export type Access = 'none' | 'read-own' | 'write-own' | 'read' | 'append' | 'all';

interface Base {
  readonly place: Place;
  readonly name: string;
  readonly what: string;
  /** Most consumers; one watcher per node, with room for reconnect storms. */
  readonly maxConsumers: number;
  readonly access: { readonly node: Access; readonly registry: Access; readonly alchemist: Access };
  /** A node follows it by consumers the registry makes for it; see {@link consumerNames}. */
  readonly readers?: true;
}
export interface KvRow extends Base {
  readonly type: 'kv';
  /** Revisions kept per key. */
  readonly history: number;
  /** ms after which a key that was not written again is gone; 0 keeps it. */
  readonly ttlMs: number;
  readonly maxValueBytes: number;
  /** How a key begins for one instance, for `*-own`. */
  readonly ownPrefix?: '{instance}' | '{instance}.>';
}
export interface ObjectRow extends Base {
  readonly type: 'object';
}
export interface StreamRow extends Base {
  readonly type: 'stream';
  readonly subjects: readonly string[];
  /** Rewrites subjects as they are stored. */
  readonly transform?: { readonly src: string; readonly dest: string };
  /** 0 keeps for ever. */
  readonly maxAgeMs: number;
  /** -1 for no bound but that of the disk. */
  readonly maxBytes: number;
  /** What is in stays as it is: the server refuses deletes and purges, and nothing is dropped for age or room. */
  readonly appendOnly?: boolean;
  /** Window in which a repeated Nats-Msg-Id is one message, ms. */
  readonly duplicateWindowMs: number;
}
export type TopologyRow = KvRow | ObjectRow | StreamRow;

const DAY = 86_400_000;
const MiB = 2 ** 20;

export const topology = {
  bundles: {
    type: 'object',
    place: 'hub',
    name: 'CIM_BUNDLES',
    what: 'Bundle bytes by digest (hex), in chunks.',
    maxConsumers: 20_000,
    access: { node: 'read', registry: 'all', alchemist: 'none' },
  },
  catalog: {
    type: 'kv',
    place: 'hub',
    name: 'CIM_CATALOG',
    what: 'Manifests and signed statements of published versions; channels.',
    history: 1,
    ttlMs: 0,
    maxValueBytes: MiB,
    maxConsumers: 20_000,
    access: { node: 'none', registry: 'all', alchemist: 'none' },
  },
  desired: {
    type: 'kv',
    place: 'hub',
    name: 'CIM_DESIRED',
    what: 'Desired documents, key <instance>.<kind>.<name>.',
    history: 16,
    ttlMs: 0,
    maxValueBytes: MiB,
    maxConsumers: 20_000,
    ownPrefix: '{instance}.>',
    access: { node: 'read-own', registry: 'all', alchemist: 'none' },
    readers: true,
  },
  nodes: {
    type: 'kv',
    place: 'hub',
    name: 'CIM_NODES',
    what: 'Status of each instance, key <instance>; gone when a node has been silent, which means unknown, not dead.',
    history: 1,
    ttlMs: 45_000,
    maxValueBytes: MiB,
    maxConsumers: 20_000,
    ownPrefix: '{instance}',
    access: { node: 'write-own', registry: 'all', alchemist: 'none' },
  },
  tokens: {
    type: 'kv',
    place: 'hub',
    name: 'CIM_TOKENS',
    what: 'Managed tokens of the registry by id: hashes, roles and scopes; never a token.',
    history: 16,
    ttlMs: 0,
    maxValueBytes: MiB / 16,
    maxConsumers: 20_000,
    access: { node: 'none', registry: 'all', alchemist: 'none' },
  },
  identities: {
    type: 'kv',
    place: 'hub',
    name: 'CIM_IDENTITIES',
    what: 'Who each instance is: its keys, what it may serve; enrolment tokens as hashes. Never a token, never a seed.',
    history: 4,
    ttlMs: 0,
    maxValueBytes: MiB / 16,
    maxConsumers: 20_000,
    access: { node: 'none', registry: 'all', alchemist: 'none' },
  },
  audit: {
    type: 'stream',
    place: 'hub',
    name: 'CIM_AUDIT',
    what: 'Every change made through a registry, by whom and why, as a hash chain.',
    subjects: ['cim.v1.audit.>'],
    maxAgeMs: 0,
    maxBytes: -1,
    appendOnly: true,
    duplicateWindowMs: 120_000,
    maxConsumers: 20_000,
    access: { node: 'none', registry: 'append', alchemist: 'none' },
  },
  trust: {
    type: 'kv',
    place: 'hub',
    name: 'CIM_TRUST',
    what: 'The trust document: publishers added, keys and bundles revoked, signed by operators.',
    history: 16,
    ttlMs: 0,
    maxValueBytes: MiB,
    maxConsumers: 20_000,
    access: { node: 'read', registry: 'all', alchemist: 'none' },
    readers: true,
  },
  transparency: {
    type: 'stream',
    place: 'hub',
    name: 'CIM_LOG',
    what: 'The transparency log: what was published, as a hash chain signed by the log key. Nodes and auditors read it.',
    subjects: ['cim.v1.transparency.>'],
    maxAgeMs: 0,
    maxBytes: -1,
    appendOnly: true,
    duplicateWindowMs: 120_000,
    maxConsumers: 20_000,
    access: { node: 'read', registry: 'append', alchemist: 'none' },
    readers: true,
  },
  fleetEvents: {
    type: 'stream',
    place: 'hub',
    name: 'CIM_EVENTS',
    what: 'Events of the whole fleet.',
    subjects: ['cim.v1.fwd.>'],
    transform: { src: 'cim.v1.fwd.>', dest: 'cim.v1.evt.>' },
    maxAgeMs: 30 * DAY,
    maxBytes: 4096 * MiB,
    duplicateWindowMs: 120_000,
    maxConsumers: 20_000,
    access: { node: 'write-own', registry: 'all', alchemist: 'none' },
  },
  leafEvents: {
    type: 'stream',
    place: 'leaf',
    name: 'CIM_EVENTS',
    what: 'Events of this instance, kept until the hub has them and 30 days beyond.',
    subjects: ['cim.v1.evt.{instance}.>'],
    maxAgeMs: 30 * DAY,
    maxBytes: 1024 * MiB,
    duplicateWindowMs: 120_000,
    maxConsumers: 1000,
    access: { node: 'all', registry: 'none', alchemist: 'none' },
  },
} as const satisfies Record<string, TopologyRow>;

/** A workload's own bucket on its leaf: `CIM_WL_<kind>_<name>`, made when the workload is deployed, kept when it is removed. */
export const workloadBucket = (kind: string, name: string): string => `CIM_WL_${kind}_${name}`;

/** Rows of a place. */
export function rowsAt(place: Place): readonly TopologyRow[] {
  return Object.values(topology).filter((row) => row.place === place);
}

/** Consumers one node may have at a time on one stream. */
export const READERS = 4;

export type ReadableRow = {
  [K in keyof typeof topology]: (typeof topology)[K] extends { readers: true } ? K : never;
}[keyof typeof topology];
/** Rows a node follows. */
export const readableRows = (Object.keys(topology) as (keyof typeof topology)[]).filter(
  (name): name is ReadableRow => (topology[name] as TopologyRow).readers === true,
) as [ReadableRow, ...ReadableRow[]];

/**
 * Names of the consumers a node may pull from on a stream of the hub: few, fixed, and whole tokens, so that its permissions can say each of
 * them and none of another node's (no instance id has an underscore, so none can be mistaken for another's).
 */
export function consumerNames(row: TopologyRow, instance: string): readonly string[] {
  return Array.from({ length: row.readers ? READERS : 0 }, (_, slot) => `${instance}_${slot}`);
}

/** Subjects of the stream behind a row that are one instance's own. */
export function ownSubjects(row: TopologyRow, instance: string): string {
  const own =
    row.type === 'kv' && row.ownPrefix !== undefined ? row.ownPrefix.replace('{instance}', instance) : `${instance}.>`;
  return `${dataOf(row)}.${own}`;
}

/** Subjects of the stream behind a row that one instance may read. */
export const readFilter = (row: TopologyRow, instance: string): string =>
  row.access.node === 'read-own' ? ownSubjects(row, instance) : `${dataOf(row)}.>`;

/** What the subjects of a row begin with as they are stored. */
export function dataOf(row: TopologyRow): string {
  if (row.type === 'kv') return `$KV.${row.name}`;
  if (row.type === 'object') return `$O.${row.name}`;
  return (row.transform?.dest ?? row.subjects[0]!).replace(/\.>$/, '');
}

/** Name of the stream behind a row, as the JetStream API knows it. */
export function streamName(row: TopologyRow): string {
  return row.type === 'kv' ? `KV_${row.name}` : row.type === 'object' ? `OBJ_${row.name}` : row.name;
}

/** Subjects of the stream behind a row. */
export function streamSubjects(row: TopologyRow, instance?: string): readonly string[] {
  if (row.type === 'kv') return [`$KV.${row.name}.>`];
  if (row.type === 'object') return [`$O.${row.name}.C.>`, `$O.${row.name}.M.>`];
  return row.subjects.map((subject) => subject.replace('{instance}', instance ?? '*'));
}
