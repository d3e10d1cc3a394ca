/**
 * Build provenance beside a published version: written once, after it was checked against the statement of the bundle.
 */
import {
  Attestation,
  canonicalBytes,
  decodeJson,
  Fault,
  judgeStatement,
  provenanceKey,
  verifyProvenance,
} from '@cim/contracts';
import type { Actor, Audit } from './audit.ts';
import type { Catalog } from './catalog.ts';
import type { Bucket } from './store/bucket.ts';
import type { TrustDesk } from './trust.ts';

export interface ProvenanceShelf {
  /** @throws Fault `not-found` */
  get(name: string, version: string): Promise<Attestation>;
  /** @throws Fault `not-found`, `digest-mismatch`, those of signatures, `conflict` when other provenance stands there */
  put(name: string, version: string, attestation: Attestation, actor: Actor): Promise<{ readonly created: boolean }>;
}

export function createProvenanceShelf(deps: {
  readonly bucket: Bucket;
  readonly catalog: Catalog;
  readonly audit: Audit;
  readonly trust: TrustDesk;
}): ProvenanceShelf {
  const { bucket, catalog, audit, trust } = deps;
  return {
    async get(name, version) {
      const stored = await bucket.get(provenanceKey(name, version));
      if (!stored) throw new Fault('not-found', `there is no provenance of ${name}@${version}`);
      return decodeJson(Attestation, stored.bytes, provenanceKey(name, version), 'internal');
    },
    async put(name, version, attestation, actor) {
      const entry = await catalog.find(name, version);
      if (!entry) throw new Fault('not-found', `${name} has no published version ${version}: publish it first`);
      // It was taken in while its key was valid; what is asked here is whose provenance it is.
      const now = await trust.now();
      const { statement } = judgeStatement(entry.envelope, now, 'taken');
      verifyProvenance(statement, attestation, now.publishers);
      const key = provenanceKey(name, version);
      const state = await bucket.state(key);
      const value = JSON.stringify(attestation);
      const same = (bytes: Uint8Array) =>
        Buffer.from(canonicalBytes(decodeJson(Attestation, bytes, key, 'internal'))).equals(canonicalBytes(attestation));
      if (state.bytes) {
        if (same(state.bytes)) return { created: false };
        throw new Fault('conflict', `${name}@${version} has other provenance already`);
      }
      const written = await audit.change({
        action: 'bundle.attested',
        subject: name,
        actor,
        bucket,
        key,
        value,
        state,
        data: { name, version, digest: entry.digest, provenance: statement.provenance ?? null },
      });
      if (written.kind === 'lost') throw new Fault('revision-conflict', `${key}: somebody else was first`);
      return { created: true };
    },
  };
}
