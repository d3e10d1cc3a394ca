/** Identities as claims, and as a real nats-server takes them: what a credential of each role may do, and where it ends. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createAccount, createOperator, createUser, type KeyPair } from '@nats-io/nkeys';
import { connect, credsAuthenticator } from '@nats-io/transport-node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  accountJwt,
  credsText,
  demandSignature,
  enrolBytes,
  enrolRequest,
  Fault,
  type IdentityRole,
  identityRoles,
  operatorJwt,
  readAccountJwt,
  readCreds,
  readUserJwt,
  renderNatsConfig,
  renewBytes,
  renewRequest,
  rolePermissions,
  roleTags,
  roleTemplate,
  roleUserJwt,
} from '../src/index.ts';
import { natsServer, startNats } from './nats-server.ts';
import { label } from './samples.ts';

const seed = (key: KeyPair) => new TextDecoder().decode(key.getSeed());
const capability = fc.constantFrom('>', 'document.*', 'greeting.say', 'graph.>', '*.run', 'a');

/** A template as nats-server 2.10 fills it: whole tokens, a subject for each value of a tag. */
function filled(template: readonly string[], name: string, tags: readonly string[]): string[] {
  return template.flatMap((subject) => {
    const tag = /\{\{tag\((\w+)\)\}\}/.exec(subject)?.[1];
    const named = subject.replaceAll('{{name()}}', name);
    if (tag === undefined) return [named];
    const values = tags.filter((one) => one.startsWith(`${tag}:`)).map((one) => one.slice(tag.length + 1));
    return values.map((value) => named.replaceAll(`{{tag(${tag})}}`, value));
  });
}

describe('roles', () => {
  it('have templates that, filled in, are what the tables say (R1)', () => {
    fc.assert(
      fc.property(label, fc.uniqueArray(capability, { maxLength: 4 }), (name, serves) => {
        for (const role of identityRoles) {
          const template = roleTemplate(role);
          const tags = roleTags(role, name, serves);
          const wanted = rolePermissions(role, name, role === 'node' ? serves : undefined);
          for (const side of ['publish', 'subscribe'] as const)
            expect(filled(template[side].allow, name, tags).sort()).toEqual([...wanted[side].allow].sort());
        }
      }),
    );
  });

  it('hold placeholders as whole tokens only, which is all the server fills', () => {
    for (const role of identityRoles)
      for (const { allow } of Object.values(roleTemplate(role)))
        for (const token of allow.flatMap((subject: string) => subject.split('.')))
          expect(token.includes('{') ? /^\{\{(?:name\(\)|tag\(\w+\))\}\}$/.test(token) : !token.includes('PLACEHOLDER')).toBe(
            true,
          );
  });

  it('let monitoring hear and ask nothing', () => {
    const { publish, subscribe } = rolePermissions('monitoring', 'm');
    expect(publish.allow.every((subject) => subject.startsWith('_INBOX.monitoring.'))).toBe(true);
    expect(subscribe.allow).toContain('cim.v1.log.>');
  });
});

describe('what is signed', () => {
  const key = createUser();
  const other = createUser();
  it('is good for these words and no others', () => {
    const request = enrolRequest(`cim-enrol-${'A'.repeat(43)}`, 'cim-a', key, 1000);
    demandSignature(request.publicKey, enrolBytes(request), request.signature);
    for (const change of [
      { instance: 'cim-b' as never },
      { at: 1001 },
      { token: `cim-enrol-${'B'.repeat(43)}` },
      { publicKey: other.getPublicKey() as never },
    ]) {
      const tampered = { ...request, ...change };
      expect(() => demandSignature(tampered.publicKey, enrolBytes(tampered), tampered.signature)).toThrow(Fault);
    }
    const renewal = renewRequest('cim-a', key, other, 1000);
    demandSignature(renewal.publicKey, renewBytes(renewal), renewal.signature);
    demandSignature(other.getPublicKey(), renewBytes(renewal), renewal.newSignature!);
    expect(() => demandSignature(renewal.publicKey, enrolBytes(request), renewal.signature)).toThrow(Fault);
  });

  it('garbage in place of a credential is a fault that shows no seed', () => {
    const text = credsText('not.a.jwt', seed(key));
    expect(() => readCreds(text, 'x')).toThrow(Fault);
    try {
      readCreds(text, 'x');
    } catch (error) {
      expect(String(error)).not.toContain(seed(key));
    }
    fc.assert(fc.property(fc.string(), (junk) => void expect(() => readUserJwt(junk)).toThrow(Fault)));
    fc.assert(fc.property(fc.string(), (junk) => void expect(() => readCreds(junk, 'x')).toThrow(Fault)));
  });
});

