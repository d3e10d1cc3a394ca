/**
 * Trust from end to end: a publisher joins by a document operators signed, publishes, runs on a node that believes only its own keys and
 * the log, is revoked, stops at once, and stays off when the node boots alone.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Bundle } from '@cim/alchemist';
import { type PublicKey, type Signer, signerFromSeed, systemClock, waitUntil } from '@cim/contracts';
import { type TestBundleOptions, testBundle, testPublisher } from '@cim/testkit';
import { createAccount } from '@nats-io/nkeys';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openWorld, type World } from '../world.ts';

const ALCHEMIST = fileURLToPath(new URL('../../packages/alchemist/dist/cli/main.js', import.meta.url));
const A = 'cim-a';
const guest = testPublisher('guest');
const logSeed = new TextDecoder().decode(createAccount().getSeed());
const logKey: PublicKey = signerFromSeed(logSeed).publicKey;
const logs = [{ name: 'log', key: logKey }];
let directory: string;
let world: World;

const signedBy = async (signer: Signer, options: TestBundleOptions): Promise<Bundle> => {
  const { manifest, bytes, statement, envelope } = await testBundle({ ...options, signer, sequence: Date.now() });
  return { manifest, bytes, digest: statement.digest, size: statement.size, envelope, warnings: [] };
};
const publishTrust = async (...change: Parameters<World['alchemist']['trust']['draft']>) => {
  const { trust } = world.alchemist;
  const paper = await trust.draft(...change);
  await trust.publish(paper.record);
  return paper.record.document;
};

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'cim-trust-walk-'));
  writeFileSync(join(directory, 'log.seed'), `${logSeed}\n`, { mode: 0o600 });
  world = await openWorld({
    instances: [A],
    registryConfig: { transparency: { seedFile: join(directory, 'log.seed') } },
    agentConfig: () => ({ trust: { logs } }),
  });
}, 90_000);
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
}, 60_000);

test('what is published is in the log, and so it runs', async () => {
  await world.deploySource({ name: 'house' }, A);
  expect(await world.call('house.echo', { n: 1 })).toMatchObject({ input: { n: 1 } });
  const { trust } = await world.statusOf(A);
  expect(trust?.log?.sequence).toBe(1);
});

test('a stranger runs once operators have signed for it, within its scope and no further', async () => {
  const bundle = await signedBy(guest, { name: 'guest' });
  await expect(world.alchemist.publish(bundle)).rejects.toMatchObject({ code: 'signer-unknown' });
  const publisher = { name: 'guest', key: guest.publicKey, scopes: { names: ['guest'] } };
  const { sequence } = await publishTrust({ kind: 'add', publisher }, {});
  await world.alchemist.deploy({ bundle, instance: A });
  expect(await world.call('guest.echo', { n: 2 })).toMatchObject({ input: { n: 2 } });
  expect((await world.statusOf(A)).trust?.sequence).toBe(sequence);
  await expect(world.alchemist.publish(await signedBy(guest, { name: 'house', version: '9.0.0' }))).rejects.toMatchObject({
    code: 'scope-exceeded',
  });
});

test('an auditor finds the whole of it in the log, with the head the node vouches for', async () => {
  const { checks } = await world.alchemist.trust.audit(logs, undefined);
  expect(checks.filter(({ result }) => result !== 'ok')).toEqual([]);
  expect(
    checks.map(({ check, evidence }) => [
      check,
      check === 'head' ? evidence.endsWith(A) || evidence.includes(`one ${A} has seen`) : true,
    ]),
  ).toEqual([
    ['chain', true],
    ['head', true],
    ['catalog', true],
    ['trust document', true],
  ]);
});

test('the profile of the fleet is all a desk needs to judge as the nodes do, the document its operator signed included', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    ALCHEMIST,
    ...['verify', 'guest@1.0.0', '--profile', world.fleet.profileFile, '--json'],
  ]);
  const { results } = JSON.parse(stdout) as { results: { check: string; result: string; evidence: string }[] };
  const of = (check: string) => results.find((one) => one.check === check);
  expect(results.filter(({ result }) => result === 'failed')).toEqual([]);
  expect(of('signer trusted')?.result).toBe('ok');
  expect(of('scope')?.result).toBe('ok');
});

test('revoked, it stops at once; the other workload does not notice; alone at boot it stays off', async () => {
  await publishTrust({ kind: 'revoke-key', key: guest.publicKey }, { reason: 'laptop stolen' });
  const stopped = await world.until(
    A,
    'guest',
    ({ reason }) => reason?.code === 'publisher-revoked',
    'the revoked workload to stop',
  );
  expect(stopped).toMatchObject({ state: 'failed', replicas: { ready: 0 } });
  await expect(world.call('guest.echo', {}, { timeout: '2s' })).rejects.toMatchObject({ code: 'capability-unknown' });
  expect(await world.call('house.echo', { n: 3 })).toMatchObject({ input: { n: 3 } });

  await world.killHub();
  await world.restartAgent(A);
  const answered = () =>
    world.callFrom(A, 'house.echo', { n: 4 }).then(
      ({ output }) => output.input.n === 4,
      () => false,
    );
  expect(await waitUntil(systemClock, 30_000, answered, 50)).toBe(true);
  const { workloads } = await world.workloadsOf(A);
  expect(workloads.find((one: { name: string }) => one.name === 'guest')).toMatchObject({
    state: 'failed',
    reason: { code: 'publisher-revoked' },
  });
  await world.startHub();
}, 90_000);
