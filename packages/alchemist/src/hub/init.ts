/**
 * `alchemist hub init`: from nothing to a hub with identities of its own.
 *
 * Promises:
 * H1. Nothing that exists is written over. Run again, it says what exists and changes nothing; a directory that an interrupted run left
 *     half made is refused with what to do.
 * H2. The configuration it writes is one `nats-server -t` takes, and holds no secret.
 * H3. No role's key can make users of another role: the server holds each to its template (contracts, identity/roles).
 */
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  accountJwt,
  accountOfRole,
  credsText,
  Fault,
  hubAccountJwt,
  type IdentityRole,
  identityRoles,
  type KeyPair,
  type NatsTlsFiles,
  newKeyPair,
  operatorJwt,
  plainUserJwt,
  renderNatsConfig,
  roleUserJwt,
  type SubjectPermissions,
  seedOf,
} from '@cim/contracts';
import { type HubFile, hubPaths, type SeedName } from './directory.ts';
import { exists, readText, writeNew } from './files.ts';

export interface HubInitOptions {
  /** Absolute. */
  readonly directory: string;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly leafPort: number;
  /** Name or address under which leaves and clients reach it, where it is not `host`. */
  readonly publicHost?: string | undefined;
  readonly tls?: NatsTlsFiles | undefined;
  readonly leafTls?: NatsTlsFiles | undefined;
  /** Bytes JetStream may keep on disk, e.g. "16GB". */
  readonly maxFile?: string | undefined;
  readonly registryPort: number;
  readonly trust: {
    readonly publishers: readonly { readonly name: string; readonly key: string }[];
    readonly operators: readonly { readonly name: string; readonly key: string }[];
  };
  /** Seconds since 1970 at which people's credentials end. */
  readonly peopleExpireAt: number;
}

export interface HubInitResult {
  readonly made: boolean;
  readonly directory: string;
  readonly hub: HubFile;
  /** What lies there, with what it is for. */
  readonly files: readonly { readonly file: string; readonly what: string }[];
}

/** What the system credential may: push accounts, look them up, see the servers. */
export const SYSTEM_INBOX = '_INBOX.system.admin';
const systemPermissions: SubjectPermissions = {
  publish: {
    allow: ['$SYS.REQ.CLAIMS.UPDATE', '$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP', '$SYS.REQ.SERVER.PING', '$SYS.REQ.SERVER.PING.*'],
  },
  subscribe: { allow: [`${SYSTEM_INBOX}.>`] },
};

/** @throws Fault `conflict` for what is half there, `invalid-input` */
export async function initHub(options: HubInitOptions): Promise<HubInitResult> {
  const { directory, name } = options;
  const paths = hubPaths(directory);
  if (exists(paths.file)) return { made: false, directory, hub: readHub(paths.file), files: filesOf(directory) };
  const left = filesOf(directory);
  if (left.length > 0) {
    throw new Fault(
      'conflict',
      `${directory} holds ${left.length} files of a hub but no hub.json: an init was interrupted; move the directory away and run it again`,
    );
  }
  const operator = newKeyPair('operator');
  const operatorSigner = newKeyPair('operator');
  const account = newKeyPair('account');
  const hubAccount = newKeyPair('account');
  const system = newKeyPair('account');
  const roleKeys = Object.fromEntries(identityRoles.map((role) => [role, newKeyPair('account')])) as Record<
    IdentityRole,
    KeyPair
  >;
  const roles = Object.fromEntries(identityRoles.map((role) => [role, roleKeys[role].getPublicKey()])) as Record<
    IdentityRole,
    string
  >;
  const accountKey = account.getPublicKey();
  const systemKey = system.getPublicKey();
  const accounts = { HUB: hubAccount.getPublicKey(), CIM: accountKey };
  const jwts = {
    operator: await operatorJwt(name, operator, { signingKeys: [operatorSigner.getPublicKey()], systemAccount: systemKey }),
    HUB: await hubAccountJwt('HUB', { accounts, operatorSigner, roles }),
    CIM: await hubAccountJwt('CIM', { accounts, operatorSigner, roles }),
    SYS: await accountJwt({ name: 'SYS', account: systemKey, operatorSigner }),
  };
  const scheme = options.tls === undefined ? 'nats' : 'tls';
  const host = options.publicHost ?? (options.host === '0.0.0.0' ? '127.0.0.1' : options.host);
  const hub: HubFile = {
    version: 1,
    name,
    operator: operator.getPublicKey(),
    operatorSigner: operatorSigner.getPublicKey(),
    account: accountKey,
    hubAccount: accounts.HUB,
    systemAccount: systemKey,
    roles,
    url: `${scheme}://${host}:${options.port}`,
    leafUrl: `${options.leafTls === undefined ? 'nats-leaf' : 'tls'}://${host}:${options.leafPort}`,
  };
  const seeds: readonly (readonly [SeedName, KeyPair])[] = [
    ['operator', operator],
    ['operator-signing', operatorSigner],
    ['account', account],
    ['hub', hubAccount],
    ['system', system],
    ...identityRoles.map((role) => [`role-${role}`, roleKeys[role]] as const),
  ];
  for (const [seed, pair] of seeds) writeNew(paths.seed(seed), `${seedOf(pair)}\n`);
  for (const which of ['HUB', 'CIM', 'SYS'] as const) writeNew(paths.account(which), `${jwts[which]}\n`);

  const user = async (role: Exclude<IdentityRole, 'node'>, expiresAt?: number) => {
    const key = newKeyPair('user');
    const jwt = await roleUserJwt({
      role,
      name: role,
      user: key.getPublicKey(),
      account: accounts[accountOfRole(role)],
      signer: roleKeys[role],
      expiresAt,
    });
    writeNew(paths.creds(role), credsText(jwt, seedOf(key)));
  };
  // The registry and the hub's own hand must work on the day somebody comes to mend it: theirs have no end, people's do.
  await user('registry');
  await user('alchemist', options.peopleExpireAt);
  await user('monitoring', options.peopleExpireAt);
  const systemUser = newKeyPair('user');
  const systemJwt = await plainUserJwt({
    name: 'system',
    user: systemUser.getPublicKey(),
    account: systemKey,
    signer: system,
    permissions: systemPermissions,
  });
  writeNew(paths.creds('system'), credsText(systemJwt, seedOf(systemUser)));

  writeNew(
    paths.nats,
    renderNatsConfig({
      name: 'hub',
      host: options.host,
      port: options.port,
      domain: 'hub',
      storeDirectory: paths.store,
      users: [],
      leafPort: options.leafPort,
      operator: {
        jwt: jwts.operator,
        resolverDirectory: paths.resolver,
        accounts: { [systemKey]: jwts.SYS, [accounts.HUB]: jwts.HUB, [accounts.CIM]: jwts.CIM },
      },
      ...(options.tls === undefined ? {} : { tls: options.tls }),
      ...(options.leafTls === undefined ? {} : { leafTls: options.leafTls }),
      ...(options.maxFile === undefined ? {} : { jetstreamMaxFile: options.maxFile }),
    }),
  );
  writeBeside(options, hub);
  // Last, so that its presence means that all the rest is there (H1).
  writeNew(paths.file, json(hub));
  return { made: true, directory, hub, files: filesOf(directory) };
}