describe.skipIf(natsServer === undefined)('on a real nats-server', () => {
  it('each role connects as its template says; expired, revoked, foreign and seedless ones do not', async () => {
    const [operator, operatorSigner, system, account] = [createOperator(), createOperator(), createAccount(), createAccount()];
    const signers = Object.fromEntries(identityRoles.map((role) => [role, createAccount()])) as Record<IdentityRole, KeyPair>;
    const roles = Object.fromEntries(identityRoles.map((role) => [role, signers[role].getPublicKey()])) as Record<
      IdentityRole,
      string
    >;
    const accountKey = account.getPublicKey();
    const revoked = createUser();
    const now = Math.floor(Date.now() / 1000);
    const jwt = await accountJwt({
      name: 'CIM',
      account: accountKey,
      operatorSigner,
      roles,
      revocations: { [revoked.getPublicKey()]: now + 5 },
    });
    expect(readAccountJwt(jwt)).toMatchObject({ account: accountKey, issuer: operatorSigner.getPublicKey() });
    expect(Object.fromEntries(readAccountJwt(jwt).signers)).toEqual(
      Object.fromEntries(identityRoles.map((role) => [roles[role], role])),
    );
    const operatorText = await operatorJwt('CIM', operator, {
      signingKeys: [operatorSigner.getPublicKey()],
      systemAccount: system.getPublicKey(),
    });
    const systemText = await accountJwt({ name: 'SYS', account: system.getPublicKey(), operatorSigner });
    const server = await startNats((directory) => {
      mkdirSync(join(directory, 'accounts'));
      return renderNatsConfig({
        name: 'hub',
        host: '127.0.0.1',
        port: -1,
        domain: 'hub',
        storeDirectory: directory,
        users: [],
        operator: {
          jwt: operatorText,
          resolverDirectory: join(directory, 'accounts'),
          accounts: { [accountKey]: jwt, [system.getPublicKey()]: systemText },
        },
      });
    });
    const user = async (role: IdentityRole, name: string, key = createUser(), expiresAt?: number, signer = signers[role]) =>
      credsText(
        await roleUserJwt({ role, name, user: key.getPublicKey(), account: accountKey, signer, expiresAt, serves: ['a.*'] }),
        seed(key),
      );
    const joins = async (creds: string): Promise<'in' | 'out'> => {
      try {
        const nc = await connect({
          servers: server.url,
          reconnect: false,
          authenticator: credsAuthenticator(new TextEncoder().encode(creds)),
        });
        await nc.close();
        return 'in';
      } catch {
        return 'out';
      }
    };
    try {
      expect(await joins(await user('registry', 'registry'))).toBe('in');
      expect(await joins(await user('alchemist', 'ada'))).toBe('in');
      // R2: a node's credential is no client's.
      expect(await joins(await user('node', 'cim-a'))).toBe('out');
      expect(await joins(await user('alchemist', 'ada', createUser(), now - 5))).toBe('out');
      expect(await joins(await user('alchemist', 'ada', revoked))).toBe('out');
      // Signed by a key of nobody's.
      expect(await joins(await user('alchemist', 'ada', createUser(), undefined, createAccount()))).toBe('out');
      // The JWT of one with the seed of another.
      const good = readCreds(await user('alchemist', 'ada'), 'x');
      expect(await joins(credsText(good.jwt, seed(createUser())))).toBe('out');
      expect(good.claims).toMatchObject({ name: 'ada', account: accountKey, issuer: roles.alchemist, permissions: undefined });
    } finally {
      await server.stop();
    }
  });
});
