/**
 * Single keys of a KV bucket: read from the leader, written with compare-and-set. A lost race is a value, not an exception.
 *
 * Promises:
 * K1. Every value carries the id of the change it was written under (header `Cim-Audit`), so that who looks at it later knows whose it is.
 * K2. A write sent twice under the same id is one write. (nats-server 2.10 knows a repeated message before it compares revisions, 2.15 only
 *     after that: so what stands there is looked at before a race is called lost.)
 */
import { AUDIT_HEADER, Fault } from '@cim/contracts';
import { headers } from '@nats-io/transport-node';
import { lostRace } from './faults.ts';
import type { Hub, Link } from './hub.ts';

export interface KeyValue {
  readonly bytes: Uint8Array;
  readonly revision: number;
}

/** What stands under a key: `revision` 0 when it was never written; no bytes when it was deleted by somebody since. */
export interface KeyState {
  readonly revision: number;
  readonly bytes: Uint8Array | undefined;
  /** Id of the change it was written under. */
  readonly change: string | undefined;
}

export type Written = { readonly kind: 'written'; readonly revision: number } | { readonly kind: 'lost' };

export interface Bucket {
  readonly name: string;
  /** @returns undefined when the key is absent or deleted */
  get(key: string): Promise<KeyValue | undefined>;
  state(key: string): Promise<KeyState>;
  /** @throws Fault `too-large` when the value is beyond the bound of the bucket */
  fits(key: string, value: string): void;
  /** Writes when the key still has this revision (0: was never written). @param change id of the change */
  write(key: string, value: string, revision: number, change: string): Promise<Written>;
}

/** Longest wait for the hub to say that it has a value, ms. */
const WRITE_MS = 4_000;

/**
 * @param name bucket, e.g. `CIM_CATALOG`
 * @param maxValueBytes bound of the bucket, said before the hub does
 */
export function createBucket(hub: Hub, name: string, maxValueBytes: number): Bucket {
  const stream = `KV_${name}`;
  const subject = (key: string) => `$KV.${name}.${key}`;
  const stateAt = async ({ jsm }: Link, key: string): Promise<KeyState> => {
    const found = await jsm.streams.getMessage(stream, { last_by_subj: subject(key) });
    if (!found) return { revision: 0, bytes: undefined, change: undefined };
    const gone = found.header.get('KV-Operation') !== '' || found.header.get('Nats-Marker-Reason') !== '';
    return {
      revision: found.seq,
      bytes: gone ? undefined : found.data,
      change: found.header.get(AUDIT_HEADER) || undefined,
    };
  };
  const state = (key: string) => hub.run(`reading ${name}`, (link) => stateAt(link, key));
  const fits = (key: string, value: string) => {
    const size = Buffer.byteLength(value);
    if (size > maxValueBytes)
      throw new Fault('too-large', `${name} ${key}: expected at most ${maxValueBytes} bytes, found ${size}`);
  };
  return {
    name,
    fits,
    state,
    async get(key) {
      const { revision, bytes } = await state(key);
      return bytes && { bytes, revision };
    },
    write(key, value, revision, change) {
      fits(key, value);
      return hub.run(`writing ${name}`, async (link): Promise<Written> => {
        const { js } = link;
        const mark = headers();
        mark.set(AUDIT_HEADER, change);
        try {
          // Under the API of the hub's domain, as the KV library does: a leaf's own bucket of this name is never meant.
          const { seq } = await js.publish(`${js.apiPrefix}.${subject(key)}`, value, {
            msgID: change,
            headers: mark,
            timeout: WRITE_MS,
            expect: { streamName: stream, lastSubjectSequence: revision },
          });
          return { kind: 'written', revision: seq };
        } catch (error) {
          if (!lostRace(error)) throw error;
          const stands = await stateAt(link, key);
          return stands.change === change ? { kind: 'written', revision: stands.revision } : { kind: 'lost' };
        }
      });
    },
  };
}
