/** Desired documents at a real registry: compare-and-set, checks, signatures, what is told. */
import { type DesiredRecord, signDesired } from '@cim/contracts';
import { type TestBundle, testBundle, testOperator } from '@cim/testkit';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { desiredFor, desiredPath, outcome, problemOf, type RegistryProcess, type World, world } from './support.ts';

const operator = testOperator();
let hub: World;
let registry: RegistryProcess;
let strict: RegistryProcess;
let bundle: TestBundle;
let next: TestBundle;

beforeAll(async () => {
  hub = await world();
  registry = await hub.registry();
  bundle = await testBundle({ name: 'wanted' });
  next = await testBundle({ name: 'wanted', version: '1.1.0', sequence: 2 });
  for (const one of [bundle, next]) await registry.publish(one);
});
afterAll(async () => hub?.[Symbol.asyncDispose]());

const put = (record: DesiredRecord, revision: number | undefined, options: { query?: string; at?: RegistryProcess } = {}) =>
  (options.at ?? registry).ask('PUT', `${desiredPath(record)}${options.query ?? ''}`, {
    role: 'operator',
    body: record,
    headers: revision === undefined ? { 'if-none-match': '*' } : { 'if-match': `"${revision}"` },
  });

describe('a document', () => {
  test('is created, read, changed, and each change needs the revision that was seen', async () => {
    const first = desiredFor(bundle, { instance: 'cim-life' });
    const created = await put(first, undefined);
    expect(created.status).toBe(200);
    const { revision } = created.body;
    expect(created.headers.get('etag')).toBe(`"${revision}"`);
    const read = await registry.ask('GET', desiredPath(first), { role: 'viewer' });
    expect(read.body).toEqual({ revision, record: first });
    expect(read.headers.get('etag')).toBe(`"${revision}"`);

    expect(outcome(await put(first, undefined))).toBe('409 revision-conflict');
    const second = desiredFor(next, { instance: 'cim-life', generation: 2 });
    expect(outcome(await put(second, revision + 1000))).toBe('409 revision-conflict');
    const changed = await put(second, revision);
    expect(changed.status).toBe(200);
    expect(changed.body.revision).toBeGreaterThan(revision);
    expect(outcome(await put({ ...second }, revision))).toBe('409 revision-conflict');

    const { body } = await registry.ask('GET', '/api/v1/desired?instance=cim-life');
    expect(body.desired).toEqual([{ revision: changed.body.revision, record: second }]);
    expect((await registry.ask('GET', '/api/v1/desired?kind=service')).body.desired).toEqual([]);
  });

  test('that is not there is not found; an update of it is a conflict', async () => {
    const record = desiredFor(bundle, { instance: 'cim-none' });
    expect(outcome(await registry.ask('GET', desiredPath(record)))).toBe('404 not-found');
    expect(outcome(await put(record, 3))).toBe('409 revision-conflict');
  });

  test('needs exactly one precondition', async () => {
    const record = desiredFor(bundle, { instance: 'cim-pre' });
    const send = (headers: Record<string, string>) => registry.ask('PUT', desiredPath(record), { body: record, headers });
    for (const headers of [{}, { 'if-match': '"1"', 'if-none-match': '*' }, { 'if-match': '1' }, { 'if-none-match': 'x' }])
      expect(outcome(await send(headers as Record<string, string>))).toBe('400 invalid-input');
  });

  test('begins anywhere and goes on by one: a hub that lost its memory starts above what its nodes have seen', async () => {
    const at = { instance: 'cim-lost' };
    const begun = await put(desiredFor(bundle, { ...at, generation: 7 }), undefined);
    expect(begun.status).toBe(200);
    const ask = (generation: number) => put(desiredFor(bundle, { ...at, generation, reason: 'next' }), begun.body.revision);
    for (const generation of [7, 6, 9]) {
      const { code, errors } = problemOf(await ask(generation));
      expect([code, errors?.[0]?.path]).toEqual(['invalid-input', 'document.generation']);
    }
    expect((await ask(8)).status).toBe(200);
  });

  test('is checked: ids, bundle; each with its field', async () => {
    const wrong = async (record: DesiredRecord, path = desiredPath(record)) => {
      const answer = await registry.ask('PUT', path, { body: record, headers: { 'if-none-match': '*' } });
      const { code, errors } = problemOf(answer);
      return [code, ...(errors ?? []).map((issue) => issue.path)];
    };
    const at = { instance: 'cim-check' };
    expect(await wrong(desiredFor(bundle, at), '/api/v1/desired/cim-other/agent/wanted')).toEqual([
      'invalid-input',
      'document.instance',
    ]);
    const { digest, size, envelope } = desiredFor(bundle).document.bundle;
    expect(await wrong(desiredFor(bundle, { ...at, bundle: { version: '8.0.0', digest, size, envelope } }))).toEqual([
      'not-found',
    ]);
    const mixed = { version: '1.1.0', digest, size, envelope };
    expect(await wrong(desiredFor(bundle, { ...at, bundle: mixed }))).toEqual([
      'invalid-input',
      'document.bundle.digest',
      'document.bundle.envelope',
    ]);
    expect(await wrong(desiredFor(bundle, { ...at, kind: 'service' }))).toEqual(['invalid-input', 'document.kind']);
    expect(await wrong(desiredFor(bundle, { ...at, surprise: 1 }))).toEqual(['invalid-input', 'document.surprise']);
    expect(outcome(await registry.ask('GET', '/api/v1/desired/cim-check/agent/wanted'))).toBe('404 not-found');
  });

  test('nested without end or with numbers JSON cannot say is refused, not stored otherwise', async () => {
    const record = desiredFor(bundle, { instance: 'cim-deep' });
    const send = (config: string) =>
      registry.ask('PUT', desiredPath(record), {
        raw: JSON.stringify(record).replace('"config":{}', `"config":{"a":${config}}`),
        headers: { 'content-type': 'application/json', 'if-none-match': '*' },
      });
    expect(outcome(await send(`${'['.repeat(100_000)}${']'.repeat(100_000)}`))).toBe('400 invalid-input');
    expect(outcome(await send('1e999'))).toBe('400 invalid-input');
    expect(outcome(await send('"\\ud800"'))).toMatch(/^(?:200|400 invalid-input)$/);
  });

  test('a dry run checks and writes nothing', async () => {
    const record = desiredFor(bundle, { instance: 'cim-dry' });
    const good = await put(record, undefined, { query: '?dryRun=true' });
    expect(good.body).toEqual({ revision: 0, record });
    expect(outcome(await registry.ask('GET', desiredPath(record)))).toBe('404 not-found');
    const bad = { ...record, document: { ...record.document, generation: 0 } };
    expect(outcome(await put(bad, undefined, { query: '?dryRun=true' }))).toBe('400 invalid-input');
  });

  test('a change is told with who, why, and what was before', async () => {
    const first = desiredFor(bundle, { instance: 'cim-told' });
    const { revision } = (await put(first, undefined)).body;
    await put(desiredFor(next, { instance: 'cim-told', generation: 2, reason: 'new release' }), revision);
    const { body } = await registry.ask('GET', '/api/v1/events?instance=hub&pattern=desired.wanted.changed&limit=1000');
    const told = body.events.filter((one: any) => one.event.data.instance === 'cim-told');
    expect(told).toHaveLength(2);
    expect(told[1].event).toMatchObject({
      type: 'desired.changed',
      ciminstance: 'hub',
      data: {
        by: 'operator',
        reason: 'new release',
        generation: 2,
        digest: next.statement.digest,
        previousDigest: bundle.statement.digest,
        previousVersion: '1.0.0',
      },
    });
    expect(told[1].event.data.requestId).toBe(told[1].event.correlationid);
  });
});

