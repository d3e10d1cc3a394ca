/**
 * Last good desired state on the leaf's disk: what makes a cold boot without the hub start everything.
 *
 * Promises:
 * K1. Only what decodes, is meant for this instance, is signed by enough operators where any are set, and is not older than what is
 *     held, is taken in.
 *     Anything else is refused with a condition, and the last good stays.
 * K2. Atomic per workload: a record is on the disk before it is held, unless it only begins something (`begins`). That is held at once, so
 *     that the start and the disk take their time together, is `kept` when it is on the disk, and let go again when the disk refuses it. A
 *     key that does not come stops nothing.
 * K3. A file that cannot be read does not keep the others from being loaded; it is put aside and reported.
 * K4. `held` gives the same array until something changes.
 */
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Clock,
  type Condition,
  canonicalBytes,
  DesiredRecord,
  type Digest,
  decode,
  decodeJson,
  desiredKey,
  digestOf,
  Fault,
  judgeDesired,
  type Logger,
  type Trust,
} from '@cim/contracts';
import { isLeftover, writeDurably } from '../bundle/durable.ts';
import { type Held, readHeld, renderHeld, workloadKey } from './record-file.ts';

export type { Held } from './record-file.ts';

/** A record as it came from the hub. */
export interface Incoming {
  /** `<instance>.<kind>.<name>` */
  readonly key: string;
  readonly revision: number;
  /** JSON text, its bytes, or the value. */
  readonly value: unknown;
}

export interface IntakeReport {
  /** Keys that are held anew. */
  readonly accepted: readonly string[];
  /** Keys that say what is held already, or something older that a slow watch brought late. */
  readonly unchanged: readonly string[];
  readonly refused: readonly { readonly key: string; readonly fault: Fault }[];
}

export interface LoadReport {
  readonly loaded: number;
  readonly corrupt: readonly string[];
}

export interface DesiredStore {
  load(): Promise<LoadReport>;
  intake(entries: readonly Incoming[]): Promise<IntakeReport>;
  /** Sorted by key (K4). */
  held(): readonly Held[];
  /** Resolves when this record is on the disk. @throws Fault `storage-full`, `internal` when it could not be put there */
  kept(key: string, record: DesiredRecord): Promise<void>;
  /** Notes that this record's edition now answers calls. @throws Fault `storage-full`, `internal` */
  served(key: string, record: DesiredRecord): Promise<void>;
  /** Digests that must stay on the disk: current, serving and previous of each workload. */
  digests(): ReadonlySet<string>;
  conditions(): Condition[];
}

export interface DesiredStoreOptions {
  readonly directory: string;
  readonly instance: string;
  /** Whom this node trusts at the moment it is asked; without operators unsigned records are accepted. */
  readonly trust: () => Trust;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told when something is held before it is on the disk, and when that is let go again. */
  readonly early?: () => void;
  readonly emit?: (type: string, data: Record<string, unknown>, subject: string) => void;
}

/** Files synced at a time. */
const PARALLEL = 8;

