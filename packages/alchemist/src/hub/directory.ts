/**
 * The directory `alchemist hub init` makes: what lies where, and opening it again.
 *
 *   hub.json                        what it is: names and public keys, no secret; written last
 *   keys/operator.seed              the root: signs the operator's own JWT once. Take it offline
 *   keys/operator-signing.seed      signs accounts: needed to revoke, to rotate, and after an upgrade. Not on the hub
 *   keys/{account,hub,system}.seed  identities of the accounts: CIM (leaves, people), HUB (what the hub keeps), SYS
 *   keys/role-<role>.seed           makes users of that role and of no other; the registry gets role-node.seed
 *   creds/<user>.creds              users: registry, alchemist, monitoring, system
 *   accounts/<name>.jwt             the accounts as they were signed last
 *   nats/nats.conf                  the hub's nats-server
 *   registry.json, tokens.json, admin.token, profile.json    a registry beside it and a profile for `alchemist`
 */
import { join } from 'node:path';
import { decodeJson, Fault, type HubAccount, type IdentityRole, identityRoles, type KeyPair, keyPairOf } from '@cim/contracts';
import { z } from 'zod';
import { exists, readText } from './files.ts';

const Key = (letter: string) => z.string().regex(new RegExp(`^${letter}[A-Z2-7]{55}$`));

export const HubFile = z.strictObject({
  version: z.literal(1),
  name: z.string(),
  operator: Key('O'),
  operatorSigner: Key('O'),
  /** `CIM`: leaves and people. */
  account: Key('A'),
  /** `HUB`: what the hub keeps. */
  hubAccount: Key('A'),
  systemAccount: Key('A'),
  roles: z.strictObject(Object.fromEntries(identityRoles.map((role) => [role, Key('A')])) as Record<IdentityRole, z.ZodString>),
  url: z.string(),
  leafUrl: z.string(),
});
export type HubFile = z.infer<typeof HubFile>;

export type SeedName = 'operator' | 'operator-signing' | 'account' | 'hub' | 'system' | `role-${IdentityRole}`;

export const hubPaths = (directory: string) => ({
  file: join(directory, 'hub.json'),
  seed: (name: SeedName) => join(directory, 'keys', `${name}.seed`),
  creds: (name: string) => join(directory, 'creds', `${name}.creds`),
  account: (name: HubAccount | 'SYS') => join(directory, 'accounts', `${name}.jwt`),
  nats: join(directory, 'nats', 'nats.conf'),
  resolver: join(directory, 'nats', 'accounts'),
  store: join(directory, 'nats', 'jetstream'),
  registry: join(directory, 'registry.json'),
  tokens: join(directory, 'tokens.json'),
  adminToken: join(directory, 'admin.token'),
  profile: join(directory, 'profile.json'),
});

export interface HubDirectory {
  readonly directory: string;
  readonly hub: HubFile;
  /** @throws Fault naming the file: seeds may have been taken away, as they should */
  key(name: SeedName): KeyPair;
}

/** @throws Fault `not-found` where there is none */
export function openHub(directory: string): HubDirectory {
  const paths = hubPaths(directory);
  if (!exists(paths.file))
    throw new Fault('not-found', `${directory}: expected the directory of a hub (hub.json), found none: alchemist hub init`);
  const hub = decodeJson(HubFile, readText(paths.file, 'hub'), paths.file, 'configuration-invalid');
  return {
    directory,
    hub,
    key: (name) => keyPairOf(readText(paths.seed(name), `key ${name}`), paths.seed(name)),
  };
}
