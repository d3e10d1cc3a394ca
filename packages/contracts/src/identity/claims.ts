/**
 * JWT claims of NATS identities: operator, accounts, users. Pure but for the signature; keys are handed in.
 *
 * Promises:
 * J1. An account's claims say all it has: limits, a signing key per role with its template, and who is revoked since when.
 * J2. A user of a role carries a name, tags and an end, and no permissions: those are the template's, kept by the server.
 * J3. A user that is not of a role (the system account's) has its permissions said in full.
 * J4. What is decoded has a good signature; who signed it is the reader's question.
 * Format: nats-io/jwt v2 (`ed25519-nkey`).
 */
import { type Account, encodeAccount, encodeOperator, encodeUser, newScopedSigner } from '@nats-io/jwt';
import { crossings, domainMappings, type HubAccount } from '../accounts.ts';
import { Fault } from '../errors.ts';
import type { SubjectPermissions } from '../permissions.ts';
import { type KeyPair, publicOnly } from './keys.ts';
import {
  accountOfRole,
  type ConnectionKind,
  connectionsOf,
  type IdentityRole,
  roleTags,
  roleTemplate,
  SERVES_TAG,
} from './roles.ts';

/** Public nkey of any kind: O operator, A account, U user. */
export type NkeyPublic = string;

export interface UserClaims {
  readonly subject: NkeyPublic;
  readonly name: string;
  readonly issuer: NkeyPublic;
  /** The account it belongs to. */
  readonly account: NkeyPublic;
  /** Seconds since 1970. */
  readonly issuedAt: number;
  /** Seconds since 1970; undefined never ends. */
  readonly expiresAt: number | undefined;
  /** Capability patterns of a node. */
  readonly serves: readonly string[];
  /** Said in the JWT itself; undefined where the signing key's template rules. */
  readonly permissions: SubjectPermissions | undefined;
  readonly connections: readonly string[];
}

export interface JetStreamLimits {
  /** Bytes; -1 without bound. */
  readonly memory: number;
  readonly disk: number;
}

export interface AccountOptions {
  readonly name: string;
  readonly account: NkeyPublic;
  /** Signs: a signing key of the operator. */
  readonly operatorSigner: KeyPair;
  /** Absent: the account has no JetStream. */
  readonly jetstream?: JetStreamLimits;
  /** Public key of the signing key of each role. */
  readonly roles?: Readonly<Partial<Record<IdentityRole, NkeyPublic>>>;
  /** Signing keys without a template. */
  readonly signingKeys?: readonly NkeyPublic[];
  /** It gives what crosses between the hub's accounts, or takes it from the account named (accounts.ts). */
  readonly crossing?: { readonly gives: true } | { readonly takesFrom: NkeyPublic };
  /** User key, or `*` for all, to the second since 1970 up to which what was issued is void. */
  readonly revocations?: Readonly<Record<string, number>>;
}

export interface UserOptions {
  readonly name: string;
  readonly user: NkeyPublic;
  readonly account: NkeyPublic;
  readonly signer: KeyPair;
  /** Seconds since 1970. */
  readonly expiresAt?: number | undefined;
}

/** The operator's own word about itself. */
export function operatorJwt(
  name: string,
  operator: KeyPair,
  options: { readonly signingKeys: readonly NkeyPublic[]; readonly systemAccount: NkeyPublic },
): Promise<string> {
  return encodeOperator(name, operator, {
    signing_keys: [...options.signingKeys],
    system_account: options.systemAccount,
  });
}

