/**
 * A fleet whose parties have identities of their own: enrolled leaves, renewed and changed keys, revocation. Real processes; what is
 * asserted is what callers and operators see.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Alchemist, type Bundle, Fault } from '@cim/alchemist';
import { digestOf, Manifest, packBundle, readCreds, systemClock, waitUntil } from '@cim/contracts';
import { type Fleet, instanceDirectory, leafAdminUser, startFleet } from '@cim/fleet';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';

const A = 'cim-a';
const B = 'cim-b';
/** Short enough that two changes of keys and links fit into a test, long enough for a busy machine to start on it. */
const VALIDITY = '15s';
let directory: string;
let fleet: Fleet;
let alchemist: Alchemist;

const until = (check: () => boolean | Promise<boolean>, ms = 30_000) => waitUntil(systemClock, ms, check, 50);
const credential = (instance: string) => {
  const file = join(instanceDirectory(fleet.directory, instance), 'leaf.creds');
  return readCreds(readFileSync(file, 'utf8'), file).claims;
};
const metric = async (instance: string, name: string) => {
  const text = await (await fetch(`${fleet.member(instance).agent.url}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${name} `) || one.startsWith(`${name}{`));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
};
const conditions = async (instance: string): Promise<string[]> =>
  (((await (await fetch(`${fleet.member(instance).agent.url}/health`)).json()) as any).conditions as any[]).map(
    ({ code }) => code,
  );

async function slowBundle(name: string): Promise<Bundle> {
  const manifest = Manifest.parse({
    api: 1,
    name,
    version: '1.0.0',
    kind: 'agent',
    capabilities: { [`${name}.say`]: {} },
    configuration: { maxConcurrent: 64 },
  });
  const entry = `export default { kind: 'agent', api: 1, capabilities: { '${name}.say': {
    handle: async (input, ctx) => { await new Promise((done) => setTimeout(done, 60)); return { input, instance: ctx.workload.instance }; } } } };`;
  const bytes = await packBundle({ manifest, entry });
  return { manifest, bytes, digest: digestOf(bytes), size: bytes.length, warnings: [] };
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cim-identities-'));
  fleet = await startFleet({
    directory,
    instances: [A, B],
    identities: 'jwt',
    serves: (instance) => (instance === A ? ['shared.*', 'only-a.*'] : ['shared.*']),
    registryConfig: { identity: { validity: VALIDITY } },
    agentConfig: () => ({ timing: { heartbeat: '1s', resync: '3s', drain: '3s', probe: '2s' } }),
  });
  alchemist = await Alchemist.connect({ profile: fleet.profileFile });
}, 120_000);
afterAll(async () => {
  await alchemist?.close();
  await fleet?.stop();
  await rm(directory, { recursive: true, force: true });
}, 60_000);

test('publish, deploy and call, from the hub and across both leaves', async () => {
  const shared = await slowBundle('shared');
  await alchemist.deploy({ bundle: shared, instance: A });
  await alchemist.deploy({ bundle: shared, instance: B });
  await alchemist.deploy({ bundle: await slowBundle('only-a'), instance: A });
  expect(await alchemist.call('only-a.say', 1)).toMatchObject({ input: 1, instance: A });
  const user = leafAdminUser(B);
  const onB = await connect({
    servers: fleet.member(B).leaf.url,
    user,
    pass: fleet.secrets.password(user),
    inboxPrefix: `_INBOX.node.${B}`,
  });
  try {
    const answer = await onB.request('cim.v1.call.only-a.say', '2', { timeout: 5_000 });
    expect(answer.json()).toMatchObject({ input: 2, instance: A });
  } finally {
    await onB.close();
  }
});

