/**
 * The bundle's container: one tar (POSIX ustar) with fixed order, owner, mode and time, so that the same files give the same bytes.
 *
 * Layout: `manifest.json` first, then `main.mjs`, `main.mjs.map` where there is one, then `assets/<path>` in byte order.
 *
 * Promises:
 * B1. `packBundle` is a function of its input: no clock, no file system, no compression whose output could change.
 * B2. `readBundle` takes nothing that is not in the layout: no links, no absolute or climbing paths, no second copy of a name,
 *     nothing above the limits, not a byte between or behind the files. It never holds more than manifest, entry and source map
 *     in memory.
 * B3. What `packBundle` makes, `readBundle` takes, and whoever walks the headers alone finds the same files at the same places.
 */
import { pipeline, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import tar, { type Header } from 'tar-stream';
import { decodeJson, Fault } from './errors.ts';
import { Manifest } from './schema/manifest.ts';
import { canonicalBytes } from './signing.ts';

export const ENTRY_FILE = 'main.mjs';
export const MANIFEST_FILE = 'manifest.json';
export const MAP_FILE = 'main.mjs.map';

export const bundleLimits = {
  manifestBytes: 512 * 1024,
  entryBytes: 32 * 2 ** 20,
  mapBytes: 64 * 2 ** 20,
  assets: 4096,
  assetPath: 200,
} as const;

export interface BundleFiles {
  readonly manifest: Manifest;
  /** The entry, one ES module without imports. */
  readonly entry: string;
  readonly sourceMap?: string;
  /** Path below `assets/` to bytes. */
  readonly assets?: ReadonlyMap<string, Uint8Array>;
}

/** Segments of plain characters, none of them empty, "." or ".."; the first does not begin with a dot or a dash. */
const ASSET_PATH = /^(?![.-])(?:(?!\.\.?(?:\/|$))[A-Za-z0-9._-]+(?:\/(?!$)|$))+$/;
const BLOCK = 512;
const blocks = (size: number) => Math.ceil(size / BLOCK) * BLOCK;

/** The bytes of a bundle (B1). @throws Fault `bundle-malformed` for what {@link readBundle} would refuse: an asset's path, a size */
export async function packBundle(files: BundleFiles): Promise<Uint8Array> {
  const text = new TextEncoder();
  const contents: (readonly [name: string, bytes: Uint8Array, limit: number])[] = [
    [MANIFEST_FILE, canonicalBytes(files.manifest), bundleLimits.manifestBytes],
    [ENTRY_FILE, text.encode(files.entry), bundleLimits.entryBytes],
  ];
  if (files.sourceMap !== undefined) contents.push([MAP_FILE, text.encode(files.sourceMap), bundleLimits.mapBytes]);
  const assets = [...(files.assets ?? [])].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  if (assets.length > bundleLimits.assets) throw malformed(tooManyAssets);
  for (const [path, bytes] of assets) {
    if (!isAssetPath(path)) {
      throw malformed(
        `assets/${path}: expected a relative path of letters, digits, ".", "_", "-" and "/", at most ${bundleLimits.assetPath} long`,
      );
    }
    contents.push([`assets/${path}`, bytes, Number.POSITIVE_INFINITY]);
  }
  for (const [name, bytes, limit] of contents) if (bytes.length > limit) throw malformed(tooLarge(name, bytes.length, limit));
  const pack = tar.pack();
  const done = buffer(pack);
  for (const [name, bytes] of contents)
    pack.entry({ name, size: bytes.length, mode: 0o444, uid: 0, gid: 0, mtime: new Date(0), type: 'file' }, Buffer.from(bytes));
  pack.finalize();
  return new Uint8Array(await done);
}

const isAssetPath = (path: string) => path.length <= bundleLimits.assetPath && ASSET_PATH.test(path);
const malformed = (detail: string, cause?: unknown) => new Fault('bundle-malformed', detail, { cause });
const tooManyAssets = `assets: expected at most ${bundleLimits.assets} files`;
const tooLarge = (name: string, found: number, limit: number) => `${name}: expected at most ${limit} bytes, found ${found}`;

export interface BundleContents {
  readonly manifest: Manifest;
  readonly entry: string;
  readonly sourceMap: string | undefined;
  /** Paths below `assets/`, in order, with their sizes in bytes. */
  readonly assets: readonly { readonly path: string; readonly size: number }[];
}

/** The header as tar-stream hands it out; its types do not say all of it. */
type FileHeader = Omit<Header, 'pax'> & {
  readonly byteOffset?: number;
  readonly pax?: Readonly<Record<string, string>> | null;
};

/**
 * Where a file ends that must begin right behind `before`: a header block, or three where its path is too long for ustar.
 * @throws Fault when it stands elsewhere, or when its extended header says more than the path: a size there would move what follows
 */
function placed(header: FileHeader, before: number): number {
  const { name, byteOffset = -1, size = 0, pax } = header;
  if (pax && Object.keys(pax).some((key) => key !== 'path')) throw malformed(`${name}: expected a plain ustar header`);
  if (byteOffset - before !== (pax ? 3 : 1) * BLOCK) throw malformed(`${name}: expected right behind the file before it`);
  return byteOffset + blocks(size);
}

/** Lets bytes through and remembers how many there were and how many zeros they end in, up to two blocks. */
function tailOf(bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
  let total = 0;
  let zeros = 0;
  return {
    chunks: (async function* () {
      for await (const chunk of bytes) {
        let last = chunk.length;
        while (last > 0 && chunk.length - last < 2 * BLOCK && chunk[last - 1] === 0) last--;
        zeros = last === 0 ? zeros + chunk.length : chunk.length - last;
        total += chunk.length;
        yield chunk;
      }
    })(),
    /** True when the last file ends at `end` and nothing but the two empty blocks of an archive's end follows. */
    isEndOf: (end: number) => total === end + 2 * BLOCK && zeros >= 2 * BLOCK,
  };
}

/**
 * Reads a bundle (B2).
 * @param wantAsset called with each asset's path; bytes are handed to what it returns, skipped when it returns undefined
 * @throws Fault `bundle-malformed` naming the file and what is wrong with it
 */
export async function readBundle(
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  wantAsset?: (path: string) => ((bytes: Uint8Array) => void) | undefined,
): Promise<BundleContents> {
  const extract = tar.extract();
  const tail = tailOf(bytes);
  const source = Readable.from(tail.chunks, { objectMode: false });
  let failure: unknown;
  pipeline(source, extract, (error) => {
    failure = error ?? undefined;
  });
  const seen = new Set<string>();
  let manifest: Manifest | undefined;
  let entry: string | undefined;
  let sourceMap: string | undefined;
  const assets: { path: string; size: number }[] = [];
  let end = 0;
  const read = async (stream: Readable, name: string, size: number, limit: number) => {
    if (size > limit) throw malformed(tooLarge(name, size, limit));
    const held = await buffer(stream);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(held);
    } catch (cause) {
      throw malformed(`${name}: not UTF-8 text`, cause);
    }
  };
  try {
    for await (const file of extract) {
      const { name, type, size = 0 } = file.header;
      if (type !== 'file') throw malformed(`${name}: expected a plain file, found a ${type}`);
      end = placed(file.header as FileHeader, end);
      if (seen.has(name)) throw malformed(`${name}: stands in the bundle twice`);
      seen.add(name);
      if (seen.size === 1 && name !== MANIFEST_FILE) throw malformed(`${name}: expected ${MANIFEST_FILE} as the first file`);
      if (name === MANIFEST_FILE) {
        manifest = decodeJson(
          Manifest,
          await read(file as unknown as Readable, name, size, bundleLimits.manifestBytes),
          'manifest',
          'bundle-malformed',
        );
      } else if (name === ENTRY_FILE) entry = await read(file as unknown as Readable, name, size, bundleLimits.entryBytes);
      else if (name === MAP_FILE) sourceMap = await read(file as unknown as Readable, name, size, bundleLimits.mapBytes);
      else if (name.startsWith('assets/') && isAssetPath(name.slice(7))) {
        if (assets.length >= bundleLimits.assets) throw malformed(tooManyAssets);
        assets.push({ path: name.slice(7), size });
        const take = wantAsset?.(name.slice(7));
        if (take) take(await buffer(file as unknown as Readable));
        else for await (const _ of file) void _;
      } else throw malformed(`${name}: no file of a bundle`);
    }
  } catch (error) {
    source.destroy();
    throw error instanceof Fault ? error : malformed(`not a readable archive (${(error as Error).message})`, error);
  }
  if (failure !== undefined) throw malformed(`not a readable archive (${(failure as Error).message})`, failure);
  if (!tail.isEndOf(end)) throw malformed('not a readable archive (expected two empty blocks right behind the last file)');
  if (!manifest) throw malformed(`${MANIFEST_FILE}: missing`);
  if (entry === undefined) throw malformed(`${ENTRY_FILE}: missing`);
  return { manifest, entry, sourceMap, assets };
}
