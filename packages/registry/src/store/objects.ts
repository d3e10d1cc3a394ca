/**
 * Bundle bytes in the hub's object store, under the digest's hex digits.
 *
 * Promises:
 * O1. An object appears whole or not at all: its meta message is written last, and only if nobody wrote one meanwhile.
 * O2. An object of that name is never replaced while it is whole: the bytes of a digest do not change, and a reader in the middle
 *     of them is not cut.
 * O3. `open` hands out the last chunk only after all bytes have been found to be those of the digest.
 * O4. What is removed is removed only if it is as it was when it was judged (compare-and-set on the meta message).
 * Layout: NATS ADR-20: meta under `$O.<bucket>.M.<base64url name>`, chunks under `$O.<bucket>.C.<nuid>`.
 */
import { PassThrough, type Readable } from 'node:stream';
import { type Clock, digester, Fault, type ObjectRow, objectName, streamName } from '@cim/contracts';
import { headers as newHeaders } from '@nats-io/transport-node';
import { z } from 'zod';
import { hubFault, lostRace } from './faults.ts';
import { follow, readAll } from './follow.ts';
import type { Hub, Link } from './hub.ts';
import { CHUNK_BYTES, padded, putObject } from './object-put.ts';

/** Meta message, the part that is read. */
const Meta = z.looseObject({
  name: z.string(),
  nuid: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  size: z.number().int().nonnegative(),
  chunks: z.number().int().nonnegative(),
  deleted: z.boolean().optional(),
});
type Meta = z.infer<typeof Meta>;

export interface StoredObject {
  /** Hex digits of the digest. */
  readonly name: string;
  readonly size: number;
  readonly revision: number;
  /** When its meta was written last, ms since 1970 by the hub's clock. */
  readonly writtenAt: number;
}

/** Chunks that no meta names: what a registry that was killed in the middle of a publish leaves. */
export interface LooseChunks {
  readonly nuid: string;
  /** When the last of them was written, ms since 1970 by the hub's clock. */
  readonly writtenAt: number;
}

export interface Objects {
  /** True when the object is whole and has this size. */
  has(digest: string, size: number): Promise<boolean>;
  /**
   * Stores the bytes, or marks those already there as wanted now, so that {@link removeObject} leaves them alone.
   * @param bytes opened only when they are needed
   */
  keep(digest: string, size: number, bytes: () => AsyncIterable<Uint8Array>): Promise<void>;
  /** @throws Fault `not-found`. The stream fails with `digest-mismatch` (O3) or `hub-unreachable`. */
  open(digest: string): Promise<{ readonly size: number; readonly bytes: Readable }>;
  /** Whole objects, and chunks without one. */
  inventory(): Promise<{ readonly objects: readonly StoredObject[]; readonly loose: readonly LooseChunks[] }>;
  /** @returns false when it changed since it was looked at (O4) */
  removeObject(object: StoredObject): Promise<boolean>;
  removeChunks(chunks: LooseChunks): Promise<void>;
}

/** Tries of `keep` against others who store or remove the same bytes. */
const TRIES = 4;

/** What a meta message says, or undefined when it is none: anybody with the right to publish can write anything there. */
export function objectMeta(bytes: Uint8Array): Meta | undefined {
  try {
    return Meta.safeParse(JSON.parse(new TextDecoder().decode(bytes))).data;
  } catch {
    return undefined;
  }
}

