/**
 * Whom a party trusts: keys with what they may sign, and the signed trust document by which operators change that for a whole fleet.
 *
 * Promises:
 * T1. Keys of operators stand in configuration alone: no document can add one.
 * T2. A trust document is whole: it says all that is added and all that is revoked, so that a node that missed ten of them needs the
 *     newest only.
 */
import { z } from 'zod';
import { CapabilityPattern, Digest, PublicKey, SecretName, SubjectPattern, WorkloadName } from '../ids.ts';
import { HostPattern } from './policy.ts';
import { Signature } from './signature.ts';
import { NamePattern } from './token.ts';

const few = <S extends z.ZodType>(item: S) => z.array(item).max(256).optional();

export const Scopes = z.strictObject({
  names: few(NamePattern).describe('Workload names it may sign for, e.g. `["invoice-*"]`. Absent: any.'),
  capabilities: few(CapabilityPattern).describe('Capabilities its workloads may offer, e.g. `["invoice.>"]`. Absent: any.'),
  grants: z
    .strictObject({
      publish: few(SubjectPattern).describe('Subjects its workloads may ask to publish to. Absent: any.'),
      subscribe: few(SubjectPattern).describe('Subjects its workloads may ask to listen to. Absent: any.'),
      call: few(CapabilityPattern).describe('Capabilities its workloads may ask to call. Absent: any.'),
      kv: z.boolean().optional().describe('Whether its workloads may ask for a key-value bucket. Absent: yes.'),
      secrets: few(SecretName).describe('Secrets its workloads may ask for, by name. Absent: any.'),
      http: few(HostPattern).describe('Hosts its workloads may ask to fetch from. Absent: any.'),
    })
    .optional()
    .describe('What its manifests may ask for.'),
});
export type Scopes = z.infer<typeof Scopes>;

export const TrustedKey = z.strictObject({
  name: z.string().min(1).max(100).describe('Whose key it is, for people.'),
  key: PublicKey.describe('Public nkey; alchemist keys show prints it.'),
  validFrom: z.iso.datetime().optional().describe('From when it may sign, e.g. "2026-01-01T00:00:00Z". Absent: always could.'),
  validUntil: z.iso
    .datetime()
    .optional()
    .describe('Until when it may sign. Nothing new of it is taken in after that; what was taken in before keeps running.'),
  scopes: Scopes.optional().describe('What a publisher may sign. Absent: anything.'),
});
export type TrustedKey = z.infer<typeof TrustedKey>;

const why = z.string().min(1).max(500).describe('Why, for people.');
const distinct = (field: 'key' | 'digest') => (items: readonly object[]) =>
  new Set(items.map((item) => (item as Record<string, unknown>)[field])).size === items.length;

/** What operators say about keys, for every node at once. */
export const TrustDocument = z
  .strictObject({
    api: z.literal(1),
    sequence: z.int().positive().describe('Grows with every document; a node never goes back behind the highest it took in.'),
    issuedAt: z.iso.datetime(),
    issuedBy: z.string().min(1).max(200),
    expires: z.iso
      .datetime()
      .optional()
      .describe('When publishers added here may sign nothing new any more. Revocations never expire.'),
    refreshBy: z.iso
      .datetime()
      .optional()
      .describe(
        'By when operators promise a newer document, changed or not: a node that has none by then says `trust-stale`, since a hub may be withholding it.',
      ),
    reason: z.string().max(500).optional(),
    publishers: z
      .array(
        TrustedKey.refine(
          ({ key }) => key.startsWith('A'),
          'expected the key of a publisher ("A…"); operators stand in configuration alone',
        ),
      )
      .max(1000)
      .refine(distinct('key'), 'expected each key once')
      .describe('Publishers trusted beside those in configuration.'),
    revokedKeys: z
      .array(z.strictObject({ key: PublicKey, reason: why, at: z.iso.datetime() }))
      .max(5000)
      .refine(distinct('key'), 'expected each key once')
      .describe('Keys, of publishers or operators, that are worth nothing any more. Once here, here for ever.'),
    revokedBundles: z
      .array(z.strictObject({ digest: Digest, reason: why, at: z.iso.datetime() }))
      .max(5000)
      .refine(distinct('digest'), 'expected each digest once')
      .describe('Bundles that must not run, whoever signed them. Once here, here for ever.'),
    logStart: Digest.optional().describe(
      'Hash of the first entry of the transparency log, where it had to begin anew: nodes give up the history they remember for this one.',
    ),
  })
  .meta({ id: 'TrustDocument' });
export type TrustDocument = z.infer<typeof TrustDocument>;

/** As stored in the hub's KV, on a node's disk and in files: the document and the operators' signatures over its canonical bytes. */
export const TrustRecord = z.strictObject({ document: TrustDocument, signatures: z.array(Signature).max(16).default([]) });
export type TrustRecord = z.infer<typeof TrustRecord>;

/** The one KV key of CIM_TRUST. */
export const TRUST_KEY = 'document';

/** One thing the registry did, as the transparency log has it. Times ISO. */
export const LogBody = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('bundle-published'),
    at: z.iso.datetime(),
    by: z.string().max(200),
    name: WorkloadName,
    version: z.string().max(128),
    kind: z.enum(['agent', 'service']),
    digest: Digest,
    sequence: z.int().positive().describe('That of the signed statement.'),
    publisher: PublicKey,
  }),
  z.strictObject({
    type: z.literal('channel-set'),
    at: z.iso.datetime(),
    by: z.string().max(200),
    name: WorkloadName,
    channel: z.string().max(32),
    version: z.string().max(128),
    digest: Digest,
  }),
  z.strictObject({
    type: z.literal('trust-published'),
    at: z.iso.datetime(),
    by: z.string().max(200),
    sequence: z.int().positive(),
    document: Digest.describe('SHA-256 of the canonical trust document.'),
  }),
]);
export type LogBody = z.infer<typeof LogBody>;
