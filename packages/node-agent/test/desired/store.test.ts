/** Last good desired state on a real disk: what is taken in, what is refused, what a restart finds. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Desired,
  type DesiredRecord,
  desiredKey,
  digestOf,
  signDesired,
  silentLogger,
  systemClock,
  TrustDocument,
  type TrustedSigner,
} from '@cim/contracts';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDesiredStore } from '../../src/desired/store.ts';
import { makeBundle, operator, publisher, trusting } from '../bundle/make.ts';

const { ref } = await makeBundle(publisher());
const ops = operator();
let directory: string;
let events: string[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cim-desired-'));
  events = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function opened(operators: readonly TrustedSigner[] = [], more: { threshold?: number; document?: TrustDocument } = {}) {
  const store = createDesiredStore({
    directory,
    instance: 'leaf-1',
    trust: () => trusting({ operators, operatorThreshold: more.threshold ?? 1 }, more.document),
    clock: systemClock,
    log: silentLogger,
    emit: (type, data, subject) => events.push(`${type} ${subject} ${data['code']}`),
  });
  return { store, report: await store.load() };
}

const document = (change: Record<string, unknown> = {}): Desired =>
  Desired.parse({
    api: 1,
    instance: 'leaf-1',
    kind: 'agent',
    name: 'hello',
    generation: 1,
    state: 'running',
    bundle: ref,
    issuedAt: '2025-01-01T00:00:00.000Z',
    issuedBy: 'ada',
    ...change,
  });
const record = (change?: Record<string, unknown>): DesiredRecord => ({ document: document(change), signatures: [] });
const incoming = (value: unknown, revision = 1, key?: string) => ({
  key: key ?? desiredKey((value as DesiredRecord).document),
  revision,
  value,
});
const otherBundle = (n: number) => ({ ...ref, digest: digestOf(Uint8Array.of(n)) });

test('takes bytes, text and values; a restart finds all of it', async () => {
  const { store } = await opened();
  const names = ['one', 'two', 'three'];
  const [one, two, three] = names.map((name) => record({ name })) as [DesiredRecord, DesiredRecord, DesiredRecord];
  const report = await store.intake([
    incoming(one),
    { ...incoming(two), value: JSON.stringify(two) },
    { ...incoming(three), value: new TextEncoder().encode(JSON.stringify(three)) },
  ]);
  expect(report.accepted.length).toBe(3);
  expect(store.held().map(({ key }) => key)).toEqual(['agent.one', 'agent.three', 'agent.two']);
  expect(store.held()).toBe(store.held());
  const again = await opened();
  expect(again.report).toEqual({ loaded: 3, corrupt: [] });
  expect(again.store.held()).toEqual(store.held());
});

test('the same again changes nothing, nor does a late older one, nor a key that does not come', async () => {
  const { store } = await opened();
  await store.intake([incoming(record({ generation: 2 }), 7), incoming(record({ name: 'other' }), 8)]);
  const held = store.held();
  const report = await store.intake([incoming(record({ generation: 2 }), 7), incoming(record({ generation: 1 }), 5)]);
  expect([report.accepted, report.refused, report.unchanged.length]).toEqual([[], [], 2]);
  await store.intake([]);
  expect(store.held()).toBe(held);
});

describe('refused, and the last good stays', () => {
  const cases: [string, () => ReturnType<typeof incoming>, string, RegExp][] = [
    [
      'an older generation under a newer revision',
      () => incoming(record({ generation: 2 }), 9),
      'sequence-rollback',
      /above 3/,
    ],
    [
      'other content under the same generation',
      () => incoming(record({ generation: 3, replicas: 9 }), 9),
      'conflict',
      /raise the generation/,
    ],
    [
      'another instance',
      () => incoming(record({ instance: 'leaf-2', generation: 4 }), 9),
      'invalid-input',
      /expected a document for leaf-1/,
    ],
    [
      'a document under a foreign key',
      () => incoming(record({ generation: 4 }), 9, 'leaf-1.agent.other'),
      'invalid-input',
      /its own key/,
    ],
    [
      'a wrong field',
      () => incoming({ document: { ...document(), replicas: 'many' } }, 9, 'leaf-1.agent.hello'),
      'invalid-input',
      /document.replicas/,
    ],
    ['no JSON', () => incoming('{', 9, 'leaf-1.agent.hello'), 'invalid-input', /not JSON/],
  ];
  test.each(cases)('%s', async (_, entry, code, detail) => {
    const { store } = await opened();
    await store.intake([incoming(record({ generation: 3 }), 3)]);
    const held = store.held();
    for (let i = 0; i < 3; i++) {
      const report = await store.intake([entry()]);
      expect(report.refused.map(({ fault }) => fault.code)).toEqual([code]);
    }
    expect(store.held()).toBe(held);
    expect(store.conditions()).toMatchObject([
      { code: 'desired-refused', severity: 'warning', detail: expect.stringMatching(detail) },
    ]);
    // Three reads of one bad document are one piece of news.
    expect(events.length).toBe(1);
  });
  test('a good one takes the condition away', async () => {
    const { store } = await opened();
    await store.intake([incoming('{', 1, 'leaf-1.agent.hello')]);
    await store.intake([incoming(record(), 2)]);
    expect(store.conditions()).toEqual([]);
    expect(events).toEqual(['desired.refused hello invalid-input']);
  });
  test('one bad document keeps none of the others out', async () => {
    const { store } = await opened();
    const report = await store.intake([incoming('null', 1, 'leaf-1.agent.bad'), incoming(record(), 2)]);
    expect([report.accepted, report.refused.map(({ key }) => key)]).toEqual([['leaf-1.agent.hello'], ['leaf-1.agent.bad']]);
  });
});

describe('signatures', () => {
  const signed = (change?: Record<string, unknown>, by = ops): DesiredRecord => {
    const it = document(change);
    return { document: it, signatures: [signDesired(it, by.signer)] };
  };
  test('are asked for where operators are set, from the hub and from the disk', async () => {
    const { store } = await opened([ops.trusted]);
    const stranger = operator('stranger');
    const tampered = { ...signed({ generation: 4 }), document: document({ generation: 4, replicas: 5 }) };
    const codes = [];
    for (const value of [record(), signed({}, stranger), tampered])
      codes.push(...(await store.intake([incoming(value, 9)])).refused.map(({ fault }) => fault.code));
    expect(codes).toEqual(['signer-unknown', 'signer-unknown', 'signature-invalid']);
    expect((await store.intake([incoming(signed(), 10)])).accepted.length).toBe(1);
    const file = join(directory, 'agent.hello.json');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('"replicas":1', '"replicas":60'));
    const { store: again, report } = await opened([ops.trusted]);
    expect([report.corrupt, again.held()]).toEqual([['agent.hello.json'], []]);
    await writeFile(file, text);
    expect((await opened([ops.trusted])).report.loaded).toBe(1);
  });
});

test('what served before is kept for a cold boot, and forgotten with the workload', async () => {
  const { store } = await opened();
  const [first, second, third] = [1, 2, 3].map((n) => record({ generation: n, bundle: otherBundle(n) })) as [
    DesiredRecord,
    DesiredRecord,
    DesiredRecord,
  ];
  const digests = [first, second, third].map(({ document }) => document.bundle.digest);
  await store.intake([incoming(first, 1)]);
  await store.served('agent.hello', first);
  await store.intake([incoming(second, 2)]);
  await store.served('agent.hello', second);
  await store.intake([incoming(third, 3)]);
  const { store: again } = await opened();
  expect(again.held()).toMatchObject([{ record: third, serving: second, previous: digests[0] }]);
  expect([...again.digests()].sort()).toEqual([...digests].sort());
  await again.intake([incoming(record({ generation: 4, state: 'removed' }), 4)]);
  expect(again.held()[0]).not.toHaveProperty('serving');
  expect(again.digests().size).toBe(0);
  // Removed, but not forgotten: the generation still guards against a replay.
  expect((await again.intake([incoming(record({ generation: 3 }), 5)])).refused.length).toBe(1);
});

test('a file that cannot be read keeps no other from being loaded', async () => {
  const { store } = await opened();
  await store.intake([incoming(record()), incoming(record({ name: 'other' }))]);
  await writeFile(join(directory, 'agent.hello.json'), '{"api":1,"revi');
  await writeFile(join(directory, 'agent.third.json.writing'), 'half');
  const { store: again, report } = await opened();
  expect(report).toEqual({ loaded: 1, corrupt: ['agent.hello.json'] });
  expect(again.conditions()).toMatchObject([{ code: 'desired-corrupt' }]);
  expect((await readdir(directory)).sort()).toEqual(['agent.hello.json.corrupt', 'agent.other.json']);
  await again.intake([incoming(record())]);
  expect(again.conditions()).toEqual([]);
});

test('what cannot be written is refused and not held', async () => {
  const { store } = await opened();
  await store.intake([incoming(record())]);
  // A directory where the file should be written: fails for root too, unlike permissions.
  await mkdir(join(directory, 'agent.hello.json.writing'));
  const report = await store.intake([incoming(record({ generation: 2 }), 2)]);
  expect(report.refused.map(({ fault }) => fault.code)).toEqual(['internal']);
  expect(store.held()[0]?.record.document.generation).toBe(1);
});

describe('held while the disk is still busy', () => {
  const other = { ...ref, digest: digestOf(Buffer.from('another bundle')) };
  /** What was held at the moment it was told of, as generation and replicas. */
  async function told(change: Record<string, unknown>, before: Record<string, unknown> | undefined, broken = false) {
    const seen: (readonly [number, number] | undefined)[] = [];
    const store = createDesiredStore({
      directory,
      instance: 'leaf-1',
      trust: () => trusting({ operators: [], operatorThreshold: 1 }),
      clock: systemClock,
      log: silentLogger,
      early() {
        const held = store.held()[0]?.record.document;
        seen.push(held && [held.generation, held.replicas]);
      },
    });
    await store.load();
    if (before) await store.intake([incoming(record(before))]);
    seen.length = 0;
    if (broken) await mkdir(join(directory, 'agent.hello.json.writing'));
    const next = record({ generation: 2, ...change });
    const intake = store.intake([incoming(next, 2)]);
    await expect.poll(() => seen.length > 0 || store.held()[0]?.record.document.generation === 2).toBe(true);
    const held = store.held()[0]?.record;
    const kept = held ? store.kept('agent.hello', held).catch((fault) => fault.code) : undefined;
    await intake;
    return { store, seen, kept: await kept };
  }

  test.each([
    ['a new workload', {}, undefined],
    ['another bundle', { bundle: other }, {}],
    ['more replicas', { replicas: 3 }, { replicas: 2 }],
    ['one that comes back', { replicas: 1 }, { state: 'removed' }],
  ])('what begins something: %s', async (_, change, before) => {
    const { store, seen } = await told(change, before);
    expect(seen).toEqual([[2, 'replicas' in change ? change.replicas : 1]]);
    expect((await opened()).store.held()).toEqual(store.held());
  });

  test.each([
    ['a removal', { state: 'removed' }],
    ['fewer replicas', { replicas: 1 }],
    ['fewer of another bundle', { replicas: 1, bundle: other }],
    ['none', { replicas: 0 }],
    ['the same once more', { replicas: 2 }],
  ])('not what ends something, or nothing new: %s', async (_, change) => {
    expect((await told(change, { replicas: 2 })).seen).toEqual([]);
  });

  test('is let go when the disk refuses it; whoever waits for it is told', async () => {
    const replaced = await told({ bundle: other }, {}, true);
    expect(replaced.seen).toEqual([
      [2, 1],
      [1, 1],
    ]);
    expect(replaced.kept).toBe('internal');
    for (const left of await readdir(directory)) await rm(join(directory, left), { recursive: true });
    const first = await told({}, undefined, true);
    expect(first.seen).toEqual([[2, 1], undefined]);
    expect(first.store.held()).toEqual([]);
  });
});

