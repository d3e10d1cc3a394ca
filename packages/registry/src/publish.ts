/**
 * From an upload to a published version.
 *
 * Promises:
 * P1. Bytes first, catalog entry after: a version that can be found can be fetched. A registry killed in between leaves at most
 *     bytes nobody names, which `sweep.ts` collects.
 * P2. What is published was checked here, whoever the caller is: signer (trusted, valid now, not revoked, in scope), signature, digest,
 *     size, and that manifest and statement say the same. Only then does the hub see a byte of it, and it stands in the transparency
 *     log before it can be found.
 * P3. The same bytes again are the same version (`created: false`); other bytes under a version that exists are a conflict.
 * P4. At most `LANES` uploads are taken at a time; the rest wait, bounded, without sending.
 */
import {
  type BundleStatement,
  CatalogEntry,
  type Clock,
  type Envelope,
  Fault,
  type FieldIssue,
  judgeManifest,
  judgeStatement,
  type Manifest,
  manifestDigest,
  readBundle,
} from '@cim/contracts';
import type { Actor } from './audit.ts';
import { demandScope } from './auth.ts';
import type { Catalog } from './catalog.ts';
import { createLanes } from './lanes.ts';
import { formFault } from './nesting.ts';
import { type Spool, spool } from './spool.ts';
import type { Objects } from './store/objects.ts';
import { stampOf, type Transparency } from './transparency.ts';
import type { TrustDesk } from './trust.ts';

export interface Upload {
  readonly envelope: Envelope;
  /** What the request says its body is long, bytes. */
  readonly contentLength: number | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  /** Set to this version afterwards. */
  readonly channel: string | undefined;
  readonly actor: Actor;
}

export interface Published {
  readonly name: CatalogEntry['name'];
  readonly version: CatalogEntry['version'];
  readonly kind: CatalogEntry['kind'];
  readonly digest: CatalogEntry['digest'];
  readonly size: number;
  readonly sequence: number;
  readonly created: boolean;
}

export type Publish = (upload: Upload) => Promise<Published>;

export interface PublishDeps {
  readonly clock: Clock;
  readonly catalog: Catalog;
  readonly objects: Objects;
  readonly trust: TrustDesk;
  readonly transparency: Transparency;
  /** Bytes. */
  readonly maxBundle: number;
  /** Told of each publish that was taken, and of the bytes of it that came over the wire. */
  readonly counted: (created: boolean, bytes: number) => void;
}

const LANES = 8;
const LANE_WAIT_MS = 30_000;

export function createPublish(deps: PublishDeps): Publish {
  const { clock, catalog, objects, trust, transparency, maxBundle } = deps;
  const lanes = createLanes(clock, LANES, LANE_WAIT_MS, 'uploads');

  const store = async ({ envelope, contentLength, body, actor }: Upload): Promise<Published> => {
    const { statement, signer } = judgeStatement(envelope, await trust.now(), clock.now());
    const { name, version, kind, digest, size, sequence } = statement;
    demandScope(actor.caller, { workload: name });
    const logged = () =>
      transparency.sayPublished({
        type: 'bundle-published',
        at: stampOf(clock),
        by: actor.caller.name,
        name,
        version,
        kind,
        digest,
        sequence,
        publisher: signer.key,
      });
    const answer = (created: boolean) => ({ name, version, kind, digest, size, sequence, created });
    if (Math.max(size, contentLength ?? 0) > maxBundle) {
      throw new Fault(
        'too-large',
        `bundle ${name}@${version}: expected at most ${maxBundle} bytes (limits.maxBundle), found ${Math.max(size, contentLength ?? 0)}`,
      );
    }
    if (contentLength !== undefined && contentLength !== size) throw sizeFault(statement, contentLength);
    const standing = await catalog.find(name, version);
    if (standing) {
      refuseOther(standing, statement);
      // Published before, and its bytes are where they should be: nothing to do. Else this upload mends it.
      if (await objects.has(digest, size)) {
        await logged();
        deps.counted(false, 0);
        return answer(false);
      }
    } else await refuseOtherKind(catalog, statement);
    const held = await spool(body, size);
    try {
      const manifest = await check(held, statement);
      judgeManifest(manifest, signer);
      demandScope(actor.caller, { capabilities: Object.keys(manifest.capabilities) });
      await objects.keep(digest, size, () => held.read());
      const wanted = CatalogEntry.parse({
        name,
        version,
        kind,
        digest,
        size,
        sequence,
        manifest,
        envelope,
        publishedAt: new Date(clock.now()).toISOString(),
        publishedBy: actor.caller.name,
      });
      const data = { name, version, kind, digest, size, sequence, publisher: signer.name };
      await logged();
      const { created, entry } = await catalog.add(wanted, actor, data);
      if (!created) refuseOther(entry, statement);
      deps.counted(created, size);
      return answer(created);
    } finally {
      await held.close();
    }
  };

  return async (upload) => {
    const published = await lanes(() => store(upload));
    if (upload.channel !== undefined) await catalog.setChannel(published.name, upload.channel, published.version, upload.actor);
    return published;
  };
}

const sizeFault = ({ size }: BundleStatement, found: number) =>
  new Fault('digest-mismatch', `the body: expected the ${size} bytes of the signed statement, found ${found}`);

function refuseOther(standing: CatalogEntry, { name, version, digest }: BundleStatement): void {
  if (standing.digest === digest) return;
  throw new Fault(
    'conflict',
    `${name}@${version} is already published with ${standing.digest} (by ${standing.publishedBy}, ${standing.publishedAt}); found ${digest}`,
  );
}

/** One name is one thing: desired documents and calls tell agents and services apart by it. */
async function refuseOtherKind(catalog: Catalog, { name, kind }: BundleStatement): Promise<void> {
  const item = (await catalog.list()).find((one) => one.name === name);
  if (item && item.kind !== kind)
    throw new Fault('conflict', `the name "${name}" belongs to a published ${item.kind}; found a ${kind}`);
}

/**
 * P2: the bytes are those of the statement, and the manifest inside says what the statement says.
 * @throws Fault `digest-mismatch`, `bundle-malformed`
 */
async function check(held: Spool, statement: BundleStatement): Promise<Manifest> {
  if (held.size !== statement.size) throw sizeFault(statement, held.size);
  if (held.digest !== statement.digest)
    throw new Fault('digest-mismatch', `the body: expected ${statement.digest}, found ${held.digest}`);
  const { manifest } = await readBundle(held.read());
  const form = formFault(manifest);
  if (form !== undefined)
    throw new Fault('bundle-malformed', `manifest: ${form}`, { issues: [{ path: 'manifest', message: form }] });
  const issues: FieldIssue[] = [];
  for (const field of ['name', 'version', 'kind'] as const) {
    if (manifest[field] !== statement[field])
      issues.push({
        path: `manifest.${field}`,
        message: `expected "${statement[field]}" as in the signed statement, found "${manifest[field]}"`,
      });
  }
  const found = manifestDigest(manifest);
  if (issues.length === 0 && found !== statement.manifestDigest)
    issues.push({ path: 'manifest', message: `expected the manifest signed as ${statement.manifestDigest}, found ${found}` });
  if (issues.length > 0)
    throw new Fault('bundle-malformed', issues.map(({ path, message }) => `${path}: ${message}`).join('; '), { issues });
  return manifest;
}
