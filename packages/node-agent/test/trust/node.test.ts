/** A whole node against a real hub: revocation, addition, threshold and the transparency log, seen from what runs. */
import { join } from 'node:path';
import {
  desiredKey,
  headOf,
  type LogBody,
  type LogEntry,
  NodeAgentConfig,
  nextLogEntry,
  objectName,
  type Signer,
  signDesired,
  signerFromSeed,
  signTrust,
  silentLogger,
  streamName,
  systemClock,
  TRUST_KEY,
  TrustDocument,
  topology,
  waitUntil,
} from '@cim/contracts';
import { DiscardPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { createAccount, createOperator } from '@nats-io/nkeys';
import { Objm } from '@nats-io/obj';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningNode, startNode } from '../../src/node.ts';
import { INSTANCE, type Place, place } from '../hub/place.ts';
import { desiredOf, echoEntry, echoManifest, type MadeBundle, makeBundle } from '../node/bundles.ts';

const key = (make: typeof createAccount): Signer => signerFromSeed(new TextDecoder().decode(make().getSeed()));
const [acme, other] = [key(createAccount), key(createAccount)];
const [ann, ben] = [key(createOperator), key(createOperator)];
const logKey = key(createAccount);
let here: Place;
let node: RunningNode | undefined;
const until = (check: () => boolean | Promise<boolean>, ms = 20_000) => waitUntil(systemClock, ms, check, 20);
const workload = (name: string) => node!.status().workloads.find((one) => one.name === name);
const conditions = () => node!.status().conditions.map(({ code }) => code);

async function boot(logs: readonly Signer[] = []) {
  node = await startNode({
    config: NodeAgentConfig.parse({
      instance: { id: INSTANCE },
      nats: { url: here.leafServer.url },
      http: { port: 0 },
      stateDirectory: join(here.directory, 'agent'),
      trust: {
        publishers: [{ name: 'acme', key: acme.publicKey }],
        operators: [
          { name: 'ann', key: ann.publicKey },
          { name: 'ben', key: ben.publicKey },
        ],
        operatorThreshold: 2,
        logs: logs.map(({ publicKey }) => ({ name: 'log', key: publicKey })),
      },
      timing: { heartbeat: '1s', resync: '2s', drain: '3s', probe: '1s' },
    }),
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
    environment: {},
    nodeVersion: process.versions.node,
  });
}
const made = (signer: Signer, name: string, version = '1.0.0', sequence = 1) =>
  makeBundle(signer, {
    name,
    version,
    sequence,
    entry: echoEntry(name).replaceAll('echo.say', `${name}.say`),
    manifest: { ...echoManifest, capabilities: { [`${name}.say`]: {} } },
  });
async function deploy(bundle: MadeBundle, over: Record<string, unknown> = {}, signers: readonly Signer[] = [ann, ben]) {
  const objects = await new Objm(jetstream(here.admin)).open(topology.bundles.name);
  await objects.putBlob({ name: objectName(bundle.ref.digest) }, bundle.bytes);
  const document = desiredOf(bundle, INSTANCE, over);
  const signatures = signers.map((one) => signDesired(document, one));
  await here.putDesired(desiredKey(document), JSON.stringify({ document, signatures }));
}
let sequence = 0;
const said: string[] = [];
let standing: object = { publishers: [], revokedKeys: [], revokedBundles: [] };
async function say(more: object, signers: readonly Signer[] = [ann, ben]) {
  standing = { ...standing, ...more };
  const document = TrustDocument.parse({
    api: 1,
    sequence: ++sequence,
    issuedAt: '2026-01-01T00:00:00Z',
    issuedBy: 'ann',
    ...standing,
  });
  const record = { document, signatures: signers.map((one) => signTrust(document, one)) };
  said.push(JSON.stringify(record));
  await (await new Kvm(jetstream(here.admin)).open(topology.trust.name)).put(TRUST_KEY, said.at(-1)!);
}

beforeAll(async () => {
  here = await place();
  await new Kvm(jetstream(here.admin)).create(topology.trust.name, { history: 4 });
  await (await jetstreamManager(here.admin)).streams.add({
    name: streamName(topology.transparency),
    subjects: [...topology.transparency.subjects],
    discard: DiscardPolicy.New,
    allow_direct: true,
  });
  await boot();
});
afterAll(async () => {
  await node?.stop();
  await here?.close();
});

test('a document with one of two signatures changes nothing; with both it runs', async () => {
  const bundle = await made(acme, 'first');
  await deploy(bundle, {}, [ann]);
  expect(await until(() => conditions().includes('desired-refused'))).toBe(true);
  expect(workload('first')).toBeUndefined();
  await deploy(bundle);
  expect(await until(() => workload('first')?.converged === true)).toBe(true);
});

