/** A witness of the transparency log against every hub that lies, in one life and over a restart. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Digest,
  digestOf,
  headOf,
  type LogBody,
  type LogEntry,
  nextLogEntry,
  type Signer,
  silentLogger,
  systemClock,
} from '@cim/contracts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLogWitness } from '../../src/trust/log-witness.ts';
import { publisher } from '../bundle/make.ts';

const log = publisher('log');
const liar = publisher('liar');
let directory: string;
let events: string[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cim-log-'));
  events = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function opened(logs = [log.trusted]) {
  const witness = createLogWitness({
    file: join(directory, 'log-head.json'),
    logs,
    clock: systemClock,
    log: silentLogger,
    emit: (type, { kind }) => void events.push(kind === undefined ? type : `${type} ${kind}`),
    patienceMs: 1,
  });
  await witness.load();
  return {
    ...witness,
    /** One reading of what a hub shows, from where the witness asks on. */
    async read(hub: readonly LogEntry[]) {
      witness.begin();
      for (const entry of hub.slice(witness.from() - 1)) witness.take(new TextEncoder().encode(JSON.stringify(entry)));
      await witness.caughtUp();
      return witness.conditions().map(({ detail }) => detail.split(':')[0]);
    },
    has: (digest: Digest) =>
      witness.logged(digest).then(
        () => 'logged',
        ({ code }) => code,
      ),
  };
}
const digest = (name: string) => digestOf(new TextEncoder().encode(name));
const body = (name: string): LogBody => ({
  type: 'bundle-published',
  at: '2026-01-01T00:00:00Z',
  by: 'ci',
  name: name as never,
  version: '1.0.0',
  kind: 'agent',
  digest: digest(name),
  sequence: 1,
  publisher: log.trusted.key,
});
function logOf(names: string, signer: Signer = log.signer): LogEntry[] {
  const entries: LogEntry[] = [];
  for (const name of names)
    entries.push(nextLogEntry(entries.length === 0 ? undefined : headOf(entries.at(-1)!), body(name), signer));
  return entries;
}

test('what is in the log counts, what is not does not, and reading on needs no beginning', async () => {
  const witness = await opened();
  expect(await witness.has(digest('a'))).toBe('log-missing');
  expect(await witness.read(logOf('abc'))).toEqual([]);
  expect([await witness.has(digest('c')), await witness.has(digest('d'))]).toEqual(['logged', 'log-missing']);
  expect(witness.from()).toBe(3);
  expect(await witness.read(logOf('abcd'))).toEqual([]);
  expect(await witness.has(digest('d'))).toBe('logged');
  expect(await witness.read(logOf('abcd'))).toEqual([]);
  expect(events).toEqual([]);
});

test('without log keys everything counts', async () => {
  expect(await (await opened([])).has(digest('a'))).toBe('logged');
});

test.each([
  ['drops an entry', (hub: LogEntry[]) => hub.toSpliced(1, 1), 'gap'],
  ['changes an entry', (hub: LogEntry[]) => hub.with(1, { ...hub[1]!, body: body('x') }), 'tampered'],
  ['shows an entry nobody signed', (hub: LogEntry[]) => hub.with(3, { ...hub[3]!, signature: hub[2]!.signature }), 'unsigned'],
  ['shows what is no entry', (hub: LogEntry[]) => hub.with(2, { ...hub[2]!, sequence: 0 }), 'tampered'],
  ['tells a log of its own', () => logOf('abcd', liar.signer), 'unsigned'],
] as const)('a hub that %s is caught at the first reading, and nothing of it counts', async (_, lie, kind) => {
  const witness = await opened();
  expect(await witness.read(lie(logOf('abcd')))).toEqual([kind]);
  expect(await witness.has(digest('a'))).toBe('log-forked');
  expect(await witness.read(lie(logOf('abcd')))).toEqual([kind]);
  expect(events).toEqual([`trust.log-broken ${kind}`]);
  // The truth again: whole again.
  expect(await witness.read(logOf('abcd'))).toEqual([]);
  expect(await witness.has(digest('a'))).toBe('logged');
  expect(events.at(-1)).toBe('trust.log-whole');
});

test.each([
  ['rewrites history (another fork, well signed)', 'axcd', 'fork'],
  ['rewrites the beginning', 'xbcd', 'fork'],
  ['forgets the end', 'ab', 'gap'],
  ['forgets everything', '', 'gap'],
] as const)('a hub that %s is caught, in this life and over a restart', async (_, names, kind) => {
  const before = await opened();
  await before.read(logOf('abcd'));
  expect(await before.read(logOf(names))).toEqual([kind]);
  expect(await before.has(digest('a'))).toBe('log-forked');
  const after = await opened();
  expect(await after.read(logOf(names))).toEqual([kind]);
  expect(await after.has(digest('a'))).toBe('log-forked');
  expect(await after.read(logOf('abcde'))).toEqual([]);
  expect(await after.has(digest('e'))).toBe('logged');
});

test('two forks shown to two nodes differ in their heads', async () => {
  const one = await opened();
  await one.read(logOf('ab'));
  const head = one.head();
  await rm(join(directory, 'log-head.json'));
  const other = await opened();
  expect(await other.read(logOf('ax'))).toEqual([]);
  expect(other.head()).toMatchObject({ sequence: head?.sequence });
  expect(other.head()?.hash).not.toBe(head?.hash);
});

test('nothing counts before the remembered head has been met', async () => {
  await (await opened()).read(logOf('abcd'));
  const witness = await opened();
  witness.begin();
  for (const entry of logOf('abcd').slice(0, 3)) witness.take(new TextEncoder().encode(JSON.stringify(entry)));
  expect(await witness.has(digest('a'))).toBe('log-missing');
  witness.take(new TextEncoder().encode(JSON.stringify(logOf('abcd')[3])));
  expect(await witness.has(digest('a'))).toBe('logged');
});

test('operators may name a new beginning, and only that one is taken', async () => {
  const witness = await opened();
  await witness.read(logOf('abcd'));
  const anew = logOf('xyz');
  witness.startsAt(anew[0]!.hash);
  expect(await witness.read(logOf('abcd'))).toEqual(['fork']);
  expect(await witness.read(anew)).toEqual([]);
  expect([await witness.has(digest('z')), await witness.has(digest('a'))]).toEqual(['logged', 'log-missing']);
  const after = await opened();
  after.startsAt(anew[0]!.hash);
  expect(await after.read(anew.slice(0, 2))).toEqual(['gap']);
  expect(await after.read(anew)).toEqual([]);
});
