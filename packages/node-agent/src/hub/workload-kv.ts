/**
 * A workload's own memory: a KV bucket on the leaf, opened at the first use, so that a workload without memory costs the leaf nothing.
 * Lost races are values (undefined), everything else that fails is `kv-failed`.
 */
import { Fault } from '@cim/contracts';
import type { KV } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { WorkloadKv } from '../host/host-door.ts';

export interface WorkloadKvDeps {
  readonly ready: () => Promise<NatsConnection>;
  readonly open: (connection: NatsConnection) => Promise<KV>;
}

/** JetStream's "wrong last sequence": somebody else wrote first. */
const WRONG_LAST_SEQUENCE = 10071;
/** What JetStream says of a bucket that has reached its bytes. */
const FULL = /maximum bytes exceeded|insufficient storage/i;
const MOST_KEYS = 10_000;

export function createWorkloadKv({ ready, open }: WorkloadKvDeps): WorkloadKv {
  let held: { readonly connection: NatsConnection; readonly bucket: Promise<KV> } | undefined;
  const bucket = async (): Promise<KV> => {
    const connection = await ready();
    if (held?.connection !== connection) {
      const opening = open(connection);
      held = { connection, bucket: opening };
      opening.catch(() => {
        held = undefined;
      });
    }
    return held!.bucket;
  };
  const doing = async <T>(what: string, work: (kv: KV) => Promise<T>): Promise<T> => {
    try {
      return await work(await bucket());
    } catch (error) {
      if (error instanceof Fault) throw error;
      if (FULL.test((error as Error).message))
        throw new Fault('storage-exceeded', `ctx.kv.${what}: the bucket holds as much as it may (resources.storage)`, {
          cause: error,
        });
      throw new Fault('kv-failed', `ctx.kv.${what}: ${(error as Error).message}`, { cause: error });
    }
  };
  const unlessRaced = async (write: () => Promise<number>): Promise<number | undefined> => {
    try {
      return await write();
    } catch (error) {
      const code = (error as { code?: number }).code;
      if (code === WRONG_LAST_SEQUENCE || /wrong last sequence/.test((error as Error).message)) return undefined;
      throw error;
    }
  };
  return {
    entry: (key) =>
      doing('get', async (kv) => {
        const found = await kv.get(key);
        if (found?.operation !== 'PUT') return undefined;
        return { value: JSON.parse(found.string()), revision: found.revision };
      }),
    put: (key, json) => doing('put', (kv) => kv.put(key, json)),
    create: (key, json) => doing('create', (kv) => unlessRaced(() => kv.create(key, json))),
    update: (key, json, revision) => doing('update', (kv) => unlessRaced(() => kv.update(key, json, revision))),
    delete: (key) =>
      doing('delete', async (kv) => {
        await kv.delete(key);
        return null;
      }),
    keys: (prefix) =>
      doing('keys', async (kv) => {
        const found: string[] = [];
        for await (const key of await kv.keys()) {
          if (key.startsWith(prefix)) found.push(key);
          if (found.length >= MOST_KEYS) break;
        }
        return found.sort();
      }),
  };
}
