/** The trust document on a real disk: what is taken in, and what a restart, a damaged disk and another configuration make of it. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, signTrust, silentLogger, systemClock, TrustDocument, type TrustRoots } from '@cim/contracts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTrustStore } from '../../src/trust/store.ts';
import { operator, type Publisher, publisher } from '../bundle/make.ts';

const [ann, ben, cid] = [operator('ann'), operator('ben'), operator('cid')];
const [acme, evil] = [publisher('acme'), publisher('evil')];
const roots: TrustRoots = { publishers: [acme.trusted], operators: [ann.trusted, ben.trusted], operatorThreshold: 2 };
let directory: string;
let events: string[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cim-trust-'));
  events = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const file = () => join(directory, 'trust.json');
async function opened(from: TrustRoots = roots, clock: Clock = systemClock) {
  const emit = (type: string, data: Record<string, unknown>) => void events.push(`${type} ${data['sequence'] ?? data['code']}`);
  const store = createTrustStore({ file: file(), roots: from, clock, log: silentLogger, emit });
  await store.load();
  return store;
}
const document = (more: object = {}) =>
  TrustDocument.parse({
    api: 1,
    sequence: 1,
    issuedAt: '2026-01-01T00:00:00Z',
    issuedBy: 'ann',
    publishers: [],
    revokedKeys: [],
    revokedBundles: [],
    ...more,
  });
const revoking = (one: Publisher) => [{ key: one.trusted.key, reason: 'stolen', at: '2026-01-01T00:00:00Z' }];
const bytes = (of: TrustDocument, ...by: readonly Publisher[]) =>
  new TextEncoder().encode(JSON.stringify({ document: of, signatures: by.map(({ signer }) => signTrust(of, signer)) }));
const codes = (store: { conditions(): { readonly code: string }[] }) => store.conditions().map(({ code }) => code);

test('is on the disk before it counts, and counts after a restart without a hub', async () => {
  const store = await opened();
  expect(await store.intake(bytes(document({ revokedKeys: revoking(acme), publishers: [evil.trusted] }), ann, ben))).toBe(
    'accepted',
  );
  expect(store.now().revokedKeys.get(acme.trusted.key)).toBe('stolen');
  const again = await opened();
  expect(again.now().document).toEqual(store.now().document);
  expect(again.now().publishers.map(({ name }) => name)).toEqual(['acme', 'evil']);
  expect(again.conditions()).toEqual([]);
  expect(events).toEqual(['trust.changed 1']);
});

test('an older, a forged, a half-signed document is refused with a condition, said once, and the last good stays', async () => {
  const store = await opened();
  await store.intake(bytes(document({ sequence: 5, revokedKeys: revoking(acme) }), ann, ben));
  const held = store.now();
  const later = document({ sequence: 6, revokedKeys: revoking(acme) });
  for (const bad of [
    bytes(document({ sequence: 4, revokedKeys: revoking(acme) }), ann, ben),
    bytes(later, ann),
    bytes(later, ann, ann),
    bytes(later, cid, evil),
    bytes(document({ sequence: 6 }), ann, ben),
    new TextEncoder().encode('{}'),
    new Uint8Array([0xff]),
  ]) {
    expect(await store.intake(bad)).toBe('refused');
    expect(await store.intake(bad)).toBe('refused');
    expect(store.now()).toBe(held);
    expect(codes(store)).toEqual(['trust-refused']);
  }
  expect(events).toEqual([
    'trust.changed 5',
    'trust.refused sequence-rollback',
    'trust.refused threshold-unmet',
    'trust.refused signer-unknown',
    'trust.refused conflict',
    'trust.refused invalid-input',
    'trust.refused invalid-input',
  ]);
  // A replay is caught after a restart as well.
  expect(await (await opened()).intake(bytes(document({ sequence: 4, revokedKeys: revoking(acme) }), ann, ben))).toBe(
    'refused',
  );
  expect(await store.intake(bytes(later, ann, ben))).toBe('accepted');
  expect(codes(store)).toEqual([]);
});

test('without operators in the configuration nobody can vouch for a document', async () => {
  const store = await opened({ ...roots, operators: [], operatorThreshold: 1 });
  expect(await store.intake(bytes(document({ revokedKeys: revoking(acme) }), ann, ben))).toBe('refused');
  expect(store.now().revokedKeys.size).toBe(0);
});

test('when configuration no longer knows the signers, revocations and sequence hold, additions do not', async () => {
  await (await opened()).intake(
    bytes(document({ sequence: 3, revokedKeys: revoking(acme), publishers: [evil.trusted] }), ann, ben),
  );
  const store = await opened({ ...roots, operators: [cid.trusted], operatorThreshold: 1 });
  expect(codes(store)).toEqual(['trust-unsigned']);
  expect(store.now().revokedKeys.has(acme.trusted.key)).toBe(true);
  expect(store.now().publishers.map(({ name }) => name)).toEqual(['acme']);
  expect(await store.intake(bytes(document({ sequence: 2, revokedKeys: revoking(acme) }), cid))).toBe('refused');
  expect(await store.intake(bytes(document({ sequence: 4, revokedKeys: revoking(acme) }), cid))).toBe('accepted');
  expect(codes(store)).toEqual([]);
});

test('an added publisher put into the file by hand is not trusted', async () => {
  await (await opened()).intake(bytes(document({ sequence: 3 }), ann, ben));
  const record = JSON.parse(await readFile(file(), 'utf8'));
  record.document.publishers = [evil.trusted];
  await writeFile(file(), JSON.stringify(record));
  const store = await opened();
  expect(store.now().publishers.map(({ name }) => name)).toEqual(['acme']);
  expect(codes(store)).toEqual(['trust-unsigned']);
});

test('a file that cannot be read is put aside, loudly, and the hub is asked again', async () => {
  await writeFile(file(), '{"document":');
  const store = await opened();
  expect(codes(store)).toEqual(['trust-corrupt']);
  expect(await readFile(`${file()}.corrupt`, 'utf8')).toBe('{"document":');
  expect(await store.intake(bytes(document(), ann, ben))).toBe('accepted');
  expect(codes(store)).toEqual([]);
});

test('an expired document is said, and what it adds may sign nothing new', async () => {
  let now = Date.parse('2026-02-01T00:00:00Z');
  const store = await opened(roots, { ...systemClock, now: () => now });
  await store.intake(bytes(document({ publishers: [evil.trusted], expires: '2026-03-01T00:00:00Z' }), ann, ben));
  expect(codes(store)).toEqual([]);
  now = Date.parse('2026-03-01T00:00:00Z');
  expect(codes(store)).toEqual(['trust-expired']);
  expect(store.now().publishers.find(({ name }) => name === 'evil')?.validUntil).toBe('2026-03-01T00:00:00Z');
});