/** A registry beside the hub, an administrator's token for it, and a profile with both. */
function writeBeside({ directory, registryPort, trust }: HubInitOptions, hub: HubFile): void {
  const paths = hubPaths(directory);
  const token = randomBytes(32).toString('hex');
  const sha256 = createHash('sha256').update(token).digest('hex');
  writeNew(paths.adminToken, `${token}\n`);
  writeNew(paths.tokens, json({ tokens: [{ name: 'admin', sha256, roles: ['admin'] }] }));
  writeNew(
    paths.registry,
    json({
      nats: { url: hub.url, credentialsFile: 'creds/registry.creds', domain: 'hub' },
      http: { host: '127.0.0.1', port: registryPort },
      tokensFile: 'tokens.json',
      trust,
      identity: { account: hub.account, signingSeedFile: 'keys/role-node.seed' },
    }),
  );
  writeNew(
    paths.profile,
    json({
      registry: { url: `http://127.0.0.1:${registryPort}`, tokenFile: 'admin.token' },
      nats: { url: hub.url, credentialsFile: 'creds/alchemist.creds' },
    }),
  );
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

function readHub(file: string): HubFile {
  return JSON.parse(readText(file, 'hub')) as HubFile;
}

/** What of a hub lies in a directory. */
function filesOf(directory: string): HubInitResult['files'] {
  const paths = hubPaths(directory);
  const all: readonly (readonly [string, string])[] = [
    [paths.nats, "the hub's nats-server: nats-server -c"],
    [paths.registry, 'a registry beside it: cim-registry --config'],
    [paths.profile, 'for alchemist: --profile, or CIM_PROFILE'],
    [paths.adminToken, "an administrator's token of that registry"],
    [paths.tokens, 'its hash'],
    [paths.creds('registry'), 'the registry on NATS'],
    [paths.creds('alchemist'), 'operators on NATS'],
    [paths.creds('monitoring'), 'hears events and logs, may do nothing'],
    [paths.creds('system'), 'pushes accounts: needed to revoke'],
    [paths.seed('role-node'), 'signs credentials of instances; the registry reads it'],
    [paths.seed('role-registry'), 'signs credentials of registries'],
    [paths.seed('role-alchemist'), 'signs credentials of operators'],
    [paths.seed('role-monitoring'), 'signs credentials for monitoring'],
    [paths.seed('operator-signing'), 'signs accounts: needed to revoke; keep it off the hub'],
    [paths.seed('operator'), 'the root of all: take it offline'],
    [paths.seed('account'), 'the account CIM itself, of leaves and people: take it offline'],
    [paths.seed('hub'), 'the account HUB itself, of what the hub keeps: take it offline'],
    [paths.seed('system'), 'the system account itself: take it offline'],
    [paths.account('HUB'), 'the account HUB as signed last'],
    [paths.account('CIM'), 'the account CIM as signed last'],
    [paths.account('SYS'), 'the system account as signed last'],
    [join(directory, 'hub.json'), 'names and public keys'],
  ];
  return all.filter(([file]) => exists(file)).map(([file, what]) => ({ file, what }));
}