test('a publisher that a trust document adds may run; the same document half signed changes nothing', async () => {
  await deploy(await made(other, 'second'));
  expect(await until(() => workload('second')?.reason?.code === 'signer-unknown')).toBe(true);
  await say({ publishers: [{ name: 'other', key: other.publicKey }] }, [ann]);
  expect(await until(() => conditions().includes('trust-refused'))).toBe(true);
  expect(workload('second')?.state).toBe('failed');
  await say({});
  expect(await until(() => workload('second')?.converged === true)).toBe(true);
  expect(conditions()).not.toContain('trust-refused');
  expect(node!.status().trust).toEqual({ sequence });
});

test('a revoked publisher: what runs stops, with the reason, and stays off through a boot without the hub', async () => {
  await say({ revokedKeys: [{ key: other.publicKey, reason: 'laptop stolen', at: '2026-01-01T00:00:00Z' }] });
  expect(await until(() => workload('second')?.reason?.code === 'publisher-revoked')).toBe(true);
  expect(workload('second')).toMatchObject({ state: 'failed', replicas: { ready: 0 } });
  expect(workload('second')?.reason?.detail).toContain('laptop stolen');
  expect(workload('first')?.converged).toBe(true);
  await node!.stop();
  await here.hub.kill();
  await boot();
  expect(await until(() => workload('first')?.converged === true)).toBe(true);
  expect(await until(() => workload('second')?.reason?.code === 'publisher-revoked')).toBe(true);
  expect(workload('second')?.replicas.ready).toBe(0);
  await here.hub.start();
  // The hub plays the document of before the revocation again: it is older, and nothing comes back.
  const put = async () => (await new Kvm(jetstream(here.admin)).open(topology.trust.name)).put(TRUST_KEY, said.at(-2)!);
  expect(
    await until(() =>
      put().then(
        () => true,
        () => false,
      ),
    ),
  ).toBe(true);
  expect(await until(() => conditions().includes('trust-refused'))).toBe(true);
  expect(workload('second')?.reason?.code).toBe('publisher-revoked');
}, 60_000);

test('a revoked bundle stops; another version of the same publisher runs', async () => {
  const bundle = await made(acme, 'first');
  await say({ revokedBundles: [{ digest: bundle.ref.digest, reason: 'leaks', at: '2026-01-01T00:00:00Z' }] });
  expect(await until(() => workload('first')?.reason?.code === 'bundle-revoked')).toBe(true);
  await deploy(await made(acme, 'first', '1.0.1', 2), { generation: 2 });
  expect(await until(() => workload('first')?.converged === true && workload('first')?.version === '1.0.1')).toBe(true);
});

test('a newer document that was promised and has not come is in the health of the node until one comes; nothing stops', async () => {
  await say({ refreshBy: '2026-01-02T00:00:00Z' });
  expect(await until(() => conditions().includes('trust-stale'))).toBe(true);
  expect(node!.status().health).not.toBe('unhealthy');
  expect(workload('first')?.converged).toBe(true);
  await say({ refreshBy: '2099-01-01T00:00:00Z' });
  expect(await until(() => !conditions().includes('trust-stale'))).toBe(true);
});

test('with log keys a bundle that is not in the log is not taken in; once it is there it runs', async () => {
  const entries: LogEntry[] = [];
  const append = async (bundle: MadeBundle) => {
    const body = {
      type: 'bundle-published',
      at: '2026-01-01T00:00:00Z',
      by: 'ci',
      name: bundle.manifest.name,
      version: bundle.manifest.version,
      kind: 'agent',
      digest: bundle.ref.digest,
      sequence: 1,
      publisher: acme.publicKey,
    } as LogBody;
    const last = entries.at(-1);
    entries.push(nextLogEntry(last && headOf(last), body, logKey));
    await jetstream(here.admin).publish('cim.v1.transparency.bundle-published', JSON.stringify(entries.at(-1)));
  };
  await append(await made(acme, 'unrelated'));
  await node!.stop();
  await boot([logKey]);
  // Taken in before there was a log: it starts.
  expect(await until(() => workload('first')?.converged === true)).toBe(true);
  const third = await made(acme, 'third');
  await deploy(third);
  expect(await until(() => workload('third')?.reason?.code === 'log-missing')).toBe(true);
  await append(third);
  expect(await until(() => workload('third')?.converged === true)).toBe(true);
  expect(await until(() => node!.status().trust?.log?.sequence === 2)).toBe(true);

  // The hub rewrites its log: nothing new is taken in, what runs runs.
  const jsm = await jetstreamManager(here.admin);
  await jsm.streams.purge(streamName(topology.transparency));
  const forged = nextLogEntry(undefined, { ...entries[0]!.body, by: 'mallory' } as LogBody, logKey);
  await jsm.streams.delete(streamName(topology.transparency));
  await jsm.streams.add({
    name: streamName(topology.transparency),
    subjects: [...topology.transparency.subjects],
    allow_direct: true,
  });
  await jetstream(here.admin).publish('cim.v1.transparency.bundle-published', JSON.stringify(forged));
  expect(await until(() => conditions().includes('log-forked'))).toBe(true);
  await deploy(await made(acme, 'fourth'));
  expect(await until(() => workload('fourth')?.reason?.code === 'log-forked')).toBe(true);
  expect(workload('third')?.converged).toBe(true);
}, 60_000);
