/** The transparency log: every way a hub could lie about it, and how it shows. */
import { expect, it } from 'vitest';
import {
  type ChainHead,
  entryHash,
  headOf,
  type LogBody,
  type LogEntry,
  LogEntry as LogEntrySchema,
  logReader,
  nextLogEntry,
  type Signer,
} from '../src/index.ts';
import { publisher, statement } from './samples.ts';

const log = publisher();
const logs = [{ name: 'log', key: log.publicKey }];
const body = (version: string): LogBody => ({
  type: 'bundle-published',
  at: '2026-05-01T00:00:00Z',
  by: 'ci',
  name: statement().name,
  version,
  kind: 'agent',
  digest: statement().digest,
  sequence: 1,
  publisher: publisher().publicKey,
});
function logOf(versions: readonly string[], signer: Signer = log): LogEntry[] {
  const entries: LogEntry[] = [];
  for (const version of versions) {
    const last = entries.at(-1);
    entries.push(LogEntrySchema.parse(nextLogEntry(last && headOf(last), body(version), signer)));
  }
  return entries;
}
function read(entries: readonly LogEntry[], from?: ChainHead) {
  const reader = logReader(logs, from);
  for (const entry of entries) {
    const fault = reader.push(entry);
    if (fault) return `${fault.kind} at ${fault.position}`;
  }
  return `whole to ${reader.head()?.sequence}`;
}
const entries = logOf(['1.0.0', '1.1.0', '1.2.0', '1.3.0']);

it('a log is whole, from its beginning or from a head on', () => {
  expect(read(entries)).toBe('whole to 4');
  expect(read(entries.slice(2), headOf(entries[1]!))).toBe('whole to 4');
});

it('a dropped, changed, forked or forged entry shows, each as what it is', () => {
  expect(read(entries.toSpliced(1, 1))).toBe('gap at 2');
  expect(read(entries.with(1, { ...entries[1]!, body: body('6.6.6') }))).toBe('tampered at 2');
  // Two histories, both signed by the log key: who has seen one knows the other as a fork.
  const other = logOf(['1.0.0', '6.6.6', '1.2.0', '1.3.0']);
  expect(read(other)).toBe('whole to 4');
  expect(read(other.slice(2), headOf(entries[1]!))).toBe('fork at 3');
  // Without the log key not even a history of one's own can be told.
  expect(read(logOf(['1.0.0'], publisher()))).toBe('unsigned at 1');
});

it('a changed entry cannot be made to fit without the log key', () => {
  const changed = { ...entries[1]!, body: body('6.6.6') };
  expect(read(entries.with(1, { ...changed, hash: entryHash('transparency', changed) }))).toBe('unsigned at 2');
  // Nor can an entry be moved to another place with the signature it has.
  expect(read(entries.with(1, { ...entries[2]!, sequence: 2 }))).toBe('unsigned at 2');
});
