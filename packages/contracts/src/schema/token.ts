/**
 * Tokens of the registry: who may ask what, and about what. A token itself is never stored, only its SHA-256.
 *
 * Promises:
 * T1. A scope only narrows: what it does not mention it does not bound, and nothing it says lets anybody do more than the roles do.
 * T2. `*` in a pattern stands for any run of characters of one name; there is no other magic.
 */
import { z } from 'zod';
import { CapabilityPattern } from '../ids.ts';
import { subjectWithin } from '../subject.ts';

export const Role = z.enum(['viewer', 'publisher', 'operator', 'admin']);
export type Role = z.infer<typeof Role>;

/** A name, or several by `*`: `billing-*`. */
export const NamePattern = z
  .string()
  .regex(
    /^[a-z0-9*](?:[a-z0-9*-]{0,61}[a-z0-9*])?$/,
    'expected a name or a pattern such as "billing-*": 1 to 63 of a-z, 0-9, "-" and "*"',
  );

const list = <S extends z.ZodType>(item: S) => z.array(item).min(1).max(64).optional();

/** What a token is good for. A field that is absent bounds nothing. */
export const TokenScope = z.strictObject({
  workloads: list(NamePattern).describe('Names of workloads, e.g. `["billing-*"]`. Absent: all.'),
  instances: list(NamePattern).describe('Ids of instances, e.g. `["cim-eu-*"]`. Absent: all.'),
  capabilities: list(CapabilityPattern).describe(
    'Capabilities that what it publishes or deploys may offer, e.g. `["document.>"]`. Absent: all.',
  ),
});
export type TokenScope = z.infer<typeof TokenScope>;

/** An admin changes who may do what: a bound on that would be none. */
const adminsAreWhole = ({ roles, scope }: { readonly roles: readonly Role[]; readonly scope?: unknown }) =>
  !(roles.includes('admin') && scope !== undefined);
const ADMIN_SCOPE = { path: ['scope'], error: 'expected no scope beside the role admin: an admin can make any token' };

const roles = z
  .array(Role)
  .min(1)
  .max(4)
  .describe('What it allows: viewer reads, publisher publishes, operator deploys, admin does all.');
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'expected a SHA-256: 64 lower-case hex digits');
const name = z.string().min(1).max(100);

/** One line of the registry's token file: tokens that are there before anybody can make one. */
export const TokenEntry = z
  .strictObject({
    name: name.describe('Whose token it is; written into audit and events.'),
    sha256: sha256.describe('SHA-256 of the token, hex.'),
    roles,
    scope: TokenScope.optional().describe('What it is good for. Absent: everything its roles allow.'),
    expiresAt: z.iso.datetime().optional().describe('When it ends.'),
  })
  .refine(adminsAreWhole, ADMIN_SCOPE);
export type TokenEntry = z.infer<typeof TokenEntry>;
export const TokenFile = z.strictObject({ tokens: z.array(TokenEntry).max(10_000) });

/** Id of a managed token: not secret, and the key it is kept under. */
export const TokenId = z.string().regex(/^[0-9a-f]{16}$/, 'expected the id of a token: 16 hex digits (alchemist token list)');

/** A managed token as it is kept in the bucket CIM_TOKENS, key `<id>`. It is never deleted: `revokedAt` ends it. */
export const ManagedToken = z
  .strictObject({
    id: TokenId,
    name,
    sha256,
    roles,
    scope: TokenScope.optional(),
    createdAt: z.iso.datetime(),
    createdBy: z.string().max(200),
    expiresAt: z.iso.datetime().optional(),
    revokedAt: z.iso.datetime().optional(),
    revokedBy: z.string().max(200).optional(),
  })
  .refine(adminsAreWhole, ADMIN_SCOPE);
export type ManagedToken = z.infer<typeof ManagedToken>;

/** What is asked for when a token is made. */
export const TokenRequest = z
  .strictObject({
    name,
    roles,
    scope: TokenScope.optional(),
    expiresAt: z.iso.datetime().optional().describe('When it ends. Absent: never.'),
  })
  .refine(adminsAreWhole, ADMIN_SCOPE);
export type TokenRequest = z.infer<typeof TokenRequest>;

/** What may be known of a managed token: everything but its hash. */
export const TokenView = z.object({
  id: TokenId,
  name,
  roles: z.array(Role).readonly(),
  scope: TokenScope.optional(),
  createdAt: z.iso.datetime(),
  createdBy: z.string(),
  expiresAt: z.iso.datetime().optional(),
  revokedAt: z.iso.datetime().optional(),
  revokedBy: z.string().optional(),
  state: z.enum(['good', 'expired', 'revoked']),
});
export type TokenView = z.infer<typeof TokenView>;

/** True when a name fits one of the patterns (T2). Linear in both: no pattern can be made slow. */
export function nameWithin(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => fits(name, pattern));
}

function fits(name: string, pattern: string): boolean {
  const [head = '', ...rest] = pattern.split('*');
  if (rest.length === 0) return name === head;
  const tail = rest.pop()!;
  if (name.length < head.length + tail.length || !name.startsWith(head) || !name.endsWith(tail)) return false;
  let at = head.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= name.length - tail.length;
}

/** What a request touches, as far as it is known. */
export interface Touched {
  readonly workload?: string | undefined;
  readonly instance?: string | undefined;
  readonly capabilities?: readonly string[] | undefined;
}

/** What of `touched` lies outside the scope, for people; undefined when nothing does. */
export function outsideScope(scope: TokenScope | undefined, touched: Touched): string | undefined {
  if (scope === undefined) return undefined;
  const { workload, instance, capabilities } = touched;
  if (scope.workloads && workload !== undefined && !nameWithin(workload, scope.workloads))
    return `workload "${workload}" (good for ${scope.workloads.join(', ')})`;
  if (scope.instances && instance !== undefined && !nameWithin(instance, scope.instances))
    return `instance "${instance}" (good for ${scope.instances.join(', ')})`;
  const allowed = scope.capabilities;
  const strange = allowed && capabilities?.find((one) => !allowed.some((pattern) => subjectWithin(one, pattern)));
  return strange === undefined ? undefined : `capability "${strange}" (good for ${allowed!.join(', ')})`;
}
