/**
 * What should run: documents by instance, kind and name, changed by compare-and-set.
 *
 * Promises:
 * D1. Of any number of writers that saw the same revision exactly one wins; the others are told `revision-conflict` with the
 *     revision that stands.
 * D2. What is stored was checked: ids as in the path, generation one above the last, a bundle that is published and signed by a
 *     trusted publisher, signatures of enough operators where operators are configured.
 * D3. A removal is never stopped by the catalog: it may name the bundle the document named before, whatever became of it.
 * D4. A dry run is the same checks and no write.
 */
import {
  type Clock,
  type DesiredRecord,
  DesiredRecord as DesiredRecordSchema,
  decodeJson,
  desiredKey,
  Fault,
  type FieldIssue,
  judgeDesired,
  judgeStatement,
  type Trust,
} from '@cim/contracts';
import type { Actor, Audit } from './audit.ts';
import { type Caller, demandScope } from './auth.ts';
import type { Catalog } from './catalog.ts';
import { formFault } from './nesting.ts';
import type { Bucket } from './store/bucket.ts';
import type { BucketView } from './store/view.ts';
import type { TrustDesk } from './trust.ts';

export interface StoredDesired {
  readonly revision: number;
  readonly record: DesiredRecord;
}

export interface DesiredId {
  readonly instance: string;
  readonly kind: string;
  readonly name: string;
}

/** What the writer saw: nothing, or this revision. */
export type Expected = { readonly absent: true } | { readonly revision: number };

export interface DesiredChange {
  readonly id: DesiredId;
  readonly record: DesiredRecord;
  readonly expected: Expected;
  readonly dryRun: boolean;
  readonly actor: Actor;
}

export interface DesiredStore {
  list(filter: Partial<DesiredId>): Promise<StoredDesired[]>;
  /** @throws Fault `not-found` */
  get(id: DesiredId): Promise<StoredDesired>;
  /** @throws Fault `revision-conflict`, `invalid-input`, `not-found`, `conflict`, and those of signatures */
  put(change: DesiredChange): Promise<StoredDesired>;
}

export interface DesiredDeps {
  readonly bucket: Bucket;
  readonly view: BucketView<DesiredRecord>;
  readonly catalog: Catalog;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly trust: TrustDesk;
  /** Told how each write ended. */
  readonly counted: (outcome: 'written' | 'conflict') => void;
}

/** @throws Fault when the value is no record */
export const desiredRow = (key: string, bytes: Uint8Array): DesiredRecord => decodeJson(DesiredRecordSchema, bytes, key);

export function createDesired(deps: DesiredDeps): DesiredStore {
  const { bucket, view, catalog, audit } = deps;
  const read = async (key: string): Promise<StoredDesired | undefined> => {
    const stored = await bucket.get(key);
    return stored && { revision: stored.revision, record: decodeJson(DesiredRecordSchema, stored.bytes, key, 'internal') };
  };
  const conflict = (key: string, expected: Expected, found: number | undefined) => {
    deps.counted('conflict');
    const was = 'absent' in expected ? 'no document' : `revision ${expected.revision}`;
    return new Fault(
      'revision-conflict',
      `${key}: expected ${was}, found ${found === undefined ? 'none' : `revision ${found}`}`,
    );
  };

  return {
    async list({ instance, kind, name }) {
      const rows = [...(await view.fresh())].sort(([a], [b]) => (a < b ? -1 : 1));
      return rows
        .map(([, { revision, value }]) => ({ revision, record: value }))
        .filter(
          ({ record: { document } }) =>
            (instance === undefined || document.instance === instance) &&
            (kind === undefined || document.kind === kind) &&
            (name === undefined || document.name === name),
        );
    },

    async get(id) {
      const stored = await read(desiredKey(id));
      if (!stored) throw new Fault('not-found', `there is no desired document ${desiredKey(id)}`);
      return stored;
    },

    async put({ id, record, expected, dryRun, actor }) {
      const key = desiredKey(id);
      const { document, signatures } = record;
      refuseOtherId(id, record);
      refuseWithoutForm(record);
      const state = await bucket.state(key);
      const before = state.bytes && {
        revision: state.revision,
        record: decodeJson(DesiredRecordSchema, state.bytes, key, 'internal'),
      };
      const stale = 'absent' in expected ? before !== undefined : before?.revision !== expected.revision;
      if (stale) throw conflict(key, expected, before?.revision);
      refuseGeneration(record, before?.record);
      const trust = await deps.trust.now();
      judgeDesired(document, signatures, trust, deps.clock.now());
      const removesAsItWas = document.state === 'removed' && before?.record.document.bundle.digest === document.bundle.digest;
      if (!removesAsItWas) await checkBundle(catalog, record, trust, actor.caller);
      if (dryRun) return { revision: before?.revision ?? 0, record };
      const written = await audit.change({
        action: 'desired.changed',
        subject: document.name,
        actor: { ...actor, reason: document.reason ?? actor.reason },
        bucket,
        key,
        value: JSON.stringify(record),
        state,
        data: {
          instance: document.instance,
          kind: document.kind,
          name: document.name,
          state: document.state,
          generation: document.generation,
          version: document.bundle.version,
          digest: document.bundle.digest,
          previousVersion: before?.record.document.bundle.version ?? null,
          previousDigest: before?.record.document.bundle.digest ?? null,
          replicas: document.replicas,
          issuedBy: document.issuedBy,
        },
      });
      if (written.kind === 'lost') throw conflict(key, expected, (await read(key))?.revision);
      deps.counted('written');
      return { revision: written.revision, record };
    },
  };
}

