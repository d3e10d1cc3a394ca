/**
 * A witness of the transparency log: reads every entry the hub shows, and remembers on disk how far and with which hash, so that a hub
 * that tells another history is caught, in this life of the node or after a reboot.
 *
 * Promises:
 * G1. A bundle counts as logged only as part of a chain read from its first entry, unbroken, signed, and passing through the head that
 *     was remembered.
 * G2. A gap, a fork, a forged or changed entry, or a log shorter than it was: nothing new is taken in until the log is whole again, as
 *     it was known. What runs keeps running.
 * G3. Only operators give up a remembered history: with a trust document that names the first entry of the new one.
 */
import { readFile } from 'node:fs/promises';
import {
  type ChainHead,
  ChainHead as ChainHeadSchema,
  type Clock,
  type Condition,
  Digest,
  decodeJson,
  Fault,
  LogEntry,
  type Logger,
  type LogReader,
  logReader,
  type TrustedSigner,
  waitUntil,
} from '@cim/contracts';
import { z } from 'zod';
import { isAbsent, writeDurably } from '../bundle/durable.ts';
import type { PublishedTrust } from './freshness.ts';

const HeadFile = z.strictObject({ api: z.literal(1), first: Digest, head: ChainHeadSchema });

export interface LogWitness {
  load(): Promise<void>;
  /** At which stream sequence to read on: with the last entry known, so that the hub must show it again. */
  from(): number;
  /** A reading begins: what comes next is the entry of `from`. */
  begin(): void;
  /** The next message of the log. */
  take(bytes: Uint8Array): void;
  /** Everything there is has been read. */
  caughtUp(): Promise<void>;
  /** Operators named another beginning. */
  startsAt(first: Digest | undefined): void;
  /** Waits a moment for a bundle to show up in the log. @throws Fault `log-missing`, `log-forked` */
  logged(digest: Digest): Promise<void>;
  head(): ChainHead | undefined;
  /** The newest trust document the log has spoken of in this life. */
  published(): PublishedTrust | undefined;
  conditions(): Condition[];
}

