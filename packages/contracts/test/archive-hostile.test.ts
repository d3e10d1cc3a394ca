/** Archives nobody's packer makes: each is refused with `bundle-malformed`, none is read to the end of memory or of time. */
import fc from 'fast-check';
import tar, { type Header } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { type BundleContents, bundleLimits, canonicalBytes, Fault, packBundle, readBundle } from '../src/index.ts';
import { manifest } from './samples.ts';

type Entry = readonly [header: Partial<Header> & { name: string }, content?: string | Uint8Array];
const good: readonly Entry[] = [
  [{ name: 'manifest.json' }, canonicalBytes(manifest())],
  [{ name: 'main.mjs' }, 'export default {};'],
];

/** A tar of exactly these entries. */
async function archive(entries: readonly Entry[]): Promise<Uint8Array> {
  const pack = tar.pack();
  for (const [header, content = ''] of entries) {
    const data = Buffer.from(content);
    const plain = header.type === undefined || header.type === 'file';
    if (plain) pack.entry({ mtime: new Date(0), ...header, size: data.length }, data);
    else pack.entry({ mtime: new Date(0), ...header });
  }
  pack.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of pack) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/** What became of it, within ten seconds: everything else is a hang. */
async function outcome(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<BundleContents | Fault> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('hangs')), 10_000);
  });
  try {
    return await Promise.race([readBundle(chunks), late]);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
async function refusal(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<string> {
  const found = await outcome(chunks);
  expect(found).toBeInstanceOf(Fault);
  expect((found as Fault).code).toBe('bundle-malformed');
  return (found as Fault).detail;
}

describe('refused: what is not in the layout (B2)', () => {
  const file = (name: string, content = 'x'): Entry => [{ name }, content];
  it.each<[string, readonly Entry[], RegExp]>([
    [
      'a symbolic link',
      [...good, [{ name: 'assets/l', type: 'symlink', linkname: '/etc/passwd' }]],
      /assets\/l: expected a plain file, found a symlink/,
    ],
    [
      'a hard link',
      [...good, [{ name: 'assets/l', type: 'link', linkname: 'main.mjs' }]],
      /expected a plain file, found a link/,
    ],
    ['a folder', [...good, [{ name: 'assets/', type: 'directory' }]], /expected a plain file, found a directory/],
    [
      'a device',
      [...good, [{ name: 'assets/d', type: 'character-device', devmajor: 1, devminor: 3 }]],
      /found a character-device/,
    ],
    ['a fifo', [...good, [{ name: 'assets/p', type: 'fifo' }]], /found a fifo/],
    ['an absolute path', [...good, file('/etc/passwd')], /passwd: no file of a bundle/],
    ['a climbing path', [...good, file('../main.mjs')], /no file of a bundle/],
    ['a path that climbs later', [...good, file('assets/a/../../x')], /no file of a bundle/],
    ['a path that climbs at its end', [...good, file('assets/a/..')], /no file of a bundle/],
    ['two slashes', [...good, file('assets/a//b')], /no file of a bundle/],
    ['a hidden asset', [...good, file('assets/.x')], /no file of a bundle/],
    ['an asset without a name', [...good, [{ name: 'assets/\0' }, 'x']], /./],
    ['a backslash', [...good, file('assets\\x')], /no file of a bundle/],
    ['another file', [...good, file('package.json')], /package.json: no file of a bundle/],
    ['a second entry', [...good, file('main.mjs', 'evil')], /main.mjs: stands in the bundle twice/],
    ['a second manifest', [...good, good[0]!], /manifest.json: stands in the bundle twice/],
    ['a second asset of a name', [...good, file('assets/a'), file('assets/a')], /assets\/a: stands in the bundle twice/],
    ['another first file', [good[1]!, good[0]!], /main.mjs: expected manifest.json as the first file/],
    ['no entry', [good[0]!], /main.mjs: missing/],
    ['nothing', [], /manifest.json: missing/],
    ['a manifest that is none', [[{ name: 'manifest.json' }, '{"api":2}'], good[1]!], /manifest: api: expected 1, found 2/],
    ['a manifest that is no JSON', [[{ name: 'manifest.json' }, 'hello'], good[1]!], /manifest: not JSON/],
    ['an entry that is no UTF-8', [good[0]!, [{ name: 'main.mjs' }, new Uint8Array([0xff, 0xfe])]], /main.mjs: not UTF-8 text/],
    [
      'a manifest above the limit',
      [[{ name: 'manifest.json' }, ' '.repeat(bundleLimits.manifestBytes + 1)]],
      /manifest.json: expected at most 524288 bytes, found 524289/,
    ],
    ['a path above the limit', [...good, file(`assets/${'a/'.repeat(100)}b`)], /no file of a bundle/],
    ['a header that says more than a path', [...good, [{ name: 'assets/a', pax: { size: '1' } }, 'x'.repeat(600)]], /./],
    [
      'a header with attributes',
      [...good, [{ name: 'assets/a', pax: { 'SCHILY.xattr.user.x': 'y' } }, 'x']],
      /assets\/a: expected a plain ustar header/,
    ],
  ])('%s', async (_, entries, detail) => {
    expect(await refusal([await archive(entries)])).toMatch(detail);
  });

  it('more assets than allowed', async () => {
    const many = Array.from({ length: bundleLimits.assets + 1 }, (_, i): Entry => [{ name: `assets/${i}` }]);
    expect(await refusal([await archive([...good, ...many])])).toMatch(/at most 4096 files/);
  });
});

describe('refused: bytes that are in no file', () => {
  const zeros = (blocks: number) => new Uint8Array(blocks * 512);

  it('behind the end', async () => {
    const packed = await packBundle({ manifest: manifest(), entry: '' });
    for (const more of [zeros(1), zeros(20), new Uint8Array([1]), new TextEncoder().encode('x'.repeat(512)), packed])
      expect(await refusal([packed, more])).not.toBe('');
  });

  it('in an end that only looks empty: a block whose bytes stand where ustar has the checksum', async () => {
    const packed = Buffer.from(await packBundle({ manifest: manifest(), entry: '' }));
    for (const block of [packed.length - 1024, packed.length - 512]) {
      const copy = Buffer.from(packed);
      copy.write('smuggled', block + 148, 'latin1');
      expect(await refusal([copy])).toMatch(/two empty blocks/);
    }
  });

  it('between two files: an empty block ends the archive for one reader and not for another', async () => {
    const whole = await archive(good);
    const second = 512 + Math.ceil(canonicalBytes(manifest()).length / 512) * 512;
    expect(await refusal([whole.subarray(0, second), zeros(1), whole.subarray(second)])).toMatch(
      /right behind the file before it/,
    );
    expect(await refusal([zeros(1), whole])).toMatch(/right behind the file before it/);
  });
});

describe('refused: what was cut off', () => {
  it('after any byte', async () => {
    const packed = await packBundle({
      manifest: manifest(),
      entry: 'export default {};',
      assets: new Map([
        ['a', new Uint8Array(2048)],
        ['b', new Uint8Array(700).fill(7)],
      ]),
    });
    expect(await outcome([packed])).not.toBeInstanceOf(Fault);
    for (let at = 0; at < packed.length; at += at % 512 < 2 || at % 512 > 509 ? 1 : 37)
      expect(await refusal([packed.subarray(0, at)])).not.toBe('');
  });

  it('by a sender that fails: the fault it fails with is kept, anything else is told as what it is', async () => {
    const packed = await packBundle({ manifest: manifest(), entry: 'x'.repeat(5000) });
    async function* failing(error: Error) {
      yield packed.subarray(0, 1500);
      throw error;
    }
    const kept = new Fault('hub-unreachable', 'the link broke');
    expect(await outcome(failing(kept))).toBe(kept);
    expect(await refusal(failing(new Error('EIO')))).toMatch(/not a readable archive \(EIO\)/);
  });
});

describe('refused: damage and garbage', () => {
  it('random bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 4 }), async (chunks) => {
        expect(await refusal(chunks)).not.toBe('');
      }),
      { numRuns: 150 },
    );
  });

  it('a good archive with bytes put over: it is refused, or nothing a file says has changed but its bytes', async () => {
    const packed = await packBundle({
      manifest: manifest(),
      entry: 'export default {};',
      assets: new Map([['a', new Uint8Array(600)]]),
    });
    await fc.assert(
      fc.asyncProperty(fc.nat(packed.length - 1), fc.uint8Array({ minLength: 1, maxLength: 16 }), async (at, put) => {
        const copy = Buffer.from(packed);
        copy.set(put.subarray(0, copy.length - at), at);
        const found = await outcome([copy]);
        if (found instanceof Fault) expect(found.code).toBe('bundle-malformed');
        else expect(found.assets.map(({ size }) => size)).toEqual([600]);
      }),
      { numRuns: 300 },
    );
  });

  it('a file that says it is larger than all there is', async () => {
    const claims = await claiming([...good, [{ name: 'assets/a' }]], 'assets/a', 2 ** 32);
    expect(await refusal([claims, new Uint8Array(4096)])).toMatch(/not a readable archive/);
  });
});

