/**
 * How a machine gets its identity: the documents that cross between operator, registry and node, and the bytes a node signs.
 *
 * Promises:
 * E1. A node proves that it has the seed of every key it names; the seed itself never leaves it.
 * E2. What is signed names the purpose, the instance and the time, so that no signature serves for anything else.
 * E3. A token is checked by its hash: the registry keeps nothing that could be used as one.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { Fault } from '../errors.ts';
import { CapabilityPattern, InstanceId } from '../ids.ts';
import { type KeyPair, publicOnly } from './keys.ts';

/** Public key of a NATS user. */
export const UserKey = z
  .string()
  .regex(/^U[A-Z2-7]{55}$/, 'expected the public nkey of a user: 56 characters that start with "U"')
  .brand('UserKey');
export type UserKey = z.infer<typeof UserKey>;

const Signature64 = z.string().regex(/^[A-Za-z0-9_-]{86}$/, 'expected an Ed25519 signature, base64url without padding');
const Seconds = z
  .number()
  .int()
  .nonnegative()
  .max(2 ** 40);

/** A credential has to fit into one line of nats-server's protocol (max_control_line, 4 KiB). */
const MOST_SERVES = 1_000;
/** Capability patterns a node may answer; `[">"]` is any, said aloud. */
export const Serves = z
  .array(CapabilityPattern)
  .max(64)
  .refine((patterns) => new Set(patterns).size === patterns.length, 'expected each pattern once')
  .refine(
    (patterns) => patterns.join('').length <= MOST_SERVES,
    `expected at most ${MOST_SERVES} characters in all: nats-server takes no longer credential; use wildcards`,
  )
  .describe('Capability patterns this instance may answer, e.g. ["document.*"]; [">"] is any, [] none.');

/** `cim-enrol-` and 32 random bytes, base64url. */
export const EnrolmentToken = z
  .string()
  .regex(/^cim-enrol-[A-Za-z0-9_-]{43}$/, 'expected an enrolment token: "cim-enrol-" and 43 characters')
  .describe('The one-time token of this instance.');
export const enrolmentToken = (random: Uint8Array): string => `cim-enrol-${Buffer.from(random).toString('base64url')}`;
/** SHA-256 of a token, hex: what the registry keeps (E3). */
export const enrolmentHash = (token: string): string => createHash('sha256').update(token).digest('hex');

/** An operator asks for a token. */
export const EnrolmentOrder = z.strictObject({
  instance: InstanceId.describe('Whom it is for; nobody else can use it.'),
  serves: Serves,
  validSeconds: z
    .number()
    .int()
    .min(60)
    .max(30 * 86_400)
    .optional()
    .describe('How long the token may be used, seconds. Default: a day.'),
});
export type EnrolmentOrder = z.infer<typeof EnrolmentOrder>;

export const EnrolmentGiven = z.object({
  token: EnrolmentToken,
  instance: InstanceId,
  serves: Serves,
  expiresAt: z.iso.datetime(),
});
export type EnrolmentGiven = z.infer<typeof EnrolmentGiven>;

/** A node asks for its first credential. */
export const EnrolRequest = z.strictObject({
  token: EnrolmentToken,
  instance: InstanceId,
  publicKey: UserKey.describe('The key the node made for itself.'),
  at: Seconds.describe("The node's clock, seconds since 1970."),
  signature: Signature64.describe('By the seed of `publicKey`, over what docs/security.md says.'),
});
export type EnrolRequest = z.infer<typeof EnrolRequest>;

/** A node asks for the next one: for the same key, or for a new one it has made. */
export const RenewRequest = z.strictObject({
  instance: InstanceId,
  publicKey: UserKey.describe('The key of the credential in force.'),
  newKey: UserKey.optional().describe('The key to go over to.'),
  at: Seconds.describe("The node's clock, seconds since 1970."),
  signature: Signature64.describe('By the seed of `publicKey`.'),
  newSignature: Signature64.optional().describe('By the seed of `newKey`, where there is one.'),
});
export type RenewRequest = z.infer<typeof RenewRequest>;

/** What both get. */
export const CredentialGiven = z.object({
  jwt: z.string().max(65_536).describe("The user's JWT; with the node's own seed it makes a credentials file."),
  instance: InstanceId,
  publicKey: UserKey,
  account: z.string(),
  serves: Serves,
  issuedAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
});
export type CredentialGiven = z.infer<typeof CredentialGiven>;

/** What the hub keeps of an instance's identity. */
export const IdentityRecord = z.strictObject({
  instance: InstanceId,
  serves: Serves,
  /** Keys that may ask for a renewal, newest first. */
  keys: z.array(z.strictObject({ key: UserKey, issuedAt: Seconds, expiresAt: Seconds })).max(8),
  enrolledAt: z.iso.datetime(),
  revokedAt: z.iso.datetime().optional(),
});
export type IdentityRecord = z.infer<typeof IdentityRecord>;

/** What the hub keeps of a token. */
export const EnrolmentRecord = z.strictObject({
  instance: InstanceId,
  serves: Serves,
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  expiresAt: z.iso.datetime(),
  used: z.strictObject({ at: z.iso.datetime(), by: UserKey }).optional(),
});
export type EnrolmentRecord = z.infer<typeof EnrolmentRecord>;

/** The bytes a node signs to enrol (E2). */
export const enrolBytes = ({ token, instance, publicKey, at }: Omit<EnrolRequest, 'signature'>): Uint8Array =>
  lines('cim.enrol.v1', enrolmentHash(token), instance, publicKey, `${at}`);

/** The bytes a node signs, with both keys, to renew (E2). */
export const renewBytes = ({ instance, publicKey, newKey, at }: Omit<RenewRequest, 'signature' | 'newSignature'>): Uint8Array =>
  lines('cim.renew.v1', instance, publicKey, newKey ?? '-', `${at}`);

const lines = (...parts: readonly string[]): Uint8Array => new TextEncoder().encode(parts.join('\n'));

/** Signature over bytes, base64url. */
export const signedBy = (key: KeyPair, bytes: Uint8Array): string => Buffer.from(key.sign(bytes)).toString('base64url');

/** @throws Fault `signature-invalid` naming the key */
export function demandSignature(publicKey: string, bytes: Uint8Array, signature: string): void {
  let good = false;
  try {
    good = publicOnly(publicKey).verify(bytes, new Uint8Array(Buffer.from(signature, 'base64url')));
  } catch {
    good = false;
  }
  if (!good) throw new Fault('signature-invalid', `the request is not signed by the seed of ${publicKey}`);
}

/** Signs a request for the first credential. @param at seconds since 1970 */
export function enrolRequest(token: string, instance: string, key: KeyPair, at: number): EnrolRequest {
  const base = { token, instance: InstanceId.parse(instance), publicKey: UserKey.parse(key.getPublicKey()), at };
  return { ...base, signature: signedBy(key, enrolBytes(base)) };
}

/** Signs a request for the next one, with both keys where there are two. @param at seconds since 1970 */
export function renewRequest(instance: string, key: KeyPair, newKey: KeyPair | undefined, at: number): RenewRequest {
  const base = {
    instance: InstanceId.parse(instance),
    publicKey: UserKey.parse(key.getPublicKey()),
    ...(newKey === undefined ? {} : { newKey: UserKey.parse(newKey.getPublicKey()) }),
    at,
  };
  const bytes = renewBytes(base);
  return {
    ...base,
    signature: signedBy(key, bytes),
    ...(newKey === undefined ? {} : { newSignature: signedBy(newKey, bytes) }),
  };
}
