/**
 * Identities of a fleet by JWT: operator, accounts and role keys, made once and kept beside the other secrets; the registry's and the
 * operator's credentials; and each leaf's, by the same enrolment a machine goes through.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  accountJwt,
  accountOfRole,
  CredentialGiven,
  credsText,
  decodeJson,
  EnrolmentGiven,
  enrolRequest,
  Fault,
  type HubAccount,
  hubAccountJwt,
  type IdentityRole,
  identityRoles,
  type KeyPair,
  keyPairOf,
  type NatsOperator,
  newKeyPair,
  operatorJwt,
  plainUserJwt,
  roleUserJwt,
  seedOf,
  systemClock,
} from '@cim/contracts';
import { writeFault } from './machine/child.ts';

export interface Identities {
  /** For the hub's nats-server. */
  readonly operator: NatsOperator;
  /** Public key of the account the instances are in. */
  readonly account: string;
  /** Seed of the key that signs credentials of instances. */
  readonly nodeSeedFile: string;
  /** Credentials file of `registry`, `alchemist`, `monitoring`, or `system`. */
  creds(user: 'registry' | 'alchemist' | 'monitoring' | 'system'): string;
  /** Signs the account anew with these revocations, as an administrator would before pushing it. */
  accountWith(revocations: Readonly<Record<string, number>>): Promise<string>;
}

/** @param directory of the hub; its accounts are kept below */
export async function openIdentities(directory: string): Promise<Identities> {
  const own = join(directory, 'identities');
  mkdirSync(own, { recursive: true, mode: 0o700 });
  const once = async (name: string, make: () => string | Promise<string>): Promise<string> => {
    const file = join(own, name);
    if (!existsSync(file)) write(file, `${(await make()).trim()}\n`);
    return readFileSync(file, 'utf8').trim();
  };
  const key = async (name: string, kind: 'operator' | 'account') =>
    keyPairOf(await once(`${name}.seed`, () => seedOf(newKeyPair(kind))), name);
  const operator = await key('operator', 'operator');
  const operatorSigner = await key('operator-signing', 'operator');
  const account = await key('account', 'account');
  const system = await key('system', 'account');
  const signers = new Map<IdentityRole, KeyPair>();
  for (const role of identityRoles) signers.set(role, await key(`role-${role}`, 'account'));
  const roles = Object.fromEntries([...signers].map(([role, pair]) => [role, pair.getPublicKey()])) as Record<
    IdentityRole,
    string
  >;
  const accountKey = account.getPublicKey();
  const systemKey = system.getPublicKey();
  const accounts = { HUB: (await key('hub', 'account')).getPublicKey(), CIM: accountKey };
  const signed = (which: HubAccount, revocations: Readonly<Record<string, number>> = {}) =>
    hubAccountJwt(which, { accounts, operatorSigner, roles, revocations });
  const user = (name: string, sign: (publicKey: string) => Promise<string>) =>
    once(`${name}.creds`, async () => {
      const pair = newKeyPair('user');
      return credsText(await sign(pair.getPublicKey()), seedOf(pair));
    });
  for (const role of ['registry', 'alchemist', 'monitoring'] as const)
    await user(role, (publicKey) =>
      roleUserJwt({
        role,
        name: role,
        user: publicKey,
        account: accounts[accountOfRole(role)],
        signer: signers.get(role)!,
      }),
    );
  const everything = { publish: { allow: ['>'] }, subscribe: { allow: ['>'] } };
  await user('system', (publicKey) =>
    plainUserJwt({ name: 'system', user: publicKey, account: systemKey, signer: system, permissions: everything }),
  );
  return {
    operator: {
      jwt: await once('operator.jwt', () =>
        operatorJwt('CIM', operator, { signingKeys: [operatorSigner.getPublicKey()], systemAccount: systemKey }),
      ),
      resolverDirectory: join(directory, 'hub', 'accounts'),
      accounts: {
        [systemKey]: await once('SYS.jwt', () => accountJwt({ name: 'SYS', account: systemKey, operatorSigner })),
        [accounts.HUB]: await once('HUB.jwt', () => signed('HUB')),
        [accountKey]: await signed('CIM'),
      },
    },
    account: accountKey,
    nodeSeedFile: join(own, 'role-node.seed'),
    creds: (name) => join(own, `${name}.creds`),
    accountWith: (revocations) => signed('CIM', revocations),
  };
}

/** Enrols an instance as a machine does, unless its credential is there already. @returns the credentials file */
export async function enrolInstance(
  registry: { readonly url: string; readonly adminToken: string },
  instance: string,
  serves: readonly string[],
  file: string,
): Promise<string> {
  if (existsSync(file)) return file;
  const order = await post(`${registry.url}/api/v1/enrolments`, { instance, serves }, registry.adminToken);
  const { token } = decodeJson(EnrolmentGiven, order, 'enrolment order', 'start-failed');
  const key = newKeyPair('user');
  const request = enrolRequest(token, instance, key, Math.floor(systemClock.now() / 1000));
  const { jwt } = decodeJson(CredentialGiven, await post(`${registry.url}/api/v1/enrol`, request), 'enrolment', 'start-failed');
  write(file, credsText(jwt, seedOf(key)));
  return file;
}

async function post(url: string, body: unknown, token?: string): Promise<string> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(15_000),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Fault('start-failed', `${url} answered ${answer.status}: ${text.slice(0, 500)}`);
  return text;
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    throw writeFault(file, cause);
  }
}
