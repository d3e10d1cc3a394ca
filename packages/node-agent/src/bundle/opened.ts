/**
 * A bundle that lies on the disk with its digest checked: what it says, and how to reach the rest of it without holding it in memory.
 *
 * Promises:
 * O1. Entry and source map are read from the disk each time they are asked for, and hashed again each time: what is opened is what was
 *     verified, and a thousand workloads cost no memory for their sources.
 * O2. Assets are read by their place; nothing else of the archive is touched.
 */
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import {
  type BundleContents,
  digester,
  digestOf,
  ENTRY_FILE,
  Fault,
  MANIFEST_FILE,
  MAP_FILE,
  type Manifest,
  readBundle,
} from '@cim/contracts';
import { type Place, placesIn } from './tar-index.ts';

export interface OpenedBundle {
  readonly manifest: Manifest;
  /** @throws Fault `digest-mismatch` when the disk has changed under us */
  entry(): string;
  sourceMap(): string | undefined;
  asset(path: string): Promise<Uint8Array | undefined>;
}

const READ = 256 * 1024;
/** Instead of the bodies of assets, so many at a time: what a reader does costs by the piece. Nobody writes there, so it takes no memory. */
const ZEROS = Buffer.alloc(16 * READ);
/** Files whose bytes are looked at when a bundle is opened. */
const TEXTS: ReadonlySet<string> = new Set([MANIFEST_FILE, ENTRY_FILE, MAP_FILE]);

/** SHA-256 of a whole file. */
export async function fileDigest(file: string): Promise<string> {
  const hash = digester();
  for await (const chunk of createReadStream(file, { highWaterMark: READ })) hash.update(chunk as Uint8Array);
  return hash.digest();
}

/**
 * Reads what a bundle is. Its digest must have been checked.
 * @param at where it is now
 * @param file where it will be when it is used
 * @param changed told when the disk is found to have changed since
 * @throws Fault `bundle-malformed`
 */
export async function openBundle(at: string, file: string, changed: () => void): Promise<OpenedBundle> {
  const { contents, places } = await skim(at);
  const textOf = (index: number, text: string) => {
    const place = places[index]!;
    const digest = digestOf(new TextEncoder().encode(text));
    return () => {
      const found = readText(file, place);
      if (digestOf(found) === digest) return found.toString('utf8');
      changed();
      throw new Fault('digest-mismatch', `${file}: changed on disk since it was verified`);
    };
  };
  const entry = textOf(1, contents.entry);
  const sourceMap = contents.sourceMap === undefined ? undefined : textOf(2, contents.sourceMap);
  const first = sourceMap ? 3 : 2;
  if (places.length !== first + contents.assets.length) {
    throw new Fault('bundle-malformed', `archive: expected ${first + contents.assets.length} files, found ${places.length}`);
  }
  const assets = new Map(contents.assets.map(({ path }, n) => [path, places[first + n]!]));
  return {
    manifest: contents.manifest,
    entry,
    sourceMap: () => sourceMap?.(),
    async asset(path) {
      const place = assets.get(path);
      if (!place) return undefined;
      const handle = await open(file, 'r');
      try {
        const bytes = new Uint8Array(place.size);
        for (let done = 0; done < place.size; ) {
          const { bytesRead } = await handle.read(bytes, done, place.size - done, place.offset + done);
          if (bytesRead === 0) throw new Fault('digest-mismatch', `assets/${path}: the bundle on disk is shorter than it was`);
          done += bytesRead;
        }
        return bytes;
      } finally {
        await handle.close();
      }
    },
  };
}

/** What the bundle is, and where its files stand, without reading the assets: they may be most of it, and nobody looks at them here. */
async function skim(file: string): Promise<{ readonly contents: BundleContents; readonly places: readonly Place[] }> {
  const handle = await open(file, 'r');
  try {
    const length = (await handle.stat()).size;
    const places = await placesIn(handle, length);
    return { contents: await readBundle(withoutAssets(handle, places, length)), places };
  } finally {
    await handle.close();
  }
}

/** The archive with zeros for the bodies of its assets. */
async function* withoutAssets(handle: FileHandle, places: readonly Place[], length: number): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (const { name, offset, size } of places) {
    if (TEXTS.has(name)) continue;
    yield* span(handle, at, offset);
    for (let left = size; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
    at = offset + size;
  }
  yield* span(handle, at, length);
}

async function* span(handle: FileHandle, from: number, to: number): AsyncGenerator<Uint8Array> {
  for (let at = from; at < to; ) {
    // A new buffer each time: the reader keeps what it is given.
    const { bytesRead, buffer } = await handle.read(
      Buffer.allocUnsafe(Math.min(READ, to - at)),
      0,
      Math.min(READ, to - at),
      at,
    );
    if (bytesRead === 0) throw new Fault('digest-mismatch', 'the bundle on disk is shorter than it was');
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

/** Read in one go: a start waits for it anyway, and the page cache has it. */
function readText(file: string, { offset, size }: Place): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  const fd = openSync(file, 'r');
  try {
    for (let done = 0; done < size; ) {
      const read = readSync(fd, bytes, done, size - done, offset + done);
      if (read === 0) break;
      done += read;
    }
  } finally {
    closeSync(fd);
  }
  return bytes;
}
