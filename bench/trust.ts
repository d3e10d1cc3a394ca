/**
 * What trust costs: judging a publish, a desired change, a pull, and reading the transparency log. The signature itself (node:crypto, key
 * at hand) is the floor: what stands above it is ours.
 */
import { createHash, generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import {
  type ChainHead,
  Desired,
  digestOf,
  headOf,
  judgeDesired,
  judgeManifest,
  judgeStatement,
  type LogBody,
  type LogEntry,
  logReader,
  nextLogEntry,
  objectName,
  readBundle,
  type Signer,
  signDesired,
  signerFromSeed,
  systemClock,
  TrustDocument,
  topology,
  trustOf,
} from '@cim/contracts';
import { jetstream } from '@nats-io/jetstream';
import { createAccount, createOperator } from '@nats-io/nkeys';
import { Objm, setSha256Backend } from '@nats-io/obj';
import { createBundleFetch } from '../packages/node-agent/src/hub/bundle-fetch.ts';
import type { Leaf } from '../packages/node-agent/src/hub/leaf.ts';
import { atMostRow, median, type Row, ratioRow } from './row.ts';
import { bundleOf, echoEntry, type World } from './world.ts';

const MiB = 2 ** 20;
const signer = (make: typeof createAccount): Signer => signerFromSeed(new TextDecoder().decode(make().getSeed()));

export async function trustRows(world: World, rounds: number): Promise<Row[]> {
  const bundle = world.alchemist.sign(
    await bundleOf(
      'bench-trust',
      echoEntry('bench.trust'),
      ['bench.trust'],
      {},
      new Map([['blob.bin', new Uint8Array(randomBytes(4 * MiB))]]),
    ),
  );
  const publisher = bundle.envelope.signatures[0]!.keyid;
  const [ann, ben, cid] = [signer(createOperator), signer(createOperator), signer(createOperator)];
  const scopes = { names: ['bench-*'], capabilities: ['bench.>'], grants: { publish: ['orders.>'], call: ['bench.>'] } };
  const at = '2026-01-01T00:00:00Z';
  // A fleet that has revoked a lot: lookups must not grow with it.
  const document = TrustDocument.parse({
    api: 1,
    sequence: 1,
    issuedAt: at,
    issuedBy: 'bench',
    publishers: [],
    revokedKeys: Array.from({ length: 200 }, () => ({ key: signer(createAccount).publicKey, reason: 'bench', at })),
    revokedBundles: Array.from({ length: 2_000 }, (_, i) => ({ digest: digestOf(Buffer.from(`${i}`)), reason: 'bench', at })),
  });
  const roots = {
    publishers: [{ name: 'bench', key: publisher, scopes }],
    operators: [ann, ben, cid].map(({ publicKey }, i) => ({ name: `operator ${i}`, key: publicKey })),
  };
  const one = trustOf({ ...roots, operatorThreshold: 1 }, document);
  const two = trustOf({ ...roots, operatorThreshold: 2 }, document);
  const now = Date.now();
  const { manifest } = bundle;
  const desired = Desired.parse({
    api: 1,
    instance: world.instance,
    kind: 'agent',
    name: 'bench-trust',
    generation: 1,
    state: 'running',
    bundle: { version: manifest.version, digest: bundle.digest, size: bundle.size, envelope: bundle.envelope },
    issuedAt: at,
    issuedBy: 'bench',
  });
  const signatures = [signDesired(desired, ann), signDesired(desired, ben)];
  const floor = micros(rounds, bareVerify());
  const rows = [
    atMostRow(
      'judging a publish: signature, trust, scope',
      'µs',
      micros(rounds, () => {
        const { signer: by } = judgeStatement(bundle.envelope, one, now);
        judgeManifest(manifest, by);
      }),
      1_000,
      250,
      floor,
    ),
    atMostRow(
      'judging a desired change, one operator',
      'µs',
      micros(rounds, () => judgeDesired(desired, signatures.slice(0, 1), one, now)),
      1_000,
      250,
      floor,
    ),
    atMostRow(
      'judging a desired change, two of three operators',
      'µs',
      micros(rounds, () => judgeDesired(desired, signatures, two, now)),
      2_000,
      500,
      floor,
    ),
    logRow(rounds),
  ];
  return [...rows, await pullRow(world, bundle, one, rounds)];
}

/** A bare Ed25519 verification of as many bytes as a statement has. */
function bareVerify(): () => void {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const bytes = randomBytes(500);
  const signature = sign(null, bytes, privateKey);
  return () => {
    if (!verify(null, bytes, publicKey, signature)) throw new Error('the floor does not verify');
  };
}

/** Reading the log as a node does at its start: every entry hashed, linked and its signature checked. */
function logRow(rounds: number): Row {
  const key = signer(createAccount);
  const entries: LogEntry[] = [];
  let head: ChainHead | undefined;
  for (let i = 0; i < 1_000; i++) {
    const body = {
      type: 'bundle-published',
      at: '2026-01-01T00:00:00Z',
      by: 'bench',
      name: `bench-${i}`,
      version: '1.0.0',
      kind: 'agent',
      digest: digestOf(Buffer.from(`${i}`)),
      sequence: i + 1,
      publisher: key.publicKey,
    } as LogBody;
    const entry = nextLogEntry(head, body, key);
    entries.push(entry);
    head = headOf(entry);
  }
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const begun = performance.now();
    const reader = logReader([{ name: 'log', key: key.publicKey }]);
    for (const entry of entries) if (reader.push(entry)) throw new Error('the log of the bench is broken');
    times.push((performance.now() - begun) / 1000);
  }
  return { name: 'reading the transparency log', unit: 'entries/s', value: entries.length / median(times) };
}

