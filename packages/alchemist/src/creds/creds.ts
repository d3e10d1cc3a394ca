/**
 * Credentials made and read by hand, with the hub's directory at hand: for operators, monitoring, further registries, and for leaves
 * whose registry shall not hold the signing key.
 *
 * Promises:
 * C1. A credential is of a role and a name; what it may do is the role's template, kept by the server.
 * C2. A seed is written to the file it belongs to and to no other place; `showCreds` has none to show.
 * C3. Rotation makes a new key; the old one stays good beside it until it is revoked or ends, so that nothing is cut off meanwhile.
 */
import {
  accountOfRole,
  credsText,
  Fault,
  type IdentityRole,
  identityRoles,
  newKeyPair,
  readCreds,
  readUserJwt,
  rolePermissions,
  roleUserJwt,
  type SubjectPermissions,
  seedOf,
  type UserClaims,
} from '@cim/contracts';
import type { HubDirectory, HubFile } from '../hub/directory.ts';
import { readText, replaceWhole, writeNew } from '../hub/files.ts';

export interface IssueOptions {
  readonly role: IdentityRole;
  /** Of a node its instance. */
  readonly name: string;
  readonly serves: readonly string[];
  /** Seconds since 1970; undefined never ends. */
  readonly expiresAt: number | undefined;
}

export interface Issued {
  readonly role: IdentityRole;
  readonly claims: UserClaims;
  /** Absent where only a JWT was asked for. */
  readonly file: string | undefined;
  readonly jwt: string;
}

/** Makes a key and a credentials file. @throws Fault `conflict` when the file exists, `not-found` when the role's key is not at hand */
export async function issueCreds(hub: HubDirectory, options: IssueOptions, file: string): Promise<Issued> {
  const key = newKeyPair('user');
  const jwt = await signed(hub, options, key.getPublicKey());
  writeNew(file, credsText(jwt, seedOf(key)));
  return { role: options.role, claims: readUserJwt(jwt), file, jwt };
}

/** Signs for a key made elsewhere, whose seed stays there. */
export async function issueJwt(hub: HubDirectory, options: IssueOptions, publicKey: string): Promise<Issued> {
  const jwt = await signed(hub, options, publicKey);
  return { role: options.role, claims: readUserJwt(jwt), file: undefined, jwt };
}

/** A new key for the same user, in the same file. @throws Fault as {@link issueCreds} */
export async function rotateCreds(
  hub: HubDirectory,
  file: string,
  expiresAt: number | undefined,
): Promise<Issued & { readonly old: string }> {
  const { claims } = readCreds(readText(file, 'credentials'), file);
  const role = roleOfClaims(hub.hub, claims);
  if (role === undefined)
    throw new Fault('invalid-input', `${file}: this credential is of no role of this hub (signed by ${claims.issuer})`);
  const key = newKeyPair('user');
  const jwt = await signed(hub, { role, name: claims.name, serves: claims.serves, expiresAt }, key.getPublicKey());
  replaceWhole(file, credsText(jwt, seedOf(key)));
  return { role, claims: readUserJwt(jwt), file, jwt, old: claims.subject };
}

export interface Shown {
  readonly claims: UserClaims;
  /** Known where the hub's directory is at hand, or the credential names its permissions itself. */
  readonly role: IdentityRole | undefined;
  readonly permissions: SubjectPermissions | undefined;
}

/** What a credentials file, or a bare JWT, says (C2). @throws Fault `invalid-input`, `signature-invalid` */
export function showCreds(text: string, file: string, hub: HubFile | undefined): Shown {
  const claims = text.includes('-----BEGIN') ? readCreds(text, file).claims : readUserJwt(text.trim());
  const role = hub === undefined ? guess(claims) : roleOfClaims(hub, claims);
  const permissions =
    claims.permissions ??
    (role === undefined ? undefined : rolePermissions(role, claims.name, role === 'node' ? claims.serves : undefined));
  return { claims, role, permissions };
}

const roleOfClaims = (hub: HubFile, { issuer }: UserClaims): IdentityRole | undefined =>
  identityRoles.find((role) => hub.roles[role] === issuer);

/** Without the hub's directory: only a node has tags of what it serves. */
const guess = ({ serves }: UserClaims): IdentityRole | undefined => (serves.length > 0 ? 'node' : undefined);

function signed(hub: HubDirectory, { role, name, serves, expiresAt }: IssueOptions, publicKey: string): Promise<string> {
  return roleUserJwt({
    role,
    name,
    user: publicKey,
    account: accountOfRole(role) === 'HUB' ? hub.hub.hubAccount : hub.hub.account,
    signer: hub.key(`role-${role}`),
    expiresAt,
    serves: role === 'node' ? serves : [],
  });
}