/** The archive up to the header of its last file, which says `size` whatever follows. */
async function claiming(entries: readonly Entry[], name: string, size: number): Promise<Uint8Array> {
  const whole = Buffer.from(await archive(entries));
  const at = whole.indexOf(name);
  whole.write(`${size.toString(8).padStart(11, '0')}\0`, at + 124, 'latin1');
  // ustar's checksum: the sum of the header's bytes with the checksum itself read as spaces.
  whole.write('        ', at + 148, 'latin1');
  const sum = whole.subarray(at, at + 512).reduce((all, byte) => all + byte, 0);
  whole.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
  return whole.subarray(0, at + 512);
}

describe('memory', () => {
  const MiB = 2 ** 20;
  /** `head`, then `size` bytes made as they are asked for, then an archive's end; `seen` is told how many have passed. */
  async function* huge(head: Uint8Array, size: number, seen: (passed: number) => void): AsyncGenerator<Uint8Array> {
    yield head;
    const chunk = Buffer.alloc(MiB / 4, 1);
    for (let passed = 0; passed < size; passed += chunk.length) {
      seen(passed);
      yield chunk;
    }
    yield Buffer.alloc(1024);
  }

  it('of a large asset that is skipped is not held', async () => {
    const size = 512 * MiB;
    const before = process.memoryUsage().rss;
    let most = 0;
    const head = await claiming([...good, [{ name: 'assets/huge' }]], 'assets/huge', size);
    const contents = await readBundle(
      huge(head, size, (passed) => {
        if (passed % (8 * MiB) === 0) most = Math.max(most, process.memoryUsage().rss - before);
      }),
    );
    expect(contents.assets).toEqual([{ path: 'huge', size }]);
    expect(most).toBeLessThan(96 * MiB);
  });

  it('of an entry above the limit is not held either: its size is known before its bytes', async () => {
    let passed = 0;
    const head = await claiming([good[0]!, [{ name: 'main.mjs' }]], 'main.mjs', 64 * MiB);
    expect(
      await refusal(
        huge(head, 64 * MiB, (now) => {
          passed = now;
        }),
      ),
    ).toMatch(/main.mjs: expected at most 33554432 bytes, found 67108864/);
    expect(passed).toBeLessThan(4 * MiB);
  });
});