/**
 * A get of 4 MiB at the hub as a node gets it: by its own reader, hashed as it arrives, opened once it is whole and right. Over the object
 * store's own get, which hashes natively too and checks nothing else.
 */
async function pullRow(
  world: World,
  bundle: ReturnType<World['alchemist']['sign']>,
  trust: Parameters<typeof judgeStatement>[1],
  rounds: number,
): Promise<Row> {
  setSha256Backend('native');
  await world.alchemist.publish(bundle);
  const store = await new Objm(jetstream(world.hub)).open(topology.bundles.name);
  const get = async () => {
    const object = await store.get(objectName(bundle.digest));
    const reader = object!.data.getReader();
    while (!(await reader.read()).done);
    if (await object!.error) throw new Error('raw get failed');
  };
  const fetch = createBundleFetch({
    clock: systemClock,
    leaf: { ready: async () => world.hub } as unknown as Leaf,
    hubDomain: 'hub',
    inboxPrefix: '_INBOX',
  });
  const getVerified = async () => {
    const { statement, signer: by } = judgeStatement(bundle.envelope, trust, Date.now());
    const hash = createHash('sha256');
    const { chunks } = await fetch(bundle.digest, bundle.size, 0, new AbortController().signal);
    const held: Uint8Array[] = [];
    for await (const chunk of chunks) {
      hash.update(chunk);
      held.push(chunk);
    }
    if (`sha256:${hash.digest('hex')}` !== statement.digest) throw new Error('the bytes are not those of the digest');
    judgeManifest((await readBundle(held)).manifest, by);
  };
  const raw: number[] = [];
  const verified: number[] = [];
  for (let round = 0; round < rounds * 3; round++) {
    raw.push(await seconds(get));
    verified.push(await seconds(getVerified));
  }
  const rate = (times: readonly number[]) => bundle.size / MiB / median(times);
  return ratioRow('get 4 MiB as a node does, with all it checks, over a raw get', 'MiB/s', rate(verified), rate(raw), 0.8, 0.9);
}

/** Median µs of a synchronous work, in runs of 50. */
function micros(rounds: number, work: () => unknown): number {
  const times: number[] = [];
  for (let round = 0; round < rounds * 4; round++) {
    const begun = performance.now();
    for (let i = 0; i < 50; i++) work();
    times.push(((performance.now() - begun) * 1000) / 50);
  }
  return median(times);
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}