export interface LogWitnessOptions {
  readonly file: string;
  /** Keys that may sign the log; none: everything counts as logged. */
  readonly logs: readonly TrustedSigner[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly emit: (type: 'trust.log-broken' | 'trust.log-whole', data: Record<string, unknown>) => void;
  /** How long a bundle may lag behind its desired document, ms. */
  readonly patienceMs?: number;
}

export function createLogWitness(options: LogWitnessOptions): LogWitness {
  const { file, logs, clock, log, emit } = options;
  const patienceMs = options.patienceMs ?? 2_000;
  let remembered: { readonly first: Digest; readonly head: ChainHead } | undefined;
  let start: Digest | undefined;
  let reader: LogReader = logReader(logs);
  let first: Digest | undefined;
  let digests = new Set<string>();
  let broken: Condition | undefined;
  let published: PublishedTrust | undefined;
  /** The first message of a reading repeats what is known. */
  let repeats = false;

  const restart = () => {
    reader = logReader(logs);
    first = undefined;
    digests = new Set();
    repeats = false;
  };
  const breaks = (kind: string, detail: string) => {
    restart();
    if (broken?.detail === `${kind}: ${detail}`) return;
    const since = broken?.since ?? new Date(clock.now()).toISOString();
    const title = 'The transparency log is not what it was; no new bundle is taken in';
    broken = { code: 'log-forked', severity: 'warning', title, detail: `${kind}: ${detail}`, since };
    log.error({ kind, detail }, 'the transparency log is not consistent');
    emit('trust.log-broken', { kind, detail });
  };

  /** One entry after the last. */
  const push = (entry: LogEntry) => {
    const fault = reader.push(entry);
    if (fault) return breaks(fault.kind, fault.detail);
    if (entry.sequence === 1) {
      first = entry.hash;
      if (start !== undefined && start !== first)
        return breaks('fork', `the log begins with ${first}, operators named ${start} as its beginning`);
    }
    if (entry.sequence === remembered?.head.sequence && entry.hash !== remembered.head.hash) {
      const detail = `entry ${entry.sequence} is ${entry.hash}, this node has seen ${remembered.head.hash}`;
      return breaks('fork', detail);
    }
    if (entry.body.type === 'bundle-published') digests.add(entry.body.digest);
    if (entry.body.type === 'trust-published' && entry.body.sequence > (published?.sequence ?? 0))
      published = { sequence: entry.body.sequence, readAt: clock.now() };
  };

  return {
    async load() {
      try {
        const { first, head } = decodeJson(HeadFile, await readFile(file, 'utf8'), 'head of the log on disk');
        remembered = { first, head };
      } catch (error) {
        // Unreadable is as good as absent: the log is read from its beginning either way, only a rewritten one is not noticed once.
        if (!isAbsent(error))
          log.error({ file, error: (error as Error).message }, 'the remembered head of the log is unreadable');
      }
    },
    from: () => reader.head()?.sequence ?? 1,
    begin() {
      repeats = reader.head() !== undefined;
    },
    take(bytes) {
      // After a break the rest of this reading says nothing; the next one begins at the beginning.
      if (broken && reader.head() === undefined && !startsAnew(bytes)) return;
      let entry: LogEntry;
      try {
        entry = decodeJson(LogEntry, bytes, 'log entry');
      } catch (error) {
        return breaks('tampered', (error as Error).message);
      }
      if (!repeats) return push(entry);
      repeats = false;
      const head = reader.head()!;
      if (entry.sequence !== head.sequence || entry.hash !== head.hash)
        breaks('fork', `expected entry ${head.sequence} (${head.hash}) again, found ${entry.sequence} (${entry.hash})`);
    },
    async caughtUp() {
      const head = reader.head();
      if (repeats) return breaks('gap', `the log ends before entry ${head!.sequence}, which this node has seen`);
      if (remembered && (head?.sequence ?? 0) < remembered.head.sequence) {
        if (broken && head === undefined) return;
        return breaks('gap', `the log ends at ${head?.sequence ?? 0}, this node has seen entry ${remembered.head.sequence}`);
      }
      if (head === undefined || first === undefined) return;
      if (broken) {
        broken = undefined;
        log.info({ head: head.sequence }, 'the transparency log is whole again');
        emit('trust.log-whole', { sequence: head.sequence });
      }
      if (remembered?.head.hash === head.hash) return;
      remembered = { first, head };
      await writeDurably(file, `${JSON.stringify({ api: 1, ...remembered })}\n`);
    },
    startsAt(next) {
      if (next === start) return;
      start = next;
      // G3: another history than the one remembered, and those who may said so.
      if (next !== undefined && remembered !== undefined && remembered.first !== next) remembered = undefined;
      if (next !== undefined && first !== undefined && first !== next) restart();
    },
    async logged(digest) {
      if (logs.length === 0) return;
      // Only once the head that is remembered has been met does anything before it count.
      const met = () => (reader.head()?.sequence ?? 0) >= (remembered?.head.sequence ?? 0);
      await waitUntil(clock, patienceMs, () => broken !== undefined || (met() && digests.has(digest)), 20);
      if (broken) throw new Fault('log-forked', `${digest}: ${broken.detail}`);
      if (!met() || !digests.has(digest))
        throw new Fault(
          'log-missing',
          `${digest} is not among the ${reader.head()?.sequence ?? 0} entries of the transparency log`,
        );
    },
    head: () => reader.head(),
    published: () => published,
    conditions: () => (broken ? [broken] : []),
  };
}

/** Whether these bytes are a first entry. */
function startsAnew(bytes: Uint8Array): boolean {
  try {
    return (JSON.parse(new TextDecoder().decode(bytes)) as { readonly sequence?: unknown }).sequence === 1;
  } catch {
    return false;
  }
}