const invalid = (issues: readonly FieldIssue[]) =>
  new Fault('invalid-input', `desired: ${issues.map(({ path, message }) => `${path}: ${message}`).join('; ')}`, { issues });

function refuseOtherId(id: DesiredId, { document }: DesiredRecord): void {
  const issues = (['instance', 'kind', 'name'] as const).flatMap((field) =>
    document[field] === id[field]
      ? []
      : [{ path: `document.${field}`, message: `expected "${id[field]}" as in the path, found "${document[field]}"` }],
  );
  if (issues.length > 0) throw invalid(issues);
}

/** What has no form can be neither signed nor stored as it was sent (numbers beyond JSON, nesting without end). */
function refuseWithoutForm({ document }: DesiredRecord): void {
  const message = formFault(document);
  if (message !== undefined) throw invalid([{ path: 'document', message }]);
}

function refuseGeneration({ document }: DesiredRecord, before: DesiredRecord | undefined): void {
  // Where nothing stands, any beginning is good: a hub that lost its memory must be able to go on above what its nodes have seen.
  if (!before) return;
  const expected = before.document.generation + 1;
  if (document.generation === expected) return;
  const message = `expected ${expected} (one above the last), found ${document.generation}`;
  throw invalid([{ path: 'document.generation', message }]);
}

/** D2: the bundle is the published one, and its statement is signed by a publisher who is trusted and not revoked. */
async function checkBundle(
  catalog: Catalog,
  { document: { kind, name, bundle } }: DesiredRecord,
  trust: Trust,
  caller: Caller,
): Promise<void> {
  const entry = await catalog.find(name, bundle.version);
  if (!entry) throw new Fault('not-found', `${name} has no published version ${bundle.version}: publish it first`);
  demandScope(caller, { workload: name, capabilities: Object.keys(entry.manifest.capabilities) });
  // Published while its key was valid; whether it is too late to take it in new is for each node to say.
  const { statement } = judgeStatement(bundle.envelope, trust, 'taken');
  const compare: [string, unknown, unknown][] = [
    ['document.bundle.digest', entry.digest, bundle.digest],
    ['document.bundle.size', entry.size, bundle.size],
    ['document.kind', entry.kind, kind],
    ['document.bundle.envelope', `a statement of ${entry.digest}`, `a statement of ${statement.digest}`],
  ];
  const issues = compare
    .filter(([, expected, found]) => expected !== found)
    .map(([path, expected, found]) => ({ path, message: `expected ${expected} as published, found ${found}` }));
  if (issues.length > 0) throw invalid(issues);
}
