/** TLS that the registry serves itself: certificates that change while it runs, broken ones, and clients who show one. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { type TestCertificate, testAuthority, waitFor } from '@cim/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { certificateCaller } from '../src/certificates.ts';
import { askFrom, statuses, wire } from './raw.ts';
import { type RegistryProcess, tokenOf, type World, world } from './support.ts';

let hub: World;
let registry: RegistryProcess;
let directory: string;
const authority = testAuthority();
const clientAuthority = testAuthority('Clients');
const first = authority.issue({ name: 'first' });
const ci = clientAuthority.issue({ name: 'ci', organisation: 'Acme' });
const pinned = testAuthority('nobody knows').issue({ name: 'pinned' });
const forged = testAuthority('Clients').issue({ name: 'ci', organisation: 'Acme' });
const old = clientAuthority.issue({
  name: 'ci',
  organisation: 'Acme',
  from: Date.now() - 86_400_000,
  to: Date.now() - 3_600_000,
});
const stranger = clientAuthority.issue({ name: 'stranger' });

const serve = ({ cert, key }: Pick<TestCertificate, 'cert' | 'key'>) => {
  writeFileSync(join(directory, 'key.pem'), key);
  writeFileSync(join(directory, 'cert.pem'), cert);
};

beforeAll(async () => {
  hub = await world();
  directory = join(hub.directory, 'tls');
  mkdirSync(directory);
  serve(first);
  writeFileSync(join(directory, 'clients.pem'), clientAuthority.cert);
  const at = (file: string) => `../tls/${file}`;
  registry = await hub.registry({
    http: {
      port: 0,
      tls: {
        certFile: at('cert.pem'),
        keyFile: at('key.pem'),
        clientCaFile: at('clients.pem'),
        clients: [
          { name: 'the-ci', subject: 'CN=ci,O=Acme', roles: ['publisher'] },
          { name: 'the-pinned', fingerprint: pinned.fingerprint, roles: ['operator'], scope: { workloads: ['in*'] } },
        ],
      },
    },
  });
});
afterAll(async () => hub?.[Symbol.asyncDispose]());

const ca = authority.cert;
const ask = (path: string, client?: TestCertificate, headers = {}) =>
  askFrom('127.0.0.1', `${registry.url}${path}`, {
    headers,
    tls: { ca, ...(client === undefined ? {} : { cert: client.cert, key: client.key }) },
  });
const token = { authorization: `Bearer ${tokenOf('viewer')}` };

/** Common name of the certificate that a new connection is shown. */
async function shown(): Promise<string> {
  const line = await wire(registry.url, { ca, servername: 'localhost' });
  const { CN } = (line.socket as TLSSocket).getPeerCertificate().subject;
  line.socket.destroy();
  return String(CN);
}
const conditions = async () => (await ask('/health')).body.conditions.map(({ code }: { code: string }) => code);