test('no garbage gets in or throws', async () => {
  const { store } = await opened();
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.json(), fc.anything(), fc.uint8Array()), fc.string(), async (value, key) => {
      const report = await store.intake([{ key, revision: 1, value }]);
      expect([report.accepted, report.refused.length]).toEqual([[], 1]);
    }),
    { numRuns: 200 },
  );
  expect(await readdir(directory)).toEqual([]);
});

describe('more than one operator', () => {
  const [ann, ben] = [operator('ann'), operator('ben')];
  const both = [ann.trusted, ben.trusted];
  const signedBy = (change: Record<string, unknown>, ...by: readonly (typeof ann)[]): DesiredRecord => {
    const of = document(change);
    return { document: of, signatures: by.map(({ signer }) => signDesired(of, signer)) };
  };
  const gone = (...by: readonly (typeof ann)[]) =>
    TrustDocument.parse({
      api: 1,
      sequence: 1,
      issuedAt: '2026-01-01T00:00:00Z',
      issuedBy: 'ann',
      publishers: [],
      revokedKeys: by.map(({ trusted }) => ({ key: trusted.key, reason: 'stolen', at: '2026-01-01T00:00:00Z' })),
      revokedBundles: [],
    });
  const codes = ({ refused }: { readonly refused: readonly { readonly fault: { readonly code: string } }[] }) =>
    refused.map(({ fault }) => fault.code);

  test('a document takes as many as the threshold says, and one who signs twice is one', async () => {
    const { store } = await opened(both, { threshold: 2 });
    expect(codes(await store.intake([incoming(signedBy({}, ann))]))).toEqual(['threshold-unmet']);
    expect(codes(await store.intake([incoming(signedBy({}, ann, ann))]))).toEqual(['threshold-unmet']);
    expect(codes(await store.intake([incoming(record())]))).toEqual(['signer-unknown']);
    expect(store.conditions().map(({ code }) => code)).toEqual(['desired-refused']);
    expect((await store.intake([incoming(signedBy({}, ann, ben))])).accepted).toEqual(['leaf-1.agent.hello']);
    // On the disk one signature is not enough either.
    expect((await opened(both, { threshold: 2 })).report).toEqual({ loaded: 1, corrupt: [] });
  });

  test('a revoked operator writes nothing new; what was written with the key keeps running, also over a restart', async () => {
    const { store } = await opened(both);
    const first = signedBy({}, ann);
    await store.intake([incoming(first)]);
    const after = await opened(both, { document: gone(ann) });
    expect(after.report.loaded).toBe(1);
    // The full read after a reconnect brings the old document again: no refusal, no condition.
    expect(await after.store.intake([incoming(first)])).toMatchObject({ unchanged: ['leaf-1.agent.hello'], refused: [] });
    expect(codes(await after.store.intake([incoming(signedBy({ generation: 2 }, ann), 2)]))).toEqual(['operator-revoked']);
    expect((await after.store.intake([incoming(signedBy({ generation: 2 }, ben), 2)])).accepted).toHaveLength(1);
  });

  test('an old document, well signed, is not taken back, neither at a later revision nor from a hub that began anew', async () => {
    const { store } = await opened(both);
    const [first, second] = [signedBy({}, ann), signedBy({ generation: 2, state: 'removed' }, ann)];
    await store.intake([incoming(first, 10), incoming(second, 11)]);
    expect(codes(await store.intake([incoming(first, 12)]))).toEqual(['sequence-rollback']);
    await store.intake([incoming(first, 1)]);
    expect(store.held()[0]?.record.document.generation).toBe(2);
    // After a restart, too: a removal is remembered as the document it is.
    const again = await opened(both);
    expect(codes(await again.store.intake([incoming(first, 12)]))).toEqual(['sequence-rollback']);
    await again.store.intake([incoming(first, 1)]);
    expect(again.store.held()[0]?.record.document).toMatchObject({ generation: 2, state: 'removed' });
  });
});

test('the same bytes again are unchanged, whatever came between; other bytes are judged as ever', async () => {
  const { store } = await opened();
  const bytes = (change: Record<string, unknown>, revision: number) => {
    const value = record({ name: 'again', ...change });
    return [{ ...incoming(value, revision), value: new TextEncoder().encode(JSON.stringify(value)) }];
  };
  expect((await store.intake(bytes({}, 1))).accepted).toHaveLength(1);
  expect((await store.intake(bytes({}, 2))).unchanged).toHaveLength(1);
  expect((await store.intake(bytes({ issuedBy: 'eve' }, 3))).refused[0]!.fault.code).toBe('conflict');
  expect((await store.intake(bytes({}, 4))).unchanged).toHaveLength(1);
  expect((await store.intake(bytes({ generation: 2 }, 5))).accepted).toHaveLength(1);
  expect((await store.intake(bytes({}, 6))).refused[0]!.fault.code).toBe('sequence-rollback');
  expect((await store.intake(bytes({ generation: 2 }, 7))).unchanged).toHaveLength(1);
  expect(store.conditions()).toEqual([]);
});
