/** The hub an operator makes, and credentials made, changed and ended by hand, against the nats-server that runs its configuration. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault, readCreds, systemClock, waitUntil } from '@cim/contracts';
import { findNatsServer, freePort } from '@cim/fleet';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { issueCreds, issueJwt, rotateCreds, showCreds } from '../src/creds/creds.ts';
import { hubPaths, openHub } from '../src/hub/directory.ts';
import { type HubInitOptions, initHub } from '../src/hub/init.ts';
import { pushAccount } from '../src/hub/push.ts';
import { servesOf } from '../src/instance/enrol.ts';

const root = mkdtempSync(join(tmpdir(), 'cim-hub-'));
const directory = join(root, 'hub');
const paths = hubPaths(directory);
let options: HubInitOptions;
let server: ChildProcess;
let url: string;

const until = (check: () => boolean | Promise<boolean>) => waitUntil(systemClock, 15_000, check, 20);
const now = () => Math.floor(Date.now() / 1000);
async function run(): Promise<void> {
  server = spawn((await findNatsServer()).path, ['-c', paths.nats], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  server.stderr!.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  expect([
    await until(() => said.includes('Server is ready') || server.exitCode !== null),
    server.exitCode,
    said.slice(-500),
  ]).toEqual([true, null, expect.any(String)]);
}
async function end(): Promise<void> {
  server.kill('SIGTERM');
  await until(() => server.exitCode !== null || server.signalCode !== null);
}
const join_ = (file: string): Promise<NatsConnection> =>
  connect({ servers: url, reconnect: false, authenticator: credsAuthenticator(readFileSync(file)) });
const refused = (file: string) =>
  join_(file).then(
    async (connection) => {
      await connection.close();
      return false;
    },
    () => true,
  );

beforeAll(async () => {
  const ports = new Set<number>();
  for (let i = 0; i < 3; i++) ports.add(await freePort('127.0.0.1', undefined, ports));
  const [port, leafPort, registryPort] = [...ports] as [number, number, number];
  options = {
    directory,
    name: 'TEST',
    host: '127.0.0.1',
    port,
    leafPort,
    registryPort,
    trust: { publishers: [], operators: [] },
    peopleExpireAt: now() + 3600,
  };
  expect((await initHub(options)).made).toBe(true);
  url = openHub(directory).hub.url;
  await run();
});
afterAll(async () => {
  await end();
  rmSync(root, { recursive: true, force: true });
});

test('a second init changes nothing, a half made one is refused', async () => {
  const before = readFileSync(paths.seed('operator'), 'utf8');
  const again = await initHub({ ...options, name: 'OTHER' });
  expect([again.made, again.hub.name]).toEqual([false, 'TEST']);
  expect(readFileSync(paths.seed('operator'), 'utf8')).toBe(before);
  const half = join(root, 'half');
  await initHub({ ...options, directory: half });
  rmSync(hubPaths(half).file);
  await expect(initHub({ ...options, directory: half })).rejects.toMatchObject({ code: 'conflict' });
});

test('a credential of a role joins, is shown without its seed, and is not written over', async () => {
  const hub = openHub(directory);
  const file = join(root, 'ada.creds');
  const issued = await issueCreds(hub, { role: 'alchemist', name: 'ada', serves: [], expiresAt: now() + 60 }, file);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  await (await join_(file)).close();
  const { seed } = readCreds(readFileSync(file, 'utf8'), file);
  const shown = showCreds(readFileSync(file, 'utf8'), file, hub.hub);
  expect(shown).toMatchObject({ role: 'alchemist', claims: { name: 'ada', subject: issued.claims.subject } });
  expect(shown.permissions!.subscribe.allow).toContain('_INBOX.alchemist.ada.>');
  expect(JSON.stringify(shown)).not.toContain(seed);
  await expect(
    issueCreds(hub, { role: 'alchemist', name: 'ada', serves: [], expiresAt: undefined }, file),
  ).rejects.toMatchObject({
    code: 'conflict',
  });
  const jwt = await issueJwt(
    hub,
    { role: 'node', name: 'cim-a', serves: ['a.*'], expiresAt: undefined },
    issued.claims.subject,
  );
  expect(showCreds(jwt.jwt, 'jwt', undefined)).toMatchObject({ role: 'node', claims: { serves: ['a.*'] } });
});

test('rotation leaves the old key good, revocation cuts it at once and for good, over a restart too', async () => {
  const hub = openHub(directory);
  const file = join(root, 'ben.creds');
  await issueCreds(hub, { role: 'alchemist', name: 'ben', serves: [], expiresAt: undefined }, file);
  const old = join(root, 'ben-old.creds');
  writeFileSync(old, readFileSync(file));
  const held = await join_(old);
  const rotated = await rotateCreds(hub, file, now() + 600);
  expect(rotated.old).not.toBe(rotated.claims.subject);
  const renewed = await join_(file);
  expect(held.isClosed()).toBe(false);

  const pushed = await pushAccount(hub, { [rotated.old]: now() });
  expect(pushed.servers).toEqual(['hub']);
  expect(await until(() => held.isClosed())).toBe(true);
  expect(await refused(old)).toBe(true);
  // Who was not meant notices nothing.
  await renewed.flush();
  await renewed.close();
  // A push that says nothing of it takes nothing back.
  expect((await pushAccount(hub, {})).revocations).toHaveProperty(rotated.old);
  await end();
  await run();
  expect([await refused(old), await refused(file)]).toEqual([true, false]);
});

test('what nobody can reach, and what is no hub, is said', async () => {
  await expect(pushAccount(openHub(directory), {}, 'nats://127.0.0.1:1')).rejects.toMatchObject({ code: 'hub-unreachable' });
  expect(() => openHub(root)).toThrow(Fault);
});

test('what an instance may serve has to be said', () => {
  expect(() => servesOf([])).toThrow('--serves');
  expect(servesOf(['none'])).toEqual([]);
  expect(servesOf(['>'])).toEqual(['>']);
});