export function createDesiredStore(options: DesiredStoreOptions): DesiredStore {
  const { directory, clock, log } = options;
  const all = new Map<string, Held>();
  /** Digest of the bytes that the held record of a hub's key last came as. */
  const taken = new Map<string, { readonly words: string; readonly key: string; readonly record: DesiredRecord }>();
  const refusals = new Map<string, { readonly revision: number; readonly fault: Fault; readonly since: string }>();
  const corrupt = new Map<string, Condition>();
  /** Writes of one key in order. */
  const writes = new Map<string, Promise<void>>();
  /** Records that were held before the disk refused them. */
  const unkept = new WeakMap<DesiredRecord, Fault>();
  let list: readonly Held[] | undefined;

  const fileOf = (key: string) => join(directory, `${key}.json`);

  const hold = (key: string, held: Held | undefined) => {
    if (held) all.set(key, held);
    else all.delete(key);
    list = undefined;
  };

  const change = (key: string, next: (before: Held | undefined) => Held | undefined): Promise<void> => {
    const run = (writes.get(key) ?? Promise.resolve()).then(async () => {
      const before = all.get(key);
      const held = next(before);
      if (!held) return;
      const early = begins(before, held);
      if (early) {
        hold(key, held);
        options.early?.();
      }
      try {
        await writeDurably(fileOf(key), renderHeld(held));
        if (!early) hold(key, held);
      } catch (error) {
        if (early) {
          unkept.set(held.record, Fault.of(error));
          hold(key, before);
          options.early?.();
        }
        throw error;
      }
    });
    const settled = run.catch(() => {});
    writes.set(key, settled);
    void settled.then(() => {
      if (writes.get(key) === settled) writes.delete(key);
    });
    return run;
  };

  /** @throws Fault saying why not */
  const judge = (entry: Incoming): DesiredRecord => {
    const { key, value } = entry;
    const what = `desired ${key}`;
    const record =
      typeof value === 'string' || value instanceof Uint8Array
        ? decodeJson(DesiredRecord, value, what)
        : decode(DesiredRecord, value, what);
    const { document, signatures } = record;
    if (desiredKey(document) !== key) {
      throw new Fault('invalid-input', `${what}: the document is for ${desiredKey(document)}; it must stand under its own key`);
    }
    if (document.instance !== options.instance)
      throw new Fault('invalid-input', `${what}: expected a document for ${options.instance}, found ${document.instance}`);
    // What is held word for word was judged when it came: every full read brings it again, and its operator may be gone since.
    const held = all.get(workloadKey(document));
    if (held && sameDocument(held.record, record)) return held.record;
    judgeDesired(document, signatures, options.trust(), clock.now());
    return record;
  };

  const take = async (entry: Incoming): Promise<'accepted' | 'unchanged'> => {
    const { value } = entry;
    const words = value instanceof Uint8Array ? digestOf(value) : undefined;
    const last = taken.get(entry.key);
    // A full read brings all of it every half minute: what is held to the byte is not even read again.
    if (words !== undefined && last?.words === words && all.get(last.key)?.record === last.record) return 'unchanged';
    const record = judge(entry);
    const key = workloadKey(record.document);
    let outcome: 'accepted' | 'unchanged' = 'unchanged';
    await change(key, (before) => {
      if (before && !supersedes(entry, record, before)) return undefined;
      outcome = 'accepted';
      const next: Held = { key, record, revision: entry.revision };
      // What was removed must not come back as what served last.
      if (!before || record.document.state === 'removed') return next;
      return { ...before, ...next };
    });
    const held = all.get(key)?.record;
    if (words !== undefined && held !== undefined && (held === record || sameDocument(held, record)))
      taken.set(entry.key, { words, key, record: held });
    return outcome;
  };

  const refuse = (entry: Incoming, fault: Fault) => {
    const before = refusals.get(entry.key);
    const known = before?.revision === entry.revision && before.fault.code === fault.code;
    refusals.set(entry.key, {
      revision: entry.revision,
      fault,
      since: known ? before.since : new Date(clock.now()).toISOString(),
    });
    // Every full read brings it again: once is news.
    if (known) return;
    log.warn({ key: entry.key, revision: entry.revision, code: fault.code, detail: fault.detail }, 'desired document refused');
    const name = entry.key.split('.').at(-1) ?? entry.key;
    options.emit?.(
      'desired.refused',
      { key: entry.key, revision: entry.revision, code: fault.code, detail: fault.detail },
      name,
    );
  };

  return {
    async load() {
      await mkdir(directory, { recursive: true });
      const report: { loaded: number; corrupt: string[] } = { loaded: 0, corrupt: [] };
      for (const file of (await readdir(directory)).sort()) {
        const path = join(directory, file);
        if (isLeftover(file)) await rm(path, { force: true });
        if (!file.endsWith('.json')) continue;
        try {
          const held = readHeld(await readFile(path, 'utf8'));
          judgeLoaded(held, file, options);
          all.set(held.key, held);
          report.loaded++;
        } catch (error) {
          const { message } = error as Error;
          report.corrupt.push(file);
          corrupt.set(file, {
            code: 'desired-corrupt',
            severity: 'warning',
            title: 'A desired document on disk was not taken',
            detail: `${file}: ${message}; the hub is asked for it again`,
            since: new Date(clock.now()).toISOString(),
          });
          log.error({ file, error: message }, 'a desired document on disk was not taken');
          // A signer that is no longer trusted is the operator's decision, not damage: the file stays for when the key comes back.
          const code = error instanceof Fault ? error.code : undefined;
          if (code !== 'signer-unknown' && code !== 'signature-invalid' && code !== 'threshold-unmet')
            await rename(path, `${path}.corrupt`).catch(() => {});
        }
      }
      list = undefined;
      return report;
    },
    async intake(entries) {
      const accepted: string[] = [];
      const unchanged: string[] = [];
      const refused: { key: string; fault: Fault }[] = [];
      const queue = [...entries];
      const lane = async () => {
        for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) {
          const { key } = entry;
          try {
            const outcome = await take(entry);
            (outcome === 'accepted' ? accepted : unchanged).push(key);
            refusals.delete(key);
            corrupt.delete(`${key.slice(key.indexOf('.') + 1)}.json`);
          } catch (error) {
            const fault = Fault.of(error, `desired ${key}: ${(error as Error).message}`);
            refused.push({ key, fault });
            refuse(entry, fault);
          }
        }
      };
      await Promise.all(Array.from({ length: PARALLEL }, lane));
      return { accepted, unchanged, refused };
    },
    held() {
      list ??= [...all.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
      return list;
    },
    async kept(key, record) {
      await writes.get(key);
      const fault = unkept.get(record);
      if (fault) throw fault;
    },
    served(key, record) {
      return change(key, (before) => {
        if (!before) return undefined;
        const was = before.serving?.document.bundle.digest;
        const is = record.document.bundle.digest;
        const previous: Digest | undefined = was !== undefined && was !== is ? was : before.previous;
        return { ...before, serving: record, ...(previous === undefined ? {} : { previous }) };
      });
    },
    digests() {
      const digests = new Set<string>();
      for (const { record, serving, previous } of all.values()) {
        if (record.document.state === 'removed') continue;
        digests.add(record.document.bundle.digest);
        if (serving) digests.add(serving.document.bundle.digest);
        if (previous !== undefined) digests.add(previous);
      }
      return digests;
    },
    conditions() {
      const refusedNow = [...refusals].map(
        ([key, { fault, since }]): Condition => ({
          code: 'desired-refused',
          severity: 'warning',
          title: 'A desired document was refused; the last good one stays',
          detail: `${key}: ${fault.code}: ${fault.detail}`,
          since,
        }),
      );
      return [...refusedNow, ...corrupt.values()];
    },
  };
}