describe('a certificate', () => {
  test('is served, with the promise that it will be', async () => {
    expect(registry.url).toMatch(/^https:/);
    const answer = await ask('/api/v1/whoami', undefined, token);
    expect([answer.status, answer.body.name]).toEqual([200, 'viewer']);
    expect(answer.headers['strict-transport-security']).toMatch(/^max-age=\d{7,}/);
    await expect(
      wire(registry.url, { ca, servername: 'localhost', maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }),
    ).rejects.toThrow();
  });

  test('that changes is what new connections get; those that stand go on', async () => {
    const standing = await wire(registry.url, { ca, servername: 'localhost' });
    serve(authority.issue({ name: 'second' }));
    await waitFor(async () => (await shown()) === 'second', 10_000, 'the new certificate');
    standing.write(`GET /api/v1/whoami HTTP/1.1\r\nhost: x\r\nauthorization: ${token.authorization}\r\n\r\n`);
    expect(statuses(await standing.heard((text) => text.includes('viewer')))).toEqual([200]);
    standing.socket.destroy();
    expect(await conditions()).not.toContain('tls-unusable');
  });

  test('that is broken, alien to its key or over leaves the last good one in force, and health says so', async () => {
    serve(authority.issue({ name: 'third' }));
    await waitFor(async () => (await shown()) === 'third', 10_000, 'the third certificate');
    const fourth = authority.issue({ name: 'fourth' });
    const over = authority.issue({ name: 'over', from: Date.now() - 86_400_000, to: Date.now() - 1_000 });
    for (const bad of [{ cert: 'no certificate', key: fourth.key }, { cert: fourth.cert, key: first.key }, over]) {
      serve(bad);
      await waitFor(async () => (await conditions()).includes('tls-unusable'), 10_000, 'the condition');
      expect(await shown()).toBe('third');
      serve(authority.issue({ name: 'third' }));
      await waitFor(async () => !(await conditions()).includes('tls-unusable'), 10_000, 'the condition to be gone');
    }
    serve(fourth);
    await waitFor(async () => (await shown()) === 'fourth', 10_000, 'the fourth certificate');
  });

  test('that ends soon is said before it ends', async () => {
    expect(await conditions()).toContain('tls-ending');
    const metrics = await ask('/metrics', undefined, token);
    expect(metrics.body).toMatch(/cim_registry_certificate_expiry_seconds \d{10}/);
    serve(authority.issue({ name: 'long', to: Date.now() + 90 * 86_400_000 }));
    await waitFor(async () => !(await conditions()).includes('tls-ending'), 10_000, 'the condition to be gone');
  });

  test('has no use for a client that speaks no TLS, or says nothing', async () => {
    const plain = await wire(registry.url.replace('https', 'http'));
    plain.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n');
    expect(statuses(await plain.closed())).toEqual([]);
    const silent = await wire(registry.url.replace('https', 'http'));
    expect(await silent.closed(15_000)).toBe('');
    expect((await ask('/health/live')).status).toBe(200);
  });
});

describe('a client certificate', () => {
  const who = async (client: TestCertificate | undefined, headers = {}) => {
    const { status, body } = await ask('/api/v1/whoami', client, headers);
    return status === 200 ? `${body.name} ${body.roles}` : `${status} ${body.code}`;
  };

  test('is who the configuration says, by subject of an authority or by fingerprint', async () => {
    expect(await who(ci)).toBe('the-ci publisher');
    expect(await who(pinned)).toBe('the-pinned operator');
    for (const nobody of [undefined, forged, old, stranger, first]) expect(await who(nobody)).toBe('401 unauthenticated');
  });

  test('has its role and its scope, and never rescues a wrong token', async () => {
    expect((await ask('/api/v1/tokens', ci)).body.code).toBe('forbidden');
    expect((await ask('/api/v1/catalog/outside', pinned)).body.code).toBe('forbidden');
    expect((await ask('/api/v1/catalog/inside', pinned)).body.code).toBe('not-found');
    expect(await who(ci, { authorization: 'Bearer wrong' })).toBe('401 unauthenticated');
    expect(await who(ci, token)).toBe('viewer viewer');
  });

  test('is nobody outside its dates, and by subject nobody without an authority', () => {
    const show = {
      fingerprint256: `${'AA:'.repeat(31)}AA`,
      subject: 'CN=ci\nO=Acme',
      validFrom: 'Jan 1 2026 GMT',
      validTo: 'Jan 1 2027 GMT',
    };
    const clients = [
      { name: 'a', subject: 'CN=ci,O=Acme', roles: ['viewer'] },
      { name: 'b', fingerprint: 'aa'.repeat(32), roles: ['viewer'] },
    ] as never;
    const at = Date.parse('2026-06-01');
    expect(certificateCaller({ ...show, authorized: true }, clients, at)?.name).toBe('a');
    expect(certificateCaller({ ...show, authorized: false }, clients, at)?.name).toBe('b');
    expect(certificateCaller({ ...show, authorized: true }, clients, Date.parse('2027-01-01T00:00:00Z'))).toBeUndefined();
    expect(certificateCaller({ ...show, authorized: true }, clients, Date.parse('2025-12-31'))).toBeUndefined();
    expect(certificateCaller({ ...show, subject: 'O=Acme\nCN=ci', authorized: true }, [clients[0]], at)).toBeUndefined();
  });
});
