/**
 * Brings the hub's streams, buckets and object stores to what contracts declare.
 *
 * Promises:
 * P1. What is missing is created; what exists is never changed and never deleted. A difference is reported with both values.
 * P2. Two registries that apply at the same time end with one of each.
 */
import { type Clock, type Fault, rowsAt, streamName, streamSubjects, type TopologyRow, withDeadline } from '@cim/contracts';
import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import { hubFault, streamMissing } from './faults.ts';
import type { Link } from './hub.ts';

export interface TopologySettings {
  readonly replicas: number;
  readonly storage: 'file' | 'memory';
}

/** One field of one stream that is not as declared. */
export interface Drift {
  readonly stream: string;
  readonly field: string;
  readonly expected: string;
  readonly found: string;
}

export interface Applied {
  readonly created: readonly string[];
  readonly drift: readonly Drift[];
  /** What could be neither found nor created, with the reason. */
  readonly failed: readonly { readonly stream: string; readonly fault: Fault }[];
}

const STEP_MS = 10_000;

type Declared = Partial<StreamConfig> & { readonly name: string };

/** Never throws: what went wrong is in the result. */
export async function applyTopology(link: Link, clock: Clock, settings: TopologySettings): Promise<Applied> {
  const created: string[] = [];
  const drift: Drift[] = [];
  const failed: { stream: string; fault: Fault }[] = [];
  for (const row of rowsAt('hub')) {
    const declared = declaredConfig(row, settings);
    const { name: stream } = declared;
    try {
      await withDeadline(clock, STEP_MS, `applying ${stream}`, async () => {
        let found = await existing(link, stream);
        if (!found) {
          found = await create(link, declared);
          created.push(stream);
        }
        drift.push(...driftOf(declared, found));
      });
    } catch (error) {
      const fault = hubFault(error, `applying ${stream}`);
      failed.push({ stream, fault });
      // With the hub away, or not letting us, the rest would only wait in vain.
      if (fault.code === 'hub-unreachable') break;
    }
  }
  return { created, drift, failed };
}

async function create(link: Link, declared: Declared): Promise<StreamConfig> {
  try {
    return (await link.jsm.streams.add(declared)).config;
  } catch (error) {
    // Another registry was quicker (P2), with other settings: then that is a drift.
    const found = await existing(link, declared.name);
    if (found) return found;
    throw error;
  }
}

async function existing(link: Link, stream: string): Promise<StreamConfig | undefined> {
  try {
    return (await link.jsm.streams.info(stream)).config;
  } catch (error) {
    if (streamMissing(error)) return undefined;
    throw error;
  }
}

/** What the stream behind a row should be. Pure. */
export function declaredConfig(row: TopologyRow, { replicas, storage }: TopologySettings): Declared {
  const base = {
    name: streamName(row),
    description: row.what,
    subjects: [...streamSubjects(row)],
    retention: RetentionPolicy.Limits,
    storage: storage === 'file' ? StorageType.File : StorageType.Memory,
    num_replicas: replicas,
    max_consumers: row.maxConsumers,
    allow_direct: true,
  };
  switch (row.type) {
    case 'kv':
      return {
        ...base,
        discard: DiscardPolicy.New,
        max_msgs_per_subject: row.history,
        max_age: nanos(row.ttlMs),
        max_msg_size: row.maxValueBytes,
        // The server refuses a window longer than messages live.
        duplicate_window: nanos(row.ttlMs === 0 ? 120_000 : Math.min(row.ttlMs, 120_000)),
        allow_rollup_hdrs: true,
        deny_delete: true,
      };
    case 'object':
      return { ...base, discard: DiscardPolicy.New, allow_rollup_hdrs: true };
    case 'stream':
      return {
        ...base,
        // What may not be dropped is refused instead: then the change it speaks of does not happen either.
        discard: row.appendOnly ? DiscardPolicy.New : DiscardPolicy.Old,
        max_age: nanos(row.maxAgeMs),
        max_bytes: row.maxBytes,
        deny_delete: row.appendOnly === true,
        deny_purge: row.appendOnly === true,
        duplicate_window: nanos(row.duplicateWindowMs),
        ...(row.transform ? { subject_transform: { ...row.transform } } : {}),
      };
  }
}

/** Fields a drift in which would matter; a description is for people. */
const COMPARED = [
  'subjects',
  'retention',
  'storage',
  'num_replicas',
  'max_consumers',
  'allow_direct',
  'discard',
  'max_msgs_per_subject',
  'max_age',
  'max_msg_size',
  'max_bytes',
  'duplicate_window',
  'allow_rollup_hdrs',
  'deny_delete',
  'deny_purge',
  'subject_transform',
] as const satisfies readonly (keyof StreamConfig)[];

/** Declared against found, field by field. Pure. */
export function driftOf(declared: Declared, found: Partial<StreamConfig>): Drift[] {
  return COMPARED.flatMap((field) => {
    const want = declared[field];
    if (want === undefined || JSON.stringify(ordered(want)) === JSON.stringify(ordered(found[field] ?? absent(field))))
      return [];
    return [{ stream: declared.name, field, expected: JSON.stringify(want), found: JSON.stringify(found[field] ?? null) }];
  });
}

/** What the server leaves out of its answer when it is the zero value. */
const absent = (field: (typeof COMPARED)[number]): unknown =>
  field === 'max_age'
    ? 0
    : field === 'allow_direct' || field === 'allow_rollup_hdrs' || field === 'deny_delete' || field === 'deny_purge'
      ? false
      : undefined;

const ordered = (value: unknown): unknown =>
  Array.isArray(value)
    ? [...value].sort()
    : typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