export function createObjects(hub: Hub, clock: Clock, row: ObjectRow): Objects {
  const stream = streamName(row);
  const metaSubject = (name: string) => `$O.${row.name}.M.${padded(Buffer.from(name).toString('base64url'))}`;
  const chunkSubject = (nuid: string) => `$O.${row.name}.C.${nuid}`;
  const metaOf = async (link: Link, name: string): Promise<{ meta: Meta; revision: number; writtenAt: number } | undefined> => {
    const message = await link.jsm.streams.getMessage(stream, { last_by_subj: metaSubject(name) });
    if (!message) return undefined;
    const meta = objectMeta(message.data);
    if (!meta) throw new Fault('bundle-malformed', `object ${name}: its meta message is none of an object store`);
    return { meta, revision: message.seq, writtenAt: message.time.getTime() };
  };
  /** Writes a meta message if the last one still is `revision`. @returns false when it is not */
  const writeMeta = async (link: Link, name: string, meta: object, revision: number): Promise<boolean> => {
    const headers = newHeaders();
    headers.set('Nats-Rollup', 'sub');
    headers.set('Nats-Expected-Last-Subject-Sequence', `${revision}`);
    try {
      await link.js.publish(metaSubject(name), JSON.stringify(meta), { headers });
      return true;
    } catch (error) {
      if (lostRace(error)) return false;
      throw error;
    }
  };

  return {
    has: (digest, size) =>
      hub.run('looking for a bundle', async (link) => {
        const found = await metaOf(link, objectName(digest));
        return found !== undefined && !found.meta.deleted && found.meta.size === size;
      }),

    async keep(digest, size, bytes) {
      const name = objectName(digest);
      for (let attempt = 0; attempt < TRIES; attempt++) {
        const found = await hub.run('looking for a bundle', (link) => metaOf(link, name));
        if (found && !found.meta.deleted && found.meta.size === size) {
          // Whoever was quicker stored or marked these bytes after we first looked: that is the mark we wanted.
          if (attempt > 0) return;
          const touched = { ...found.meta, mtime: new Date(clock.now()).toISOString() };
          if (await hub.run('storing a bundle', (link) => writeMeta(link, name, touched, found.revision))) return;
          continue;
        }
        const link = hub.current() ?? (await hub.run('storing a bundle', async (up) => up));
        try {
          const put = { link, clock, bucket: row.name, stream, digest, size, bytes: bytes() };
          // Each chunk has a deadline; the whole has none, since a large bundle on a slow disk takes its time.
          if (await putObject({ ...put, writeMeta: (meta) => writeMeta(link, name, meta, found?.revision ?? 0) })) return;
        } catch (error) {
          throw hubFault(error, 'storing a bundle');
        }
        if (attempt + 1 === TRIES)
          throw new Fault('hub-unreachable', `bundle ${digest}: others store and remove it at the same time`);
      }
    },

    async open(digest) {
      const name = objectName(digest);
      const { link, meta } = await hub.run('reading a bundle', async (up) => ({
        link: up,
        meta: (await metaOf(up, name))?.meta,
      }));
      if (!meta || meta.deleted) throw new Fault('not-found', `bundle ${digest} is not in the store`);
      const bytes = new PassThrough({ highWaterMark: 4 * CHUNK_BYTES });
      void pour({ clock, link, stream, subject: chunkSubject(meta.nuid), digest, chunks: meta.chunks, into: bytes });
      return { size: meta.size, bytes };
    },

    inventory: () =>
      hub.run(
        'listing bundles',
        async (link) => {
          // Chunks first: an object that comes in between is then seen with its meta and not taken for loose.
          const info = await link.jsm.streams.info(stream, { subjects_filter: `$O.${row.name}.C.>` });
          const messages = await readAll({ clock, link, stream, filter: `$O.${row.name}.M.>`, from: { last: true } });
          const metas = messages.flatMap(({ data, sequence, storedAt }) => {
            const meta = objectMeta(data);
            return meta && !meta.deleted ? [{ meta, sequence, storedAt }] : [];
          });
          const named = new Set(metas.map(({ meta }) => meta.nuid));
          const loose: LooseChunks[] = [];
          for (const subject of Object.keys(info.state.subjects ?? {})) {
            const nuid = subject.slice(chunkSubject('').length);
            if (named.has(nuid)) continue;
            const last = await link.jsm.streams.getMessage(stream, { last_by_subj: subject });
            if (last) loose.push({ nuid, writtenAt: last.time.getTime() });
          }
          return {
            objects: metas.map(({ meta, sequence, storedAt }) => ({
              name: meta.name,
              size: meta.size,
              revision: sequence,
              writtenAt: storedAt,
            })),
            loose,
          };
        },
        60_000,
      ),

    removeObject: ({ name, revision }) =>
      hub.run('removing a bundle', async (link) => {
        const found = await metaOf(link, name);
        if (!found || found.revision !== revision || found.meta.deleted) return false;
        const tombstone = { ...found.meta, deleted: true, size: 0, chunks: 0, digest: '' };
        if (!(await writeMeta(link, name, tombstone, revision))) return false;
        await link.jsm.streams.purge(stream, { filter: chunkSubject(found.meta.nuid) });
        return true;
      }),

    removeChunks: ({ nuid }) =>
      hub.run('removing chunks', async (link) => void (await link.jsm.streams.purge(stream, { filter: chunkSubject(nuid) }))),
  };
}

interface Pouring {
  readonly clock: Clock;
  readonly link: Link;
  readonly stream: string;
  readonly subject: string;
  readonly digest: string;
  readonly chunks: number;
  readonly into: PassThrough;
}

/** Chunks into a stream, no faster than it is read (O3). */
async function pour({ clock, link, stream, subject, digest, chunks, into }: Pouring): Promise<void> {
  const done = new AbortController();
  into.once('close', () => done.abort());
  const hash = digester();
  let left = chunks;
  let kept: Uint8Array | undefined;
  const give = async (chunk: Uint8Array) => {
    if (into.destroyed || into.write(chunk)) return;
    await new Promise<void>((resolve) => {
      into.once('drain', resolve);
      into.once('close', resolve);
    });
  };
  try {
    const ending = await follow({
      clock,
      link,
      stream,
      filter: subject,
      from: { sequence: 1 },
      signal: done.signal,
      begun: (pending) => {
        if (pending === 0) done.abort();
      },
      each: async ({ data }) => {
        hash.update(data);
        if (kept) await give(kept);
        kept = data;
        if (--left === 0) done.abort();
      },
    });
    if (into.destroyed) return;
    if (left > 0) {
      const why = ending.kind === 'stopped' ? 'chunks are missing in the store' : ending.detail;
      throw new Fault('hub-unreachable', `bundle ${digest}: broke off with ${left} of ${chunks} chunks to go (${why})`);
    }
    if (hash.digest() !== digest) throw new Fault('digest-mismatch', `bundle ${digest}: the store holds other bytes`);
    if (kept) await give(kept);
    into.end();
  } catch (error) {
    into.destroy(hubFault(error, 'reading a bundle'));
  }
}
