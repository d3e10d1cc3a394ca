/** A hub that shows an old trust document for ever: what a node can tell, and when. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  digestOf,
  headOf,
  type LogBody,
  type LogEntry,
  nextLogEntry,
  signTrust,
  silentLogger,
  systemClock,
  TrustDocument,
} from '@cim/contracts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { staleness } from '../../src/trust/freshness.ts';
import { createLogWitness } from '../../src/trust/log-witness.ts';
import { createTrustStore } from '../../src/trust/store.ts';
import { operator, publisher } from '../bundle/make.ts';

const ann = operator('ann');
const log = publisher('log');
const AT = '2026-03-01T00:00:00.000Z';
const at = Date.parse(AT);
const document = (sequence: number, more: object = {}) =>
  TrustDocument.parse({
    api: 1,
    sequence,
    issuedAt: '2026-01-01T00:00:00Z',
    issuedBy: 'ann',
    publishers: [],
    revokedKeys: [],
    revokedBundles: [],
    ...more,
  });
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cim-fresh-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('a promised newer document that has not come is said from that moment on; one without a promise is never stale', () => {
  expect(staleness(undefined, undefined, at)).toEqual([]);
  expect(staleness(document(3), undefined, at * 10)).toEqual([]);
  const held = document(3, { refreshBy: AT });
  expect(staleness(held, undefined, at - 1)).toEqual([]);
  expect(staleness(held, undefined, at)).toEqual([
    expect.objectContaining({ code: 'trust-stale', severity: 'warning', since: AT, detail: expect.stringContaining(AT) }),
  ]);
});

test('a document the log speaks of and the hub does not show is said after a while, whatever is promised', () => {
  const held = document(3, { refreshBy: '2099-01-01T00:00:00Z' });
  expect(staleness(held, { sequence: 3, readAt: 0 }, at)).toEqual([]);
  expect(staleness(held, { sequence: 4, readAt: at }, at + 29_999)).toEqual([]);
  const [said, ...more] = staleness(held, { sequence: 4, readAt: at }, at + 30_000);
  expect([said?.code, said?.since, more]).toEqual(['trust-stale', AT, []]);
  expect(said?.detail).toContain('document 4 was published, this node was shown document 3');
  expect(staleness(undefined, { sequence: 1, readAt: at }, at + 30_000)[0]?.detail).toContain('shown no document');
});

test('a signed newer one makes it fresh, over a restart too', async () => {
  const now = { value: at };
  const clock = { ...systemClock, now: () => now.value };
  const roots = { publishers: [], operators: [ann.trusted], operatorThreshold: 1 };
  const opened = async () => {
    const store = createTrustStore({ file: join(directory, 'trust.json'), roots, clock, log: silentLogger, emit: () => {} });
    await store.load();
    return { store, codes: () => staleness(store.now().document, undefined, now.value).map(({ code }) => code) };
  };
  const bytes = (of: TrustDocument) =>
    new TextEncoder().encode(JSON.stringify({ document: of, signatures: [signTrust(of, ann.signer)] }));
  const first = await opened();
  expect(await first.store.intake(bytes(document(1, { refreshBy: AT })))).toBe('accepted');
  expect(first.codes()).toEqual(['trust-stale']);
  const again = await opened();
  expect(again.codes()).toEqual(['trust-stale']);
  expect(await again.store.intake(bytes(document(2, { refreshBy: '2026-04-01T00:00:00Z' })))).toBe('accepted');
  expect(again.codes()).toEqual([]);
});

test('the log tells of the newest document, and of none in a history that is broken', async () => {
  const witness = createLogWitness({
    file: join(directory, 'log-head.json'),
    logs: [log.trusted],
    clock: { ...systemClock, now: () => at },
    log: silentLogger,
    emit: () => {},
  });
  await witness.load();
  const published = (sequence: number): LogBody => ({
    type: 'trust-published',
    at: '2026-01-01T00:00:00Z',
    by: 'ann',
    sequence,
    document: digestOf(new Uint8Array([sequence])),
  });
  const entries: LogEntry[] = [];
  for (const sequence of [1, 2, 7])
    entries.push(nextLogEntry(entries.length === 0 ? undefined : headOf(entries.at(-1)!), published(sequence), log.signer));
  const read = async (hub: readonly LogEntry[]) => {
    witness.begin();
    for (const entry of hub.slice(witness.from() - 1)) witness.take(new TextEncoder().encode(JSON.stringify(entry)));
    await witness.caughtUp();
  };
  expect(witness.published()).toBeUndefined();
  await read(entries.slice(0, 2));
  expect(witness.published()).toEqual({ sequence: 2, readAt: at });
  const forged = { ...entries[2]!, body: published(9) } as LogEntry;
  await read([...entries.slice(0, 2), forged]);
  expect(witness.conditions().map(({ code }) => code)).toEqual(['log-forked']);
  expect(witness.published()?.sequence).toBe(2);
  await read(entries);
  expect(witness.published()?.sequence).toBe(7);
});
