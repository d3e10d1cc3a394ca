/** Each bad bundle is refused by the checks of contracts for what is wrong with it, and the good one passes all of them. */
import { digestOf, Fault, manifestDigest, readBundle, verifyStatement } from '@cim/contracts';
import { describe, expect, test } from 'vitest';
import {
  badBundle,
  badBundles,
  badKinds,
  largeBundle,
  olderThan,
  type TestBundle,
  testBundle,
  testPublisher,
  trusted,
} from '../src/index.ts';

/** Every check a node makes, in a node's order. */
async function verify(bundle: TestBundle): Promise<void> {
  const { statement } = verifyStatement(bundle.envelope, [trusted(testPublisher())]);
  if (bundle.bytes.length !== statement.size || digestOf(bundle.bytes) !== statement.digest)
    throw new Fault('digest-mismatch', 'other bytes');
  const { manifest } = await readBundle([bundle.bytes]);
  if (manifestDigest(manifest) !== statement.manifestDigest) throw new Fault('digest-mismatch', 'other manifest');
}

test('a good bundle passes, with assets and any entry', async () => {
  await verify(await testBundle());
  const bundle = await testBundle({
    name: 'other',
    kind: 'service',
    version: '2.1.0',
    entry: 'export default {};',
    assets: { 'a/b.txt': 'text' },
    manifest: { capabilities: { 'other.do': {} }, grants: { kv: true } },
  });
  await verify(bundle);
  const { assets, manifest } = await readBundle([bundle.bytes]);
  expect(assets.map(({ path }) => path)).toEqual(['a/b.txt']);
  expect(manifest).toMatchObject({ name: 'other', kind: 'service', version: '2.1.0', grants: { kv: true } });
});

test('the same bundle twice is the same bytes', async () => {
  const [one, two] = [await testBundle(), await testBundle()];
  expect(one.statement.digest).toBe(two.statement.digest);
});

describe('a bad bundle is refused', () => {
  test.each(badKinds)('%s', async (kind) => {
    const fault = await verify(await badBundle(kind)).then(
      () => undefined,
      (error: Fault) => error,
    );
    expect(fault).toBeInstanceOf(Fault);
    expect(badBundles[kind]).toContain(fault!.code);
  });
});

test('an older one is good in itself and has the lower sequence', async () => {
  const newer = await testBundle({ sequence: 7 });
  const older = olderThan(newer);
  await verify(older);
  expect(older.statement.sequence).toBe(6);
  expect(() => olderThan(olderThan(olderThan(olderThan(olderThan(olderThan(olderThan(newer)))))))).toThrow(RangeError);
});

test('a large one has the size asked for', async () => {
  const bundle = await largeBundle(3 * 2 ** 20);
  expect(bundle.bytes.length).toBeGreaterThan(3 * 2 ** 20);
  await verify(bundle);
});
