/**
 * The bundle's container: one tar (POSIX ustar) with fixed order, owner, mode and time, so that the same files give the same bytes.
 *
 * Layout: `manifest.json` first, then `main.mjs`, `main.mjs.map` where there is one, then `assets/<path>` in byte order.
 *
 * Promises:
 * B1. `packBundle` is a function of its input: no clock, no file system, no compression whose output could change.
 * B2. `readBundle` takes nothing that is not in the layout: no links, no absolute or climbing paths, no second copy of a name,
 *     nothing above the limits. It never holds more than manifest, entry and source map in memory.
 */
import { pipeline, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import tar from 'tar-stream';
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

const ASSET_PATH = /^(?!.*(?:^|\/)\.\.?(?:\/|$))[A-Za-z0-9_][A-Za-z0-9._/-]*$/;

/** The bytes of a bundle (B1). @throws Fault `bundle-malformed` when an asset's path is not allowed */
export async function packBundle(files: BundleFiles): Promise<Uint8Array> {
  const pack = tar.pack();
  const done = buffer(pack);
  const add = (name: string, bytes: Uint8Array) =>
    pack.entry({ name, size: bytes.length, mode: 0o444, uid: 0, gid: 0, mtime: new Date(0), type: 'file' }, Buffer.from(bytes));
  const text = new TextEncoder();
  add(MANIFEST_FILE, canonicalBytes(files.manifest));
  add(ENTRY_FILE, text.encode(files.entry));
  if (files.sourceMap !== undefined) add(MAP_FILE, text.encode(files.sourceMap));
  const assets = [...(files.assets ?? [])].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  for (const [path, bytes] of assets) {
    if (!ASSET_PATH.test(path) || path.length > bundleLimits.assetPath) {
      throw new Fault(
        'bundle-malformed',
        `assets/${path}: expected a relative path of letters, digits, ".", "_", "-" and "/", at most ${bundleLimits.assetPath} long`,
      );
    }
    add(`assets/${path}`, bytes);
  }
  pack.finalize();
  return new Uint8Array(await done);
}

export interface BundleContents {
  readonly manifest: Manifest;
  readonly entry: string;
  readonly sourceMap: string | undefined;
  /** Paths below `assets/`, in order, with their sizes in bytes. */
  readonly assets: readonly { readonly path: string; readonly size: number }[];
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
  const source = Readable.from(bytes, { objectMode: false });
  let failure: unknown;
  pipeline(source, extract, (error) => {
    failure = error ?? undefined;
  });
  const seen = new Set<string>();
  let manifest: Manifest | undefined;
  let entry: string | undefined;
  let sourceMap: string | undefined;
  const assets: { path: string; size: number }[] = [];
  const bad = (detail: string, cause?: unknown) => new Fault('bundle-malformed', detail, { cause });
  const read = async (stream: Readable, name: string, size: number, limit: number) => {
    if (size > limit) throw bad(`${name}: expected at most ${limit} bytes, found ${size}`);
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(await buffer(stream));
    } catch (cause) {
      throw bad(`${name}: not UTF-8 text`, cause);
    }
  };
  try {
    for await (const file of extract) {
      const { name, type, size = 0 } = file.header;
      if (type !== 'file') throw bad(`${name}: expected a plain file, found a ${type}`);
      if (seen.has(name)) throw bad(`${name}: stands in the bundle twice`);
      seen.add(name);
      if (seen.size === 1 && name !== MANIFEST_FILE) throw bad(`${name}: expected ${MANIFEST_FILE} as the first file`);
      if (name === MANIFEST_FILE) {
        manifest = decodeJson(
          Manifest,
          await read(file as unknown as Readable, name, size, bundleLimits.manifestBytes),
          'manifest',
          'bundle-malformed',
        );
      } else if (name === ENTRY_FILE) entry = await read(file as unknown as Readable, name, size, bundleLimits.entryBytes);
      else if (name === MAP_FILE) sourceMap = await read(file as unknown as Readable, name, size, bundleLimits.mapBytes);
      else if (name.startsWith('assets/') && ASSET_PATH.test(name.slice(7)) && name.length <= bundleLimits.assetPath + 7) {
        if (assets.length >= bundleLimits.assets) throw bad(`assets: expected at most ${bundleLimits.assets} files`);
        assets.push({ path: name.slice(7), size });
        const take = wantAsset?.(name.slice(7));
        if (take) take(await buffer(file as unknown as Readable));
        else for await (const _ of file) void _;
      } else throw bad(`${name}: no file of a bundle`);
    }
  } catch (error) {
    source.destroy();
    throw error instanceof Fault ? error : bad(`not a readable archive (${(error as Error).message})`, error);
  }
  if (failure !== undefined) throw bad(`not a readable archive (${(failure as Error).message})`, failure);
  if (!manifest) throw bad(`${MANIFEST_FILE}: missing`);
  if (entry === undefined) throw bad(`${ENTRY_FILE}: missing`);
  return { manifest, entry, sourceMap, assets };
}
