/**
 * A bundle that lies on the disk with its digest checked: what it says, and how to reach the rest of it without holding it in memory.
 *
 * Promises:
 * O1. Entry and source map are read from the disk each time they are asked for, and hashed again each time: what is opened is what was
 *     verified, and a thousand workloads cost no memory for their sources.
 * O2. Assets are read by their place; nothing else of the archive is touched.
 */
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { digester, digestOf, Fault, type Manifest, readBundle } from '@cim/contracts';
import { type Place, placesIn } from './tar-index.ts';

export interface OpenedBundle {
  readonly manifest: Manifest;
  /** @throws Fault `digest-mismatch` when the disk has changed under us */
  entry(): string;
  sourceMap(): string | undefined;
  asset(path: string): Promise<Uint8Array | undefined>;
}

const READ = 256 * 1024;

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
  const contents = await readBundle(createReadStream(at, { highWaterMark: 4 * READ }));
  const places = await placesOf(at);
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

async function placesOf(file: string): Promise<Place[]> {
  const handle = await open(file, 'r');
  try {
    return await placesIn(handle, (await handle.stat()).size);
  } finally {
    await handle.close();
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