/** An account as the operator signs it (J1). */
export function accountJwt(options: AccountOptions): Promise<string> {
  const { name, account, operatorSigner, jetstream, roles = {}, signingKeys = [], crossing, revocations = {} } = options;
  const scoped = Object.entries(roles).map(([role, key]) => {
    const { publish, subscribe } = roleTemplate(role as IdentityRole);
    return newScopedSigner(publicOnly(key), role, {
      pub: { allow: [...publish.allow] },
      sub: { allow: [...subscribe.allow] },
      allowed_connection_types: [...connectionsOf(role as IdentityRole)] as never,
    });
  });
  const unbounded = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  return encodeAccount(
    name,
    publicOnly(account),
    {
      limits: {
        ...unbounded,
        ...(jetstream === undefined
          ? {}
          : { mem_storage: jetstream.memory, disk_storage: jetstream.disk, streams: -1, consumer: -1 }),
      },
      signing_keys: [...signingKeys, ...scoped],
      ...(crossing === undefined ? {} : crossingClaims(crossing)),
      ...(Object.keys(revocations).length === 0 ? {} : { revocations: { ...revocations } }),
    },
    { signer: operatorSigner },
  );
}

export interface HubAccountOptions {
  /** Public keys of both. */
  readonly accounts: Readonly<Record<HubAccount, NkeyPublic>>;
  readonly operatorSigner: KeyPair;
  /** Public key of the signing key of each role; each account gets those of its own. */
  readonly roles: Readonly<Record<IdentityRole, NkeyPublic>>;
  readonly revocations?: Readonly<Record<string, number>>;
}

/** One of the hub's two accounts: `HUB` keeps the state and gives, `CIM` has the leaves and takes (accounts.ts). */
export function hubAccountJwt(which: HubAccount, options: HubAccountOptions): Promise<string> {
  const { accounts, roles, ...rest } = options;
  return accountJwt({
    ...rest,
    name: which,
    account: accounts[which],
    roles: Object.fromEntries(Object.entries(roles).filter(([role]) => accountOfRole(role as IdentityRole) === which)),
    ...(which === 'HUB'
      ? { jetstream: { memory: -1, disk: -1 }, crossing: { gives: true } }
      : { crossing: { takesFrom: accounts.HUB } }),
  });
}

/** Claims of an account that the library's type does not know, by nats-io/jwt v2: subject to where it leads. */
interface Mapped {
  readonly mappings?: Readonly<Record<string, readonly { readonly subject: string }[]>>;
}

/** Exports are open to the operator's own accounts: there are no others, and each user's permissions say what it may ask. */
function crossingClaims(crossing: NonNullable<AccountOptions['crossing']>): Partial<Account> & Mapped {
  // The library wants members of its enums, which are these words.
  const type = 'service' as NonNullable<Account['exports']>[number]['type'];
  if ('gives' in crossing)
    return {
      exports: crossings().map(({ subject, answers }) => ({
        name: subject,
        subject,
        type,
        response_type: answers === 'many' ? 'Stream' : 'Singleton',
      })),
    };
  return {
    imports: crossings().map(({ subject }) => ({
      name: subject,
      subject,
      account: crossing.takesFrom,
      local_subject: subject,
      type,
    })),
    mappings: Object.fromEntries(Object.entries(domainMappings).map(([from, subject]) => [from, [{ subject }]])),
  };
}

/** A user of a role (J2). @param options.signer the signing key of that role */
export function roleUserJwt(
  options: UserOptions & { readonly role: IdentityRole; readonly serves?: readonly string[] },
): Promise<string> {
  const { role, name, user, account, signer, expiresAt, serves = [] } = options;
  const tags = roleTags(role, name, serves);
  return encodeUser(name, publicOnly(user), publicOnly(account), tags.length === 0 ? {} : { tags }, {
    signer,
    scopedUser: true,
    ...(expiresAt === undefined ? {} : { exp: expiresAt }),
  });
}

/** A user with permissions of its own (J3). @param options.signer the account's key, or a signing key without a template */
export function plainUserJwt(
  options: UserOptions & { readonly permissions: SubjectPermissions; readonly connections?: readonly ConnectionKind[] },
): Promise<string> {
  const { name, user, account, signer, expiresAt, permissions, connections = ['STANDARD'] } = options;
  const own = signer.getPublicKey() === account;
  return encodeUser(
    name,
    publicOnly(user),
    own ? signer : publicOnly(account),
    {
      pub: { allow: [...permissions.publish.allow] },
      sub: { allow: [...permissions.subscribe.allow] },
      allowed_connection_types: [...connections] as never,
    },
    { ...(own ? {} : { signer }), ...(expiresAt === undefined ? {} : { exp: expiresAt }) },
  );
}

