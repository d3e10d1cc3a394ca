/**
 * Brings a bundle's bytes onto the disk, through a link that may be cut at any moment.
 *
 * Promises:
 * D1. When it resolves, the file holds bytes whose SHA-256 is the digest, and they are synced.
 * D2. After a cut the partial file stays and the next try goes on from it; what is taken over is hashed again from the disk.
 * D3. Wrong bytes and a full disk leave no partial file.
 * D4. Never writes more than the size that was announced; a link that says nothing for `stallMs` counts as cut.
 */
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, digester, Fault } from '@cim/contracts';
import { storageFault } from './durable.ts';

/** Where a fetch begins and what it brings. */
export interface Fetched {
  /** First byte of `chunks` in the bundle: the one asked for, or a chunk boundary before it. */
  readonly offset: number;
  /** Bytes in order. May throw when the link is cut. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** @throws Fault `hub-unreachable`, `not-found` and the like */
export type FetchBundle = (
  want: { readonly digest: string; readonly size: number; readonly fromByte: number },
  signal: AbortSignal,
) => Promise<Fetched>;

/** Opens a file for reading and writing: the seam where a test lets the disk be full. */
export type OpenFile = (path: string, flags: string) => Promise<FileHandle>;

export interface DownloadDeps {
  readonly fetch: FetchBundle;
  readonly openFile: OpenFile;
  readonly clock: Clock;
  readonly stallMs: number;
}

const READ = 256 * 1024;
/** Bytes written at a time: large enough that a write costs little beside what it carries. */
const PIECE = 2 ** 20;
/** Bytes after which the disk is asked to sync what it has. */
const SYNC_EVERY = 8 * 2 ** 20;

/** @param file partial file, whose directory is the download's own. @throws Fault of the fetch, `digest-mismatch`, `storage-full` */
export async function download(
  deps: DownloadDeps,
  want: { readonly digest: string; readonly size: number },
  file: string,
  signal: AbortSignal,
): Promise<void> {
  let handle: FileHandle | undefined;
  let keep = false;
  try {
    await mkdir(dirname(file), { recursive: true });
    handle = await openPartial(deps.openFile, file);
    await fill(deps, want, handle, signal, (is) => {
      keep = is;
    });
    keep = true;
    await handle.sync();
  } catch (error) {
    const fault = signal.aborted ? error : storageFault(error, file);
    if (fault instanceof Fault && fault.code === 'storage-full') keep = false;
    throw fault;
  } finally {
    await handle?.close().catch(() => {});
    if (!keep) await rm(dirname(file), { recursive: true, force: true }).catch(() => {});
  }
}

async function openPartial(openFile: OpenFile, file: string): Promise<FileHandle> {
  try {
    return await openFile(file, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return openFile(file, 'w+');
  }
}

async function fill(
  deps: DownloadDeps,
  { digest, size }: { readonly digest: string; readonly size: number },
  handle: FileHandle,
  signal: AbortSignal,
  worthKeeping: (is: boolean) => void,
): Promise<void> {
  let have = (await handle.stat()).size;
  if (have >= size) {
    // All there, and only the last step was missing; or nothing of it is any good.
    if (have === size && (await hashOf(handle, size)).digest() === digest) return;
    await handle.truncate(0);
    have = 0;
  }
  worthKeeping(have > 0);
  const stall = stallGuard(deps.clock, deps.stallMs, signal);
  try {
    const { offset, chunks } = await stall.race(deps.fetch({ digest, size, fromByte: have }, stall.signal));
    if (offset > have) throw new Fault('internal', `bundle ${digest}: asked from byte ${have}, the fetch begins at ${offset}`);
    if (offset < have) await handle.truncate(offset);
    const hash = await hashOf(handle, offset);
    let at = offset;
    const writer = behindWriter(handle, offset);
    try {
      for await (const chunk of guarded(chunks, stall, digest)) {
        if (at + chunk.length > size) {
          worthKeeping(false);
          throw new Fault('digest-mismatch', `bundle ${digest}: expected ${size} bytes, the store sends more`);
        }
        // Hashing goes on while the last piece is on its way to the disk.
        hash.update(chunk);
        await writer.write(chunk);
        at += chunk.length;
        worthKeeping(true);
      }
    } finally {
      await writer.end();
    }
    if (at < size) throw new Fault('hub-unreachable', `bundle ${digest}: the link was cut at byte ${at} of ${size}`);
    const found = hash.digest();
    if (found !== digest) {
      worthKeeping(false);
      throw new Fault('digest-mismatch', `bundle: expected ${digest}, the bytes received are ${found}`);
    }
  } finally {
    stall.end();
  }
}

/**
 * Collects chunks and writes a piece at a time, one piece behind, and has the disk sync along the way: the disk and the link work side by
 * side, and little is left to sync at the end.
 */
function behindWriter(handle: FileHandle, from: number) {
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  let at = from;
  let unsynced = 0;
  let writing: Promise<void> = Promise.resolve();
  let syncing: Promise<void> = Promise.resolve();
  const flush = async () => {
    await writing;
    const [pieces, begin, bytes] = [held, at, heldBytes];
    at += bytes;
    held = [];
    heldBytes = 0;
    writing = writeAll(handle, pieces, begin);
    // A failure is thrown at the next write or at the end, never as an unhandled rejection.
    writing.catch(() => {});
    unsynced += bytes;
    if (unsynced < SYNC_EVERY) return;
    unsynced = 0;
    syncing = Promise.all([writing, syncing]).then(() => handle.datasync());
    syncing.catch(() => {});
  };
  return {
    async write(chunk: Uint8Array): Promise<void> {
      held.push(chunk);
      heldBytes += chunk.length;
      if (heldBytes >= PIECE) await flush();
    },
    /** All that was handed over is in the file, or it throws why not. */
    async end(): Promise<void> {
      if (heldBytes > 0) await flush();
      await Promise.all([writing, syncing]);
    },
  };
}

async function writeAll(handle: FileHandle, pieces: readonly Uint8Array[], begin: number): Promise<void> {
  let left = pieces;
  for (let at = begin; left.length > 0; ) {
    const { bytesWritten } = await handle.writev(left, at);
    at += bytesWritten;
    left = after(left, bytesWritten);
  }
}

/** What is left of the pieces when so many bytes of them are written. */
function after(pieces: readonly Uint8Array[], written: number): readonly Uint8Array[] {
  let skip = written;
  let from = 0;
  while (from < pieces.length && skip >= pieces[from]!.length) skip -= pieces[from++]!.length;
  const [first, ...rest] = pieces.slice(from);
  return first === undefined ? [] : [first.subarray(skip), ...rest];
}

/** Hash of the first `length` bytes, ready for more. */
async function hashOf(handle: FileHandle, length: number) {
  const hash = digester();
  const buffer = Buffer.allocUnsafe(Math.min(READ, Math.max(length, 1)));
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, length - at), at);
    if (bytesRead === 0) throw new Fault('internal', `partial file: expected ${length} bytes, found ${at}`);
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  return hash;
}

