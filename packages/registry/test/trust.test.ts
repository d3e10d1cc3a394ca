/** Trust at the registry: the trust document, threshold, scopes, validity, the transparency log and provenance, each with who attacks it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Attestation,
  attest,
  type BundleStatement,
  type DesiredRecord,
  digestOf,
  type LogEntry,
  logReader,
  type Signer,
  signDesired,
  signerFromSeed,
  signStatement,
  signTrust,
  streamName,
  TrustDocument,
  topology,
} from '@cim/contracts';
import { type TestBundle, testBundle, testOperator, testPublisher } from '@cim/testkit';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { createAccount } from '@nats-io/nkeys';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, desiredFor, desiredPath, type RegistryProcess, type World, world } from './support.ts';

const [acme, other, late] = [testPublisher('acme'), testPublisher('other'), testPublisher('late')];
const [ann, ben, cid] = [testOperator(), testOperator(), testOperator()];
const logSeed = new TextDecoder().decode(createAccount().getSeed());
const logKey = signerFromSeed(logSeed);
const key = (name: string, { publicKey }: Signer, more: object = {}) => ({ name, key: publicKey, ...more });
const trust = {
  publishers: [
    key('acme', acme, { scopes: { names: ['app', 'app-*'], grants: { publish: ['orders.eu.>'] } } }),
    key('late', late, { validUntil: '2020-01-01T00:00:00Z' }),
  ],
  operators: [key('ann', ann), key('ben', ben), key('cid', cid)],
  operatorThreshold: 2,
};
let hub: World;
let registry: RegistryProcess;
const outcome = ({ status, body }: Answer) => (status === 200 || status === 201 ? `${status}` : `${status} ${body.code}`);

beforeAll(async () => {
  hub = await world();
  writeFileSync(join(hub.directory, 'log.seed'), `${logSeed}\n`);
  registry = await hub.registry({ trust, transparency: { seedFile: '../log.seed' } });
});
afterAll(async () => void (await hub?.[Symbol.asyncDispose]()));

let standing: Record<string, unknown> = { publishers: [], revokedKeys: [], revokedBundles: [] };
const document = (sequence: number, more: object = {}) =>
  TrustDocument.parse({ api: 1, sequence, issuedAt: '2026-01-01T00:00:00Z', issuedBy: 'ann', ...standing, ...more });
const signed = (of: TrustDocument, ...by: readonly Signer[]) => ({
  document: of,
  signatures: by.map((one) => signTrust(of, one)),
});
const put = (record: unknown, role = 'operator') => registry.ask('PUT', '/api/v1/trust', { role, body: record });
const revoked = (one: Signer) => ({ key: one.publicKey, reason: 'stolen', at: '2026-01-01T00:00:00Z' });
const bundleOf = (name: string, signer: Signer, more: object = {}): Promise<TestBundle> =>
  testBundle({ name, signer, ...more });
async function entries(from = registry): Promise<LogEntry[]> {
  const { body } = await from.ask('GET', '/api/v1/log', { role: 'viewer' });
  if (body === '') return [];
  // One entry is JSON by itself; several are lines.
  return typeof body === 'string'
    ? body
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
    : [body];
}

describe('a publisher', () => {
  test('publishes within its scope and its time, and nothing else', async () => {
    expect(outcome(await registry.publish(await bundleOf('app', acme)))).toBe('201');
    expect(outcome(await registry.publish(await bundleOf('app-two', acme)))).toBe('201');
    expect(outcome(await registry.publish(await bundleOf('billing', acme)))).toBe('403 scope-exceeded');
    const greedy = await bundleOf('app-three', acme, { manifest: { grants: { publish: ['orders.>'] } } });
    const answer = await registry.publish(greedy);
    expect(outcome(answer)).toBe('403 scope-exceeded');
    expect(answer.body.errors).toEqual([expect.objectContaining({ path: 'manifest.grants.publish' })]);
    expect(outcome(await registry.publish(await bundleOf('anything', late)))).toBe('403 signer-expired');
    expect(outcome(await registry.publish(await bundleOf('anything', other)))).toBe('403 signer-unknown');
  });
});

describe('the trust document', () => {
  test('there is none at first; nobody but operators may write one', async () => {
    expect(outcome(await registry.ask('GET', '/api/v1/trust', { role: 'viewer' }))).toBe('404 not-found');
    for (const role of ['viewer', 'publisher'])
      expect(outcome(await put(signed(document(1), ann, ben), role))).toBe('403 forbidden');
  });

  test('takes the threshold of different operators, whatever the token says', async () => {
    expect(outcome(await put(signed(document(1), ann)))).toBe('403 threshold-unmet');
    expect(outcome(await put(signed(document(1), ann, ann)))).toBe('403 threshold-unmet');
    expect(outcome(await put(signed(document(1), ann, testOperator())))).toBe('403 threshold-unmet');
    expect(outcome(await put({ document: document(1), signatures: [] }))).toBe('403 signer-unknown');
    const forged = { ...signed(document(1), ann, ben), document: document(1, { issuedBy: 'mallory' }) };
    expect(outcome(await put(forged, 'admin'))).toBe('422 signature-invalid');
    expect(outcome(await registry.ask('GET', '/api/v1/trust', { role: 'viewer' }))).toBe('404 not-found');
  });

  test('adds a publisher, is read back as it was signed, and again is no change', async () => {
    standing = { ...standing, publishers: [key('other', other)] };
    const record = signed(document(1), ann, ben);
    const dry = await registry.ask('PUT', '/api/v1/trust?dryRun=true', { role: 'operator', body: record });
    expect(outcome(dry)).toBe('200');
    expect(outcome(await registry.ask('GET', '/api/v1/trust', { role: 'viewer' }))).toBe('404 not-found');
    expect((await put(record)).body).toMatchObject({ changed: true });
    expect((await put(record)).body).toMatchObject({ changed: false });
    expect((await registry.ask('GET', '/api/v1/trust', { role: 'viewer' })).body.record).toEqual(record);
    expect(outcome(await registry.publish(await bundleOf('second', other)))).toBe('201');
  });

  test('a replayed or lower one is refused, and one that drops a revocation', async () => {
    standing = { ...standing, revokedKeys: [revoked(other)] };
    expect(outcome(await put(signed(document(5), ann, cid)))).toBe('200');
    expect(outcome(await put(signed(document(1, { revokedKeys: [] }), ann, ben)))).toBe('409 sequence-rollback');
    expect(outcome(await put(signed(document(6, { revokedKeys: [] }), ann, ben)))).toBe('409 conflict');
    expect(outcome(await put(signed(document(5, { issuedBy: 'ben' }), ann, ben)))).toBe('409 conflict');
  });

  test('a revoked publisher publishes nothing; what it published cannot be deployed, but can be removed', async () => {
    expect(outcome(await registry.publish(await bundleOf('third', other)))).toBe('403 publisher-revoked');
    const before = await bundleOf('second', other);
    const wish = (over: object, ...by: readonly Signer[]): DesiredRecord => {
      const { document: of } = desiredFor(before, over as Record<string, unknown>);
      return { document: of, signatures: by.map((one) => signDesired(of, one)) };
    };
    const send = (record: DesiredRecord) =>
      registry.ask('PUT', desiredPath(record), { role: 'operator', body: record, headers: { 'if-none-match': '*' } });
    expect(outcome(await send(wish({}, ann, ben)))).toBe('403 publisher-revoked');
  });

  test('a revoked bundle cannot be deployed; another version can', async () => {
    const [bad, good] = [await bundleOf('app', acme), await bundleOf('app', acme, { version: '1.0.1' })];
    await registry.publish(good);
    standing = { ...standing, revokedBundles: [{ digest: bad.statement.digest, reason: 'leaks', at: '2026-01-01T00:00:00Z' }] };
    expect(outcome(await put(signed(document(6), ann, ben)))).toBe('200');
    const send = (bundle: TestBundle, instance: string, ...by: readonly Signer[]) => {
      const { document: of } = desiredFor(bundle, { instance });
      const record = { document: of, signatures: by.map((one) => signDesired(of, one)) };
      return registry.ask('PUT', desiredPath(record), { role: 'operator', body: record, headers: { 'if-none-match': '*' } });
    };
    expect(outcome(await send(bad, 'cim-a', ann, ben))).toBe('403 bundle-revoked');
    // And the threshold holds for deployments as well.
    expect(outcome(await send(good, 'cim-a', ann))).toBe('403 threshold-unmet');
    expect(outcome(await send(good, 'cim-a', ben, ben))).toBe('403 threshold-unmet');
    expect(outcome(await send(good, 'cim-a', ann, ben))).toBe('200');
  });
});

describe('the transparency log', () => {
  const read = (all: readonly LogEntry[]) => {
    const reader = logReader([key('log', logKey)]);
    for (const entry of all) {
      const fault = reader.push(entry);
      if (fault) return fault.kind;
    }
    return reader.head()?.sequence;
  };

  test('has every publish, channel move and trust document, in order, signed, once', async () => {
    await registry.publish(await bundleOf('app-two', acme), { channel: 'stable' });
    const all = await entries();
    expect(read(all)).toBe(all.length);
    const said = all.map(({ body }) =>
      body.type === 'trust-published' ? `trust ${body.sequence}` : `${body.type} ${body.name}@${body.version}`,
    );
    expect(said).toEqual([
      'bundle-published app@1.0.0',
      'bundle-published app-two@1.0.0',
      'trust 1',
      'bundle-published second@1.0.0',
      'trust 5',
      'bundle-published app@1.0.1',
      'trust 6',
      'channel-set app-two@1.0.0',
    ]);
    const head = await registry.ask('GET', '/api/v1/log/head', { role: 'viewer' });
    expect(head.body).toMatchObject({ head: { sequence: all.length, hash: all.at(-1)!.hash }, key: logKey.publicKey });
  });

  test('is one chain whoever appends: two registries at once', async () => {
    const second = await hub.registry({ trust, transparency: { seedFile: '../log.seed' } });
    const before = (await entries()).length;
    await Promise.all(
      Array.from({ length: 6 }, async (_, n) =>
        (n % 2 === 0 ? registry : second).publish(await bundleOf('app', acme, { version: `2.0.${n}` })),
      ),
    );
    const all = await entries(second);
    expect(read(all)).toBe(before + 6);
    // What one of them logged, the other knows: the same bytes again are no second entry.
    expect(outcome(await second.publish(await bundleOf('app', acme, { version: '2.0.0' })))).toBe('200');
    expect(await entries()).toHaveLength(before + 6);
  });

  test('what was published where no log is kept is logged when it is published again', async () => {
    const unlogged = await hub.registry({ trust });
    const bundle = await bundleOf('app', acme, { version: '3.0.0' });
    const before = (await entries()).length;
    expect(outcome(await unlogged.publish(bundle))).toBe('201');
    expect(await entries()).toHaveLength(before);
    expect(outcome(await registry.publish(bundle))).toBe('200');
    expect((await entries()).at(-1)?.body).toMatchObject({ type: 'bundle-published', digest: bundle.statement.digest });
  });

  test('the hub refuses to delete or purge it; one that was rewritten is not written on', async () => {
    const jsm = await jetstreamManager(hub.admin);
    const stream = streamName(topology.transparency);
    await expect(jsm.streams.deleteMessage(stream, 1)).rejects.toThrow();
    await expect(jsm.streams.purge(stream)).rejects.toThrow();
    const all = await entries();
    // Whoever owns the server can still make it anew, with an entry changed.
    const { config } = await jsm.streams.info(stream);
    await jsm.streams.delete(stream);
    await jsm.streams.add(config as never);
    for (const [at, entry] of all.entries())
      await jetstream(hub.admin).publish(
        'cim.v1.transparency.x',
        JSON.stringify(at === 1 ? { ...entry, body: { ...entry.body, by: 'mallory' } } : entry),
      );
    const fresh = await hub.registry({ trust, transparency: { seedFile: '../log.seed' } });
    const bundle = await bundleOf('app', acme, { version: '4.0.0' });
    expect(outcome(await fresh.publish(bundle))).toBe('409 log-forked');
    const health = await fresh.ask('GET', '/health', { role: null });
    expect(health.body.conditions.map((one: { code: string }) => one.code)).toContain('log-forked');
    expect(outcome(await fresh.ask('GET', '/api/v1/catalog/app/resolve?ref=4.0.0', { role: 'viewer' }))).toBe('404 not-found');
  });
});

describe('provenance', () => {
  test('is kept with the version whose statement names it, and with no other', async () => {
    const plain = await hub.registry({ trust });
    const bundle = await bundleOf('app', acme, { version: '5.0.0' });
    const { attestation, digest } = attest(
      {
        bundle: bundle.statement,
        source: { digest: digestOf(new Uint8Array([1])), commit: 'c0ffee', dirty: true },
        builder: { version: '0.1.0', tools: {} },
        dependencies: [{ name: 'zod', version: '4.0.0', license: 'MIT', uses: [] }],
        uses: ['zod@4.0.0'],
      },
      acme,
    );
    const statement: BundleStatement = { ...bundle.statement, provenance: digest };
    const bound: TestBundle = { ...bundle, statement, envelope: signStatement(statement, acme) };
    const path = '/api/v1/catalog/app/versions/5.0.0/provenance';
    const store = (what: Attestation, role = 'publisher') => plain.ask('PUT', path, { role, body: what });
    expect(outcome(await store(attestation))).toBe('404 not-found');
    expect(outcome(await plain.publish(bound))).toBe('201');
    expect(outcome(await plain.ask('GET', path, { role: 'viewer' }))).toBe('404 not-found');
    const tampered = { ...attestation, sbom: { ...attestation.sbom, components: [] } };
    expect(outcome(await store(tampered))).toBe('422 digest-mismatch');
    expect(outcome(await store(attestation, 'viewer'))).toBe('403 forbidden');
    expect((await store(attestation)).body).toEqual({ created: true });
    expect((await store(attestation)).body).toEqual({ created: false });
    expect((await plain.ask('GET', path, { role: 'viewer' })).body).toEqual(attestation);
    // A list of the catalog still works with it beside the versions.
    expect(outcome(await plain.ask('GET', '/api/v1/catalog/app', { role: 'viewer' }))).toBe('200');
    const elsewhere = '/api/v1/catalog/app/versions/1.0.1/provenance';
    expect(outcome(await plain.ask('PUT', elsewhere, { role: 'publisher', body: attestation }))).toBe('422 digest-mismatch');
  });
});