interface RawUser {
  readonly issuer_account?: string;
  readonly tags?: readonly string[];
  readonly pub?: { readonly allow?: readonly string[] };
  readonly sub?: { readonly allow?: readonly string[] };
  readonly allowed_connection_types?: readonly string[];
  readonly type?: string;
}

/** What a user JWT says (J4). @throws Fault `signature-invalid`, `invalid-input` when it is no user's */
export function readUserJwt(jwt: string): UserClaims {
  const claims = decoded<RawUser>(jwt, 'user');
  const { nats } = claims;
  const allow = (side: RawUser['pub']) => side?.allow ?? [];
  const said = allow(nats.pub).length + allow(nats.sub).length > 0;
  return {
    subject: claims.sub,
    name: claims.name,
    issuer: claims.iss,
    account: nats.issuer_account ?? claims.iss,
    issuedAt: claims.iat,
    expiresAt: claims.exp,
    serves: (nats.tags ?? []).filter((tag) => tag.startsWith(SERVES_TAG)).map((tag) => tag.slice(SERVES_TAG.length)),
    permissions: said ? { publish: { allow: allow(nats.pub) }, subscribe: { allow: allow(nats.sub) } } : undefined,
    connections: nats.allowed_connection_types ?? [],
  };
}

export interface AccountClaims {
  readonly account: NkeyPublic;
  readonly name: string;
  readonly issuer: NkeyPublic;
  readonly issuedAt: number;
  /** Signing key to the role it is bound to, or undefined where it is bound to none. */
  readonly signers: ReadonlyMap<NkeyPublic, string | undefined>;
  readonly revocations: Readonly<Record<string, number>>;
}

/** What an account JWT says (J4). @throws Fault as {@link readUserJwt} */
export function readAccountJwt(jwt: string): AccountClaims {
  const claims = decoded<{
    readonly signing_keys?: readonly (string | { readonly key: string; readonly role: string })[];
    readonly revocations?: Record<string, number>;
  }>(jwt, 'account');
  const { signing_keys = [], revocations = {} } = claims.nats;
  return {
    account: claims.sub,
    name: claims.name,
    issuer: claims.iss,
    issuedAt: claims.iat,
    signers: new Map(signing_keys.map((one) => (typeof one === 'string' ? [one, undefined] : [one.key, one.role]))),
    revocations,
  };
}

/** What any JWT of NATS says beside its own part. */
interface Claims<T> {
  readonly sub: NkeyPublic;
  readonly iss: NkeyPublic;
  readonly name: string;
  readonly iat: number;
  readonly exp?: number;
  readonly nats: T & { readonly type?: string };
}

/** Opens a JWT by Node's own arithmetic; the library's holds the thread for the time of a dozen requests. */
function decoded<T>(jwt: string, kind: 'user' | 'account'): Claims<T> {
  let claims: Claims<T>;
  try {
    const [head = '', body = '', signature = '', ...more] = jwt.split('.');
    const { alg } = JSON.parse(Buffer.from(head, 'base64url').toString()) as { alg?: unknown };
    if (alg !== 'ed25519-nkey' || more.length > 0)
      throw new Error(`expected three parts signed by "ed25519-nkey", found ${alg}`);
    claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Claims<T>;
    if (!publicOnly(claims.iss).verify(Buffer.from(`${head}.${body}`), Buffer.from(signature, 'base64url')))
      throw new Error(`not signed by ${claims.iss}`);
  } catch (cause) {
    throw new Fault('signature-invalid', `jwt: ${(cause as Error).message}`, { cause });
  }
  const type = claims.nats?.type;
  if (type !== kind) throw new Fault('invalid-input', `jwt: expected that of a ${kind}, found ${JSON.stringify(type)}`);
  return claims;
}