/** Ends a transfer in which nothing has come for a while. */
function stallGuard(clock: Clock, ms: number, outer: AbortSignal) {
  const controller = new AbortController();
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => {});
  const abort = (reason: unknown) => {
    controller.abort(reason);
    lost.reject(reason);
  };
  const onOuter = () => abort(outer.reason);
  if (outer.aborted) onOuter();
  outer.addEventListener('abort', onOuter, { once: true });
  let moved = clock.monotonic();
  const timer = clock.every(Math.max(ms / 2, 1), () => {
    if (clock.monotonic() - moved >= ms) abort(new Fault('hub-unreachable', `nothing received for ${ms} ms`));
  });
  return {
    signal: controller.signal,
    moved: () => {
      moved = clock.monotonic();
    },
    race: <T>(work: Promise<T>): Promise<T> => Promise.race([work, lost.promise]),
    end: () => {
      timer.cancel();
      outer.removeEventListener('abort', onOuter);
    },
  };
}

/** The chunks, with a cut told as `hub-unreachable`. */
async function* guarded(chunks: AsyncIterable<Uint8Array>, stall: ReturnType<typeof stallGuard>, digest: string) {
  const iterator = chunks[Symbol.asyncIterator]();
  let finished = false;
  try {
    for (;;) {
      let next: IteratorResult<Uint8Array>;
      try {
        next = await stall.race(iterator.next());
      } catch (error) {
        if (error instanceof Fault || stall.signal.aborted) throw error;
        throw new Fault('hub-unreachable', `bundle ${digest}: ${(error as Error).message}`, { cause: error });
      }
      stall.moved();
      if (next.done) {
        finished = true;
        return;
      }
      yield next.value;
    }
  } finally {
    // Not awaited: a source that hangs would hold the transfer beyond its deadline.
    if (!finished) iterator.return?.()?.then(undefined, () => {});
  }
}

/** The real disk. */
export const openFile: OpenFile = (path, flags) => open(path, flags, 0o600);