test('of n writers that saw the same revision exactly one wins, over and over', async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 8 }), fc.integer({ min: 1, max: 3 }), async (writers, rounds) => {
      const instance = `cim-race-${run++}`;
      let revision: number | undefined;
      for (let generation = 1; generation <= rounds; generation++) {
        const answers = await Promise.all(
          Array.from({ length: writers }, (_, i) =>
            put(desiredFor(bundle, { instance, generation, config: { writer: i } }), revision),
          ),
        );
        const winners = answers.filter(({ status }) => status === 200);
        expect(winners).toHaveLength(1);
        for (const answer of answers) if (answer.status !== 200) expect(outcome(answer)).toBe('409 revision-conflict');
        const stored = await registry.ask('GET', `/api/v1/desired/${instance}/agent/wanted`);
        expect(stored.body).toEqual(winners[0]!.body);
        revision = stored.body.revision;
      }
    }),
    { numRuns: 8 },
  );
});

describe('where operators are trusted', () => {
  beforeAll(async () => {
    strict = await hub.registry({
      trust: {
        publishers: [{ name: 'test', key: bundle.signer.publicKey }],
        operators: [{ name: 'op', key: operator.publicKey }],
      },
    });
  });
  const signedBy = (record: DesiredRecord, who = operator): DesiredRecord => ({
    ...record,
    signatures: [signDesired(record.document, who)],
  });

  test('only a document one of them signed is taken', async () => {
    const record = desiredFor(bundle, { instance: 'cim-strict' });
    expect(outcome(await put(record, undefined, { at: strict }))).toBe('403 signer-unknown');
    expect(outcome(await put(signedBy(record, testOperator()), undefined, { at: strict }))).toBe('403 signer-unknown');
    const other = desiredFor(bundle, { instance: 'cim-strict', replicas: 3 });
    const borrowed = { ...other, signatures: signedBy(record).signatures };
    expect(outcome(await put(borrowed, undefined, { at: strict }))).toBe('422 signature-invalid');
    expect(outcome(await put(signedBy(record), undefined, { at: strict }))).toBe('200');
  });

  test('a removal names what was there, even when its publisher is no longer trusted', async () => {
    const record = signedBy(desiredFor(bundle, { instance: 'cim-remove' }));
    const { revision } = (await put(record, undefined, { at: strict })).body;
    const later = await hub.registry({
      trust: { publishers: [], operators: [{ name: 'op', key: operator.publicKey }] },
    });
    const running = signedBy(desiredFor(bundle, { instance: 'cim-remove', generation: 2 }));
    expect(outcome(await put(running, revision, { at: later }))).toBe('403 signer-unknown');
    const removed = signedBy(desiredFor(bundle, { instance: 'cim-remove', generation: 2, state: 'removed' }));
    expect(outcome(await put(removed, revision, { at: later }))).toBe('200');
  });
});