test('a capability an instance was not enrolled for is answered on its own machine and nowhere else', async () => {
  await alchemist.deploy({ bundle: await slowBundle('stray'), instance: B });
  const user = leafAdminUser(B);
  const onB = await connect({ servers: fleet.member(B).leaf.url, user, pass: fleet.secrets.password(user) });
  try {
    expect((await onB.request('cim.v1.call.stray.say', '1', { timeout: 5_000 })).json()).toMatchObject({ instance: B });
  } finally {
    await onB.close();
  }
  await expect(alchemist.call('stray.say', 1)).rejects.toMatchObject({ code: 'capability-unknown' });
});

test('keys are changed and links made anew under a stream of calls: no call is lost', async () => {
  const keys = new Map([A, B].map((instance) => [instance, new Set<string>()]));
  // Every link is cut at the end of the credential it was made with.
  const cuts = () =>
    readFileSync(fleet.hub.logFile, 'utf8').match(/Leafnode connection closed: Authentication Expired/g)?.length ?? 0;
  const before = cuts();
  const counts = { asked: 0, answered: 0, again: 0 };
  const lost: string[] = [];
  let going = true;
  const ask = async (capability: string) => {
    counts.asked++;
    // "Nobody has it" says that it reached nobody; the error table says to try again later. Anything else is a lost call.
    for (let tries = 0; ; tries++) {
      try {
        await alchemist.call(capability, tries, { timeout: '5s' });
        counts.answered++;
        return;
      } catch (error) {
        const code = error instanceof Fault ? error.code : String(error);
        if (code !== 'capability-unknown' || tries >= 60) return void lost.push(`${capability}: ${code}`);
        counts.again++;
        await systemClock.sleep(50);
      }
    }
  };
  const lines = ['shared.say', 'shared.say', 'only-a.say', 'only-a.say'].map(async (capability) => {
    while (going) await ask(capability);
  });
  try {
    const changed = await until(() => {
      for (const [instance, seen] of keys) seen.add(credential(instance).subject);
      return [...keys.values()].every((seen) => seen.size >= 3) && cuts() >= before + 4;
    }, 60_000);
    expect(changed).toBe(true);
  } finally {
    going = false;
    await Promise.all(lines);
  }
  expect(lost).toEqual([]);
  expect(counts.answered).toBe(counts.asked);
  expect(counts.asked).toBeGreaterThan(100);
  for (const instance of [A, B]) {
    expect(await metric(instance, 'cim_credentials_expiry_timestamp_seconds')).toBeGreaterThan(Date.now() / 1000);
    expect(await conditions(instance)).not.toContain('credentials-expired');
  }
}, 90_000);

test('a revoked instance is cut off at once and gets nothing more, however good its key', async () => {
  const { registry } = alchemist;
  const record = await registry.revokeIdentity(B);
  expect(record.keys.map(({ key }) => key)).toContain(credential(B).subject);
  const system = await connect({
    servers: fleet.hub.url,
    authenticator: credsAuthenticator(readFileSync(fleet.identities!.creds('system'))),
  });
  const answer = await pushAccount(
    system,
    record.keys.map(({ key }) => key),
  );
  expect(answer).toMatchObject({ data: { code: 200 } });
  await system.close();
  expect(await until(async () => (await fleet.hub.links()) === 1)).toBe(true);
  await until(() => (credential(B).expiresAt ?? 0) * 1000 < Date.now());
  expect(await until(async () => (await conditions(B)).includes('credentials-expired'))).toBe(true);
  // The other one changes its own link over now and then.
  expect(await until(async () => (await fleet.hub.links()) === 1)).toBe(true);
  // What it had goes on, and the other one too.
  expect(await alchemist.call('shared.say', 1)).toMatchObject({ instance: A });
}, 60_000);

async function pushAccount(system: NatsConnection, keys: readonly string[]) {
  const now = Math.floor(Date.now() / 1000);
  const jwt = await fleet.identities!.accountWith(Object.fromEntries(keys.map((key) => [key, now])));
  return (await system.request('$SYS.REQ.CLAIMS.UPDATE', jwt, { timeout: 5_000 })).json();
}
