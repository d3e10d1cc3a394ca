/**
 * Writes one object: its chunks several at a time, then the meta message that makes it one.
 * Our own, and not the client library's `put`, since that waits for each chunk before it sends the next.
 *
 * Promises:
 * U1. Chunks are stored in order: they go out in order on one connection, and any failure ends the put.
 * U2. The meta message is written only when all chunks are kept, the bytes are those of the digest, and the last meta still is the
 *     one that was seen; else the chunks are taken back.
 * Layout: NATS ADR-20.
 */
import { type Clock, digester, Fault, objectName } from '@cim/contracts';
import { nuid } from '@nats-io/transport-node';
import type { Link } from './hub.ts';

export interface ObjectPut {
  readonly link: Link;
  readonly clock: Clock;
  readonly bucket: string;
  readonly stream: string;
  readonly digest: string;
  readonly size: number;
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Writes the meta message. @returns false when another was written meanwhile */
  readonly writeMeta: (meta: object) => Promise<boolean>;
}

/** Bytes of a chunk, as the object store has it by default. */
export const CHUNK_BYTES = 128 * 1024;
/** Chunks under way at a time. */
const WINDOW = 16;
const CHUNK_DEADLINE_MS = 4_000;

/** @returns false when someone else wrote the object meanwhile. @throws what the hub said, or Fault `digest-mismatch` */
export async function putObject({ link, clock, bucket, stream, digest, size, bytes, writeMeta }: ObjectPut): Promise<boolean> {
  const id = nuid.next();
  const subject = `$O.${bucket}.C.${id}`;
  const hash = digester();
  const underway: Promise<unknown>[] = [];
  let chunks = 0;
  let sent = 0;
  let done = false;
  try {
    for await (const chunk of inChunks(bytes)) {
      if (underway.length >= WINDOW) await underway.shift();
      hash.update(chunk);
      sent += chunk.length;
      chunks++;
      const kept = link.js.publish(subject, chunk, { timeout: CHUNK_DEADLINE_MS });
      // Looked at in its turn; until then a failure is not unhandled.
      kept.catch(() => {});
      underway.push(kept);
    }
    await Promise.all(underway);
    if (sent !== size || hash.digest() !== digest)
      throw new Fault(
        'digest-mismatch',
        `bundle ${digest}: other bytes came back from the temporary file than were written to it`,
      );
    const name = objectName(digest);
    done = await writeMeta({
      name,
      description: '',
      options: { max_chunk_size: CHUNK_BYTES },
      bucket,
      nuid: id,
      size,
      chunks,
      mtime: new Date(clock.now()).toISOString(),
      digest: `SHA-256=${padded(Buffer.from(name, 'hex').toString('base64url'))}`,
      deleted: false,
    });
    return done;
  } finally {
    if (!done) {
      await Promise.allSettled(underway);
      // With the hub away they stay; the sweep of a later start collects them.
      await link.jsm.streams.purge(stream, { filter: subject }).catch(() => {});
    }
  }
}

/** The object store pads its base64url texts. */
export const padded = (text: string): string => text.padEnd(Math.ceil(text.length / 4) * 4, '=');

/** The same bytes in pieces of {@link CHUNK_BYTES}, the last one shorter. */
async function* inChunks(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let length = 0;
  for await (const piece of bytes) {
    let rest = piece;
    while (length + rest.length >= CHUNK_BYTES) {
      const cut = CHUNK_BYTES - length;
      yield held.length === 0 ? rest.subarray(0, cut) : Buffer.concat([...held, rest.subarray(0, cut)]);
      rest = rest.subarray(cut);
      held = [];
      length = 0;
    }
    if (rest.length > 0) held.push(rest);
    length += rest.length;
  }
  if (length > 0) yield Buffer.concat(held);
}