/** True for what starts more, or something else, and ends nothing by itself: the old goes when the new is there. */
function begins(before: Held | undefined, { record }: Held): boolean {
  const { state, replicas, bundle } = record.document;
  if (state !== 'running' || replicas === 0) return false;
  const was = before?.record.document;
  if (was === undefined || was.state !== 'running') return true;
  return replicas > was.replicas || (replicas === was.replicas && bundle.digest !== was.bundle.digest);
}

const sameDocument = (a: DesiredRecord, b: DesiredRecord): boolean =>
  a === b ||
  (a.document.generation === b.document.generation &&
    Buffer.from(canonicalBytes(a.document)).equals(canonicalBytes(b.document)));

/** Whether what came takes the place of what is held. @throws Fault when it must not */
function supersedes({ key, revision }: Incoming, record: DesiredRecord, before: Held): boolean {
  const held = before.record.document.generation;
  const { generation } = record.document;
  if (generation > held) return true;
  if (generation === held) {
    if (sameDocument(record, before.record)) return false;
    throw new Fault(
      'conflict',
      `desired ${key}: generation ${generation} is held with other content; a change must raise the generation`,
    );
  }
  // The watch and a full read may cross: an older revision is merely late.
  if (revision < before.revision) return false;
  throw new Fault(
    'sequence-rollback',
    `desired ${key}: generation ${generation} is older than ${held}, which is held here; deploy again with a generation above ${held}`,
  );
}

/** The disk is trusted no more than the hub: what an attacker put there must not start. */
function judgeLoaded(held: Held, file: string, { instance, trust }: DesiredStoreOptions): void {
  for (const record of held.serving ? [held.record, held.serving] : [held.record]) {
    const { document, signatures } = record;
    if (document.instance !== instance)
      throw new Fault('invalid-input', `document.instance: expected ${instance}, found ${document.instance}`);
    if (`${workloadKey(document)}.json` !== file)
      throw new Fault('invalid-input', `document: expected the one of ${file}, found ${workloadKey(document)}`);
    judgeDesired(document, signatures, trust(), 'taken');
  }
}
