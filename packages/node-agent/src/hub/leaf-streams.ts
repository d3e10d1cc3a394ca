/**
 * The leaf's own streams and buckets: made where missing, never changed or deleted (contracts/topology, P1).
 */
import { Fault, type Logger, rowsAt, type StreamRow, streamSubjects, workloadBucket } from '@cim/contracts';
import { jetstream, jetstreamManager, RetentionPolicy, type StreamConfig } from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import { type NatsConnection, nanos } from '@nats-io/transport-node';

/** Differences between what stands and what should stand, as `field: is X, should be Y`. */
export async function applyLeafTopology(connection: NatsConnection, instance: string, log: Logger): Promise<readonly string[]> {
  const jsm = await jetstreamManager(connection, { checkAPI: false, timeout: 5_000 });
  const drift: string[] = [];
  for (const row of rowsAt('leaf') as readonly StreamRow[]) {
    const wanted: Partial<StreamConfig> & { name: string } = {
      name: row.name,
      subjects: [...streamSubjects(row, instance)],
      retention: RetentionPolicy.Limits,
      max_age: nanos(row.maxAgeMs),
      max_bytes: row.maxBytes,
      max_consumers: row.maxConsumers,
      duplicate_window: nanos(row.duplicateWindowMs),
      num_replicas: 1,
    };
    const found = await jsm.streams.info(row.name).catch((error: { status?: number; code?: number }) => {
      if (error.status === 404 || error.code === 10059) return undefined;
      throw error;
    });
    if (!found) {
      await jsm.streams.add(wanted);
      log.info({ stream: row.name }, 'made the leaf stream');
      continue;
    }
    for (const key of ['max_age', 'max_bytes', 'max_consumers', 'duplicate_window'] as const) {
      if (found.config[key] !== wanted[key])
        drift.push(`${row.name}.${key}: is ${found.config[key]}, should be ${wanted[key]}`);
    }
    if (found.config.subjects?.join() !== wanted.subjects?.join()) {
      drift.push(`${row.name}.subjects: is ${found.config.subjects?.join()}, should be ${wanted.subjects?.join()}`);
    }
  }
  return drift;
}

/** Opens the bucket of a workload, making it at its first deployment. @throws Fault `kv-failed` */
export async function openWorkloadBucket(
  connection: NatsConnection,
  kind: string,
  name: string,
  maxBytes: number,
): Promise<KV> {
  try {
    return await new Kvm(jetstream(connection, { timeout: 5_000 })).create(workloadBucket(kind, name), {
      history: 1,
      max_bytes: maxBytes,
    });
  } catch (cause) {
    throw new Fault('kv-failed', `the bucket of ${kind} ${name} could not be opened: ${(cause as Error).message}`, { cause });
  }
}
