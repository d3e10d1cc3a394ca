/**
 * Signatures on the wire: DSSE (secure-systems-lab/dsse, protocol v1). The signing itself is in signing.ts.
 */
import { z } from 'zod';
import { Digest, PublicKey, Version, WorkloadKind, WorkloadName } from '../ids.ts';

export const Signature = z.strictObject({
  keyid: PublicKey,
  sig: z.base64().max(128).describe('Ed25519 signature, 64 bytes, base64.'),
});
export type Signature = z.infer<typeof Signature>;

/** DSSE envelope: payload is base64 of the canonical statement. */
export const Envelope = z.strictObject({
  payloadType: z.string().max(100),
  payload: z.base64().max(65_536),
  signatures: z.array(Signature).min(1).max(16),
});
export type Envelope = z.infer<typeof Envelope>;

/** What a publisher signs: the bundle is these bytes and says this of itself. */
export const BundleStatement = z.strictObject({
  name: WorkloadName,
  version: Version,
  kind: WorkloadKind,
  digest: Digest,
  size: z.number().int().positive().describe('Bytes.'),
  manifestDigest: Digest.describe('SHA-256 of the canonical manifest.'),
  sequence: z.number().int().positive().describe('Grows with every signing; a node never goes back behind the highest it ran.'),
  provenance: Digest.optional().describe(
    'SHA-256 of the in-toto statement of its build (the payload of the provenance envelope).',
  ),
});
export type BundleStatement = z.infer<typeof BundleStatement>;
