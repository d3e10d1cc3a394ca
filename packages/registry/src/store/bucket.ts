/**
 * Single keys of a KV bucket: read from the leader, written with compare-and-set. A lost race is a value, not an exception.
 */
import { Fault } from '@cim/contracts';
import { type KV, Kvm } from '@nats-io/kv';
import { lostRace } from './faults.ts';
import type { Hub, Link } from './hub.ts';

export interface KeyValue {
  readonly bytes: Uint8Array;
  readonly revision: number;
}

export type Written = { readonly kind: 'written'; readonly revision: number } | { readonly kind: 'lost' };

export interface Bucket {
  /** @returns undefined when the key is absent or deleted */
  get(key: string): Promise<KeyValue | undefined>;
  /** Writes when the key is absent. */
  create(key: string, value: string): Promise<Written>;
  /** Writes when the key still has this revision. */
  update(key: string, value: string, revision: number): Promise<Written>;
  /** Writes whatever was there. @returns the revision */
  put(key: string, value: string): Promise<number>;
}

/**
 * @param name bucket, e.g. `CIM_CATALOG`
 * @param maxValueBytes bound of the bucket, said before the hub does
 */
export function createBucket(hub: Hub, name: string, maxValueBytes: number): Bucket {
  const open = new WeakMap<Link, Promise<KV>>();
  const kv = (link: Link): Promise<KV> => {
    let bucket = open.get(link);
    if (!bucket) {
      bucket = new Kvm(link.js).open(name);
      // A failed opening is not kept.
      bucket.catch(() => open.delete(link));
      open.set(link, bucket);
    }
    return bucket;
  };
  const fits = (key: string, value: string) => {
    const size = Buffer.byteLength(value);
    if (size > maxValueBytes)
      throw new Fault('too-large', `${name} ${key}: expected at most ${maxValueBytes} bytes, found ${size}`);
  };
  const race = async (write: () => Promise<number>): Promise<Written> => {
    try {
      return { kind: 'written', revision: await write() };
    } catch (error) {
      if (lostRace(error)) return { kind: 'lost' };
      throw error;
    }
  };
  return {
    get: (key) =>
      hub.run(`reading ${name}`, async (link) => {
        const entry = await (await kv(link)).get(key);
        return entry && entry.operation === 'PUT' ? { bytes: entry.value, revision: entry.revision } : undefined;
      }),
    create(key, value) {
      fits(key, value);
      return hub.run(`writing ${name}`, async (link) => {
        const bucket = await kv(link);
        return race(() => bucket.create(key, value));
      });
    },
    update(key, value, revision) {
      fits(key, value);
      return hub.run(`writing ${name}`, async (link) => {
        const bucket = await kv(link);
        return race(() => bucket.put(key, value, { previousSeq: revision }));
      });
    },
    put(key, value) {
      fits(key, value);
      return hub.run(`writing ${name}`, async (link) => (await kv(link)).put(key, value));
    },
  };
}
