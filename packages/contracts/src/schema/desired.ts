/**
 * What should run: one document per workload and instance, in the hub's KV and, as last good, on the leaf's disk.
 *
 * Promises:
 * D1. A document carries all a node needs to fetch and verify the bundle (digest, size, signed statement): no second lookup.
 * D2. Removal is a document too (`state: "removed"`). A key that is merely absent stops nothing, so a hub that lost its
 *     memory cannot stop a leaf.
 * D3. `generation` grows with every change of one key; it is what an operator's signature fixes in order.
 */
import { z } from 'zod';
import { Digest, InstanceId, SecretName, Version, WorkloadKind, WorkloadName } from '../ids.ts';
import { Configuration, Resources } from './manifest.ts';
import { SealedSecret } from './sealed.ts';
import { Envelope, Signature } from './signature.ts';

export const BundleRef = z.strictObject({
  version: Version,
  digest: Digest,
  size: z.number().int().nonnegative().describe('Bytes.'),
  envelope: Envelope.describe("The publisher's signed statement about the bundle."),
});
export type BundleRef = z.infer<typeof BundleRef>;

export const Desired = z.strictObject({
  api: z.literal(1),
  instance: InstanceId,
  kind: WorkloadKind,
  name: WorkloadName,
  generation: z.number().int().positive(),
  state: z.enum(['running', 'removed']),
  bundle: BundleRef,
  replicas: z.number().int().min(0).max(64).default(1),
  isolation: z.enum(['shared', 'dedicated']).default('shared'),
  resources: Resources.default({}).describe('Overrides those of the manifest; never above them where the manifest sets one.'),
  configuration: Configuration.default({}).describe('Overrides that of the manifest.'),
  config: z.record(z.string(), z.unknown()).default({}).describe("Values of ctx.config over the manifest's defaults."),
  secrets: z
    .record(SecretName, SealedSecret)
    .refine((all) => Object.keys(all).length <= 64, 'expected at most 64 sealed secrets')
    .optional()
    .describe('Secrets of this workload, sealed to the node; they come before files of the same name.'),
  rollback: z.boolean().default(false).describe('Allows a bundle older than the newest already run.'),
  issuedAt: z.iso.datetime(),
  issuedBy: z.string().max(200),
  reason: z.string().max(500).optional(),
});
export type Desired = z.infer<typeof Desired>;

/** As stored: the document and the operators' signatures over its canonical bytes (empty where none are required). */
export const DesiredRecord = z.strictObject({
  document: Desired,
  signatures: z.array(Signature).max(16).default([]),
});
export type DesiredRecord = z.infer<typeof DesiredRecord>;

/** KV key `<instance>.<kind>.<name>`. */
export function desiredKey(of: { readonly instance: string; readonly kind: string; readonly name: string }): string {
  return `${of.instance}.${of.kind}.${of.name}`;
}
