/** Publishing, finding and fetching bundles at a real registry on a real hub. */
import { readFileSync } from 'node:fs';
import { digester, digestOf, objectName, signStatement } from '@cim/contracts';
import { badBundle, badBundles, badKinds, signed, testBundle, testPublisher } from '@cim/testkit';
import { jetstream } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { outcome, problemOf, publishHeaders, type RegistryProcess, tokenOf, type World, world } from './support.ts';

const MiB = 2 ** 20;
const MAX_BUNDLE = 200 * MiB;
let hub: World;
let registry: RegistryProcess;

beforeAll(async () => {
  hub = await world();
  registry = await hub.registry({ limits: { maxBundle: MAX_BUNDLE } });
});
afterAll(async () => hub?.[Symbol.asyncDispose]());

describe('publish', () => {
  test('a good bundle can be found, resolved and fetched, by us and by any object-store client', async () => {
    const bundle = await testBundle({ name: 'first', assets: { 'a.txt': 'text' } });
    const answer = await registry.publish(bundle, { channel: 'stable' });
    expect(answer.status).toBe(201);
    const { name, version, kind, digest, size, sequence } = bundle.statement;
    expect(answer.body).toEqual({ name, version, kind, digest, size, sequence, created: true });

    const { body: item } = await registry.ask('GET', '/api/v1/catalog/first', { role: 'viewer' });
    expect(item).toMatchObject({ name, kind, channels: { stable: '1.0.0' } });
    expect(item.versions).toMatchObject([{ version, digest, size, publishedBy: 'publisher' }]);

    const { body: entry } = await registry.ask('GET', '/api/v1/catalog/first/resolve', { role: 'viewer' });
    expect(entry).toMatchObject({
      name,
      version,
      digest,
      size,
      sequence,
      envelope: bundle.envelope,
      manifest: bundle.manifest,
    });

    const bytes = await fetch(`${registry.url}/api/v1/bundles/${digest}`, {
      headers: { authorization: `Bearer ${tokenOf('viewer')}` },
    });
    expect(digestOf(new Uint8Array(await bytes.arrayBuffer()))).toBe(digest);

    const store = await new Objm(jetstream(hub.admin)).open('CIM_BUNDLES');
    expect(digestOf((await store.getBlob(objectName(digest)))!)).toBe(digest);
  });

  test('the same bytes again are the same version', async () => {
    const bundle = await testBundle({ name: 'again' });
    expect(outcome(await registry.publish(bundle))).toBe('201');
    const second = await registry.publish(bundle, { channel: 'edge' });
    expect(second.status).toBe(200);
    expect(second.body).toMatchObject({ created: false, digest: bundle.statement.digest });
    const { body } = await registry.ask('GET', '/api/v1/catalog/again/resolve?ref=edge');
    expect(body.version).toBe('1.0.0');
  });

  test('other bytes under a version that exists are a conflict, and the first stay', async () => {
    const one = await testBundle({ name: 'fixed' });
    const other = await testBundle({ name: 'fixed', entry: 'export default 2;\n', sequence: 2 });
    expect(outcome(await registry.publish(one))).toBe('201');
    expect(outcome(await registry.publish(other))).toBe('409 conflict');
    const { body } = await registry.ask('GET', '/api/v1/catalog/fixed/resolve?ref=1.0.0');
    expect(body.digest).toBe(one.statement.digest);
  });

  test('a name is one kind', async () => {
    expect(outcome(await registry.publish(await testBundle({ name: 'kindly' })))).toBe('201');
    const service = await testBundle({ name: 'kindly', kind: 'service', version: '2.0.0' });
    expect(outcome(await registry.publish(service))).toBe('409 conflict');
  });

  test('of many publishes of one version with different bytes exactly one wins', async () => {
    const bundles = await Promise.all(
      Array.from({ length: 12 }, (_, i) => testBundle({ name: 'raced', entry: `export default ${i};\n`, sequence: i + 1 })),
    );
    const answers = await Promise.all(bundles.map((bundle) => registry.publish(bundle)));
    const outcomes = answers.map(outcome).sort();
    expect(outcomes).toEqual(['201', ...Array.from({ length: 11 }, () => '409 conflict')]);
    const winner = bundles[answers.findIndex(({ status }) => status === 201)]!;
    const { body } = await registry.ask('GET', '/api/v1/catalog/raced/resolve');
    expect(body.digest).toBe(winner.statement.digest);
    const fetched = await registry.ask('GET', `/api/v1/bundles/${body.digest}`);
    expect(fetched.status).toBe(200);
  });

  test('of many publishes of the same bytes one creates and all succeed', async () => {
    const bundle = await testBundle({ name: 'together', assets: { 'x.txt': 'x'.repeat(300_000) } });
    const answers = await Promise.all(Array.from({ length: 8 }, () => registry.publish(bundle)));
    expect(answers.map(outcome).sort()).toEqual([...Array.from({ length: 7 }, () => '200'), '201']);
    const store = await new Objm(jetstream(hub.admin)).open('CIM_BUNDLES');
    expect(digestOf((await store.getBlob(objectName(bundle.statement.digest)))!)).toBe(bundle.statement.digest);
  });

  test.each(badKinds)('a bundle that is bad by %s is refused and leaves nothing', async (kind) => {
    const bundle = await badBundle(kind, await testBundle({ name: `bad-${kind}` }));
    const answer = await registry.publish(bundle);
    expect(badBundles[kind]).toContain(problemOf(answer).code);
    expect(outcome(await registry.ask('GET', `/api/v1/catalog/bad-${kind}`))).toBe('404 not-found');
    expect(outcome(await registry.ask('GET', `/api/v1/bundles/${digestOf(bundle.bytes)}`))).toBe('404 not-found');
  });

  test('a statement that names another version than the manifest is refused with the field', async () => {
    const bundle = await testBundle({ name: 'says' });
    const statement = { ...bundle.statement, version: '9.9.9' as never };
    const answer = await registry.publish({ ...bundle, envelope: signStatement(statement, bundle.signer) });
    expect(problemOf(answer)).toMatchObject({
      code: 'bundle-malformed',
      errors: [{ path: 'manifest.version', message: expect.stringContaining('9.9.9') }],
    });
  });

  test('too large is said by the statement, by the header and by the stream', async () => {
    const bundle = await testBundle({ name: 'huge' });
    const big = { ...bundle.statement, size: MAX_BUNDLE + 1 };
    const bySize = await registry.publish({ ...bundle, envelope: signStatement(big, bundle.signer) });
    expect(problemOf(bySize)).toMatchObject({ code: 'too-large', detail: expect.stringContaining('limits.maxBundle') });
    // No content-length: chunks that go on beyond what was announced.
    const endless = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(65_536)) });
    const answer = await fetch(`${registry.url}/api/v1/bundles`, {
      method: 'POST',
      body: endless,
      duplex: 'half',
      headers: { authorization: `Bearer ${tokenOf('publisher')}`, ...publishHeaders(bundle.envelope) },
    } as RequestInit).then(
      async (one) => ((await one.json()) as { code: string }).code,
      // The answer came while we were still sending; the client may call that an error.
      () => 'cut',
    );
    expect(['digest-mismatch', 'cut']).toContain(answer);
    expect(outcome(await registry.ask('GET', '/api/v1/catalog/huge'))).toBe('404 not-found');
  });

  test('the envelope header is checked field by field', async () => {
    const { bytes } = await testBundle();
    const send = (headers: Record<string, string>) => registry.ask('POST', '/api/v1/bundles', { raw: bytes, headers });
    const type = { 'content-type': 'application/vnd.cim.bundle' };
    expect(problemOf(await send(type)).errors).toMatchObject([{ path: 'header.cim-envelope' }]);
    expect(problemOf(await send({ ...type, 'cim-envelope': '!!' })).errors).toMatchObject([{ path: 'header.cim-envelope' }]);
    const empty = publishHeaders({ payloadType: 'x', payload: '', signatures: [] });
    expect(problemOf(await send(empty)).errors).toMatchObject([{ path: 'header.cim-envelope.signatures' }]);
    const json = await registry.ask('POST', '/api/v1/bundles', { body: {}, headers: { 'cim-envelope': 'e30=' } });
    expect(problemOf(json).errors).toMatchObject([{ path: 'header.content-type' }]);
  });

  test('a large bundle goes through in chunks: memory stays far below its size, at its peak too', async () => {
    const bundle = await testBundle({ name: 'large', assets: new Map([['zeros.bin', new Uint8Array(160 * MiB)]]) });
    await registry.publish(await testBundle({ name: 'warm' }));
    const peak = () => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${registry.pid}/status`, 'utf8'))?.[1]) * 1024;
    const before = peak();
    expect(outcome(await registry.publish(bundle))).toBe('201');
    const answer = await fetch(`${registry.url}/api/v1/bundles/${bundle.statement.digest}`, {
      headers: { authorization: `Bearer ${tokenOf('viewer')}` },
    });
    const hash = digester();
    for await (const chunk of answer.body!) hash.update(chunk);
    expect(hash.digest()).toBe(bundle.statement.digest);
    expect(peak() - before).toBeLessThan(110 * MiB);
  });

  test('bytes that were corrupted in the store are never handed out as good, and a publish of the lost ones mends them', async () => {
    const bundle = await testBundle({ name: 'rotten', assets: { 'a.txt': 'a'.repeat(200_000) } });
    await registry.publish(bundle);
    const name = objectName(bundle.statement.digest);
    const store = await new Objm(jetstream(hub.admin)).open('CIM_BUNDLES');
    const other = bundle.bytes.slice();
    other[5000]! ^= 1;
    await store.putBlob({ name }, other);
    const cut = fetch(`${registry.url}/api/v1/bundles/${bundle.statement.digest}`, {
      headers: { authorization: `Bearer ${tokenOf('viewer')}` },
    }).then((answer) => answer.arrayBuffer());
    await expect(cut).rejects.toThrow();
    await store.delete(name);
    expect(outcome(await registry.ask('GET', `/api/v1/bundles/${bundle.statement.digest}`))).toBe('404 not-found');
    const again = await registry.publish(bundle);
    expect(again.body).toMatchObject({ created: false });
    expect(digestOf((await store.getBlob(name))!)).toBe(bundle.statement.digest);
  });
});

describe('references', () => {
  beforeAll(async () => {
    for (const [i, version] of ['1.0.0', '1.2.0', '1.10.0', '2.0.0', '3.0.0-rc.1'].entries())
      await registry.publish(await testBundle({ name: 'many', version, sequence: i + 1 }));
  });
  const resolve = async (ref?: string) => {
    const query = ref === undefined ? '' : `?ref=${encodeURIComponent(ref)}`;
    const answer = await registry.ask('GET', `/api/v1/catalog/many/resolve${query}`);
    return answer.status === 200 ? answer.body.version : problemOf(answer).code;
  };

  test('exact, range, channel, none', async () => {
    expect(await resolve('1.2.0')).toBe('1.2.0');
    expect(await resolve('^1.0.0')).toBe('1.10.0');
    expect(await resolve('1.x')).toBe('1.10.0');
    expect(await resolve('3.0.0-rc.1')).toBe('3.0.0-rc.1');
    expect(await resolve()).toBe('2.0.0');
    const set = await registry.ask('PUT', '/api/v1/catalog/many/channels/stable', {
      role: 'publisher',
      body: { version: '1.2.0' },
      headers: { 'cim-reason': 'tried for a week' },
    });
    expect(set.body).toMatchObject({ name: 'many', channel: 'stable', version: '1.2.0', setBy: 'publisher' });
    expect(await resolve()).toBe('1.2.0');
    expect(await resolve('stable')).toBe('1.2.0');
    const { body } = await registry.ask('GET', '/api/v1/events?instance=hub&pattern=bundle.many.channel-set');
    expect(body.events.at(-1).event.data).toMatchObject({ version: '1.2.0', by: 'publisher', reason: 'tried for a week' });
  });

  test('what is not there is said', async () => {
    expect(await resolve('4.0.0')).toBe('not-found');
    expect(await resolve('^9')).toBe('not-found');
    expect(await resolve('beta')).toBe('not-found');
    expect(await resolve('>>nonsense')).toBe('invalid-input');
    const set = await registry.ask('PUT', '/api/v1/catalog/many/channels/edge', { body: { version: '7.0.0' } });
    expect(outcome(set)).toBe('404 not-found');
  });

  test('the catalog lists the highest version first', async () => {
    const { body } = await registry.ask('GET', '/api/v1/catalog');
    const item = body.bundles.find(({ name }: { name: string }) => name === 'many');
    expect(item.versions.map(({ version }: { version: string }) => version)).toEqual([
      '3.0.0-rc.1',
      '2.0.0',
      '1.10.0',
      '1.2.0',
      '1.0.0',
    ]);
  });
});

test('publishing is told as an event with who, why and which request', async () => {
  const bundle = await testBundle({ name: 'told' });
  const answer = await registry.ask('POST', '/api/v1/bundles', {
    role: 'publisher',
    raw: bundle.bytes,
    headers: { ...publishHeaders(bundle.envelope), 'cim-reason': 'a release', 'x-request-id': 'req-42' },
  });
  expect(answer.headers.get('x-request-id')).toBe('req-42');
  const { body } = await registry.ask('GET', '/api/v1/events?instance=hub&pattern=bundle.told.published');
  expect(body.events).toHaveLength(1);
  expect(body.events[0].event).toMatchObject({
    type: 'bundle.published',
    source: 'cim://hub/registry',
    correlationid: 'req-42',
    data: {
      name: 'told',
      version: '1.0.0',
      digest: bundle.statement.digest,
      publisher: 'test',
      by: 'publisher',
      reason: 'a release',
      requestId: 'req-42',
    },
  });
});

test('a bundle of a publisher nobody trusts is refused though its signature is good', async () => {
  const good = await testBundle({ name: 'stranger' });
  const theirs = signed(good.bytes, good.manifest, testPublisher('someone else'), 1);
  expect(outcome(await registry.publish(theirs))).toBe('403 signer-unknown');
});
