import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BundleFiles, bundleLimits, canonicalBytes, digestOf, Fault, packBundle, readBundle } from '../src/index.ts';
import { manifest, reordered } from './samples.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const files = (more: Partial<BundleFiles> = {}): BundleFiles => ({
  manifest: manifest(),
  entry: 'export default {};\n',
  ...more,
});
const well = fc.string({ unit: 'binary', maxLength: 60 }).filter((text) => text.isWellFormed());
const segment = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/);
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const content = fc.oneof(
  fc.uint8Array({ maxLength: 1200 }),
  fc.constantFrom(512, 1024, 1536).map((size) => new Uint8Array(size)),
);
const assets = fc.array(fc.tuple(path, content), { maxLength: 6 }).map((all) => new Map(all));

/** Everything of a bundle, assets included. */
async function readAll(chunks: Iterable<Uint8Array>) {
  const held = new Map<string, Uint8Array>();
  const contents = await readBundle(chunks, (name) => (data) => void held.set(name, new Uint8Array(data)));
  return { contents, held };
}
/** Cuts into pieces of the sizes given, over and over. */
function* cut(whole: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let at = 0, i = 0; at < whole.length; i++) {
    const size = sizes[i % sizes.length]!;
    yield whole.subarray(at, at + size);
    at += size;
  }
}

describe('a packed bundle', () => {
  it('reads back as it was, with any assets and however it arrives in pieces', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(well, fc.option(well, { nil: undefined }), assets, sizes, async (entry, sourceMap, some, pieces) => {
        const packed = await packBundle(files({ entry, assets: some, ...(sourceMap === undefined ? {} : { sourceMap }) }));
        const { contents, held } = await readAll(cut(packed, pieces));
        expect(contents.manifest).toEqual(manifest());
        expect(contents.entry).toBe(entry);
        expect(contents.sourceMap).toBe(sourceMap);
        expect(contents.assets).toEqual(
          [...some].map(([name, data]) => ({ path: name, size: data.length })).sort((a, b) => (a.path < b.path ? -1 : 1)),
        );
        expect([...held].sort()).toEqual([...some].map(([name, data]) => [name, new Uint8Array(data)] as const).sort());
      }),
      { numRuns: 60 },
    );
  });

  it('has the same bytes for the same files, in whatever order they are named (B1)', async () => {
    await fc.assert(
      fc.asyncProperty(assets, async (some) => {
        const one = await packBundle(files({ assets: some }));
        const other = await packBundle({ ...files({ assets: new Map([...some].reverse()) }), manifest: reordered(manifest()) });
        expect(digestOf(other)).toBe(digestOf(one));
      }),
      { numRuns: 30 },
    );
  });

  it('has the bytes it had in version 1: a digest in the field must stay reachable', async () => {
    const packed = await packBundle(
      files({
        sourceMap: '{}',
        assets: new Map([
          ['b.txt', bytes('b')],
          ['a/c.txt', bytes('c')],
        ]),
      }),
    );
    expect(packed.length).toBe(6144);
    expect(createHash('sha256').update(packed).digest('hex')).toBe(
      'f0a6a559bc0dbeb0cee9d495d525b3ee5c6e62139422bddcc7dc38124a20566c',
    );
  });

  it('is a tar other programs read: names, sizes, owner and time stand where ustar has them', async () => {
    const packed = Buffer.from(await packBundle(files()));
    const field = (at: number, length: number) => packed.toString('latin1', at, at + length).replace(/[\0 ]+$/, '');
    expect(field(0, 100)).toBe('manifest.json');
    expect(Number.parseInt(field(124, 12), 8)).toBe(canonicalBytes(manifest()).length);
    expect(field(257, 5)).toBe('ustar');
    expect(Number.parseInt(field(100, 8), 8)).toBe(0o444);
    for (const at of [108, 116, 136]) expect(Number.parseInt(field(at, 8), 8)).toBe(0);
    expect(packed.length % 512).toBe(0);
    expect(packed.subarray(-1024).every((byte) => byte === 0)).toBe(true);
  });

  it('keeps a byte order mark and an empty entry as they are', async () => {
    for (const entry of ['', '\ufeffexport default 1;'])
      expect((await readAll([await packBundle(files({ entry }))])).contents.entry).toBe(entry);
  });

  it('takes paths up to the limit, also where one name alone is longer than ustar has room for', async () => {
    const long = ['a'.repeat(bundleLimits.assetPath), `${'b/'.repeat(98)}ccc`, `${'d'.repeat(90)}/${'e'.repeat(99)}`];
    const { contents, held } = await readAll([
      await packBundle(files({ assets: new Map(long.map((name) => [name, bytes(name)])) })),
    ]);
    expect(contents.assets.map(({ path: name }) => name)).toEqual([...long].sort());
    for (const name of long) expect(held.get(name)).toEqual(bytes(name));
  });

  it('is taken by the reader whenever the packer made it (B3), up to the limits', async () => {
    const many = new Map(Array.from({ length: bundleLimits.assets }, (_, i) => [`a/${i}`, new Uint8Array()]));
    expect((await readAll([await packBundle(files({ assets: many }))])).contents.assets).toHaveLength(bundleLimits.assets);
  });
});

describe('the packer refuses, naming what', () => {
  it.each([
    '',
    '/etc/passwd',
    '../up',
    'a/../b',
    'a/..',
    '..',
    '.',
    './a',
    'a/./b',
    'a//b',
    'a/',
    '.hidden',
    '-a',
    'a\\b',
    'a b',
    'ä',
    'a\n',
    'a\u0000',
    'a:b',
    'x'.repeat(201),
  ])('the asset path %j', async (name) => {
    await expect(packBundle(files({ assets: new Map([[name, bytes('x')]]) }))).rejects.toMatchObject({
      code: 'bundle-malformed',
      detail: expect.stringContaining(`assets/${name}`),
    });
  });

  it('more assets than a reader takes, and an entry or a manifest that is too large', async () => {
    const many = new Map(Array.from({ length: bundleLimits.assets + 1 }, (_, i) => [`a${i}`, new Uint8Array()]));
    await expect(packBundle(files({ assets: many }))).rejects.toThrow(/at most 4096 files/);
    const big = manifest({ config: { text: 'x'.repeat(bundleLimits.manifestBytes) } });
    await expect(packBundle(files({ manifest: big }))).rejects.toThrow(/manifest.json: expected at most 524288 bytes, found/);
    await expect(packBundle(files({ entry: ' '.repeat(bundleLimits.entryBytes + 1) }))).rejects.toThrow(
      /main.mjs: expected at most/,
    );
    await expect(packBundle(files({ assets: many }))).rejects.toBeInstanceOf(Fault);
  });
});
