/** Trust from an operator's desk against a real registry: keys, two signatures, revocation, provenance, the log and a hub that lies. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import {
  headOf,
  type LogBody,
  type LogEntry,
  newSealingSeed,
  nextLogEntry,
  signerFromSeed,
  streamName,
  topology,
  unsealerFromSeed,
} from '@cim/contracts';
import { natsServer, type TestNats } from '@cim/testkit';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cli, folder, hello, type Ran, write } from './support.ts';

const registryMain = fileURLToPath(new URL('../../registry/dist/main.js', import.meta.url));
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
let root: string;
let nats: TestNats;
let admin: NatsConnection;
let env: Record<string, string>;
let stopRegistry: () => Promise<void>;
const keys: Record<string, string> = {};

const run = (argv: readonly string[], more: Record<string, string> = {}): Promise<Ran> =>
  cli(root, argv, { env: { ...env, ...more } });
async function good(argv: readonly string[], more: Record<string, string> = {}): Promise<Ran> {
  const ran = await run(argv, more);
  expect([argv.join(' '), ran.code, ran.err]).toEqual([argv.join(' '), 0, expect.any(String)]);
  return ran;
}
async function json(argv: readonly string[], more: Record<string, string> = {}): Promise<any> {
  const { out } = await run([...argv, '--json'], more);
  return JSON.parse(out);
}

async function startRegistry(): Promise<string> {
  const child = spawn(process.execPath, [registryMain, '--config', join(root, 'registry.json')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  stopRegistry = async () => {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
  };
  const [line] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  return (JSON.parse(line) as { url: string }).url;
}

beforeAll(async () => {
  root = await folder();
  env = {};
  // As the operating page says: keys first.
  for (const [name, role] of [
    ['acme', 'publisher'],
    ['other', 'publisher'],
    ['ann', 'operator'],
    ['ben', 'operator'],
    ['log', 'log'],
  ] as const)
    keys[name] = (await json(['keys', 'new', role, '--name', name, '--out', `${name}.seed`])).publicKey;
  const party = { user: 'registry', password: 'pw', party: { party: 'registry' as const, id: 'registry' } };
  nats = await natsServer({ users: [party, { user: 'admin', password: 'pw' }] });
  admin = await connect({ servers: nats.url, user: 'admin', pass: 'pw' });
  const trust = {
    publishers: [{ name: 'acme', key: keys['acme'], scopes: { names: ['hello', 'hello-*'] } }],
    operators: [
      { name: 'ann', key: keys['ann'] },
      { name: 'ben', key: keys['ben'] },
    ],
    operatorThreshold: 2,
  };
  await write(root, {
    pw: 'pw\n',
    'tokens.json': JSON.stringify({ tokens: [{ name: 'boss', sha256: sha256('boss'), roles: ['admin'] }] }),
    'registry.json': JSON.stringify({
      nats: { url: nats.url, user: 'registry', passwordFile: 'pw' },
      http: { port: 0 },
      tokensFile: 'tokens.json',
      trust,
      transparency: { seedFile: 'log.seed' },
      log: { level: 'error' },
    }),
    // What a node has under "trust", with the log key.
    'node.json': JSON.stringify({ instance: { id: 'cim-a' }, trust: { ...trust, logs: [{ name: 'log', key: keys['log'] }] } }),
    ...Object.fromEntries(Object.entries(hello()).map(([name, text]) => [`hello/${name}`, text])),
  });
  env = {
    CIM_REGISTRY_URL: await startRegistry(),
    CIM_TOKEN: 'boss',
    CIM_PUBLISHER_SEED_FILE: join(root, 'acme.seed'),
    CIM_OPERATOR_SEED_FILE: join(root, 'ann.seed'),
  };
});
afterAll(async () => {
  await stopRegistry?.();
  await admin?.close();
  await nats?.[Symbol.asyncDispose]();
});

const verdicts = (results: readonly { check: string; result: string }[]) =>
  Object.fromEntries(results.map(({ check, result }) => [check, result]));
const ok = {
  archive: 'ok',
  statement: 'ok',
  digest: 'ok',
  size: 'ok',
  manifest: 'ok',
  identity: 'ok',
  signature: 'ok',
  'signer trusted': 'ok',
  'signer valid': 'ok',
  'signer not revoked': 'not-applicable',
  'bundle not revoked': 'not-applicable',
  'trust document': 'not-applicable',
  scope: 'ok',
  sequence: 'ok',
  provenance: 'ok',
  'bill of materials': 'ok',
  transparency: 'ok',
};

describe('a bundle', () => {
  it('carries where it was built from, the same bytes at whatever commit, and verify explains every check', async () => {
    await good(['bundle', 'hello', '-o', 'hello.cim', '--sbom', 'sbom.json']);
    const first = await readFile(join(root, 'hello.cim'));
    const sbom = JSON.parse(await readFile(join(root, 'sbom.json'), 'utf8'));
    expect(sbom).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6' });
    await good(['bundle', 'hello', '-o', 'again.cim']);
    expect(await readFile(join(root, 'again.cim'))).toEqual(first);
    await good(['publish', 'hello.cim', '--channel', 'stable']);
    const { ok: all, results } = await json(['verify', 'hello@1.0.0', '--trust-file', 'node.json']);
    expect(verdicts(results)).toEqual(ok);
    expect(all).toBe(true);
    const { out, code } = await run(['verify', 'hello.cim', '--trust-file', 'node.json']);
    expect(code).toBe(0);
    expect(out).toMatch(/^ok {14}scope +name, capabilities and grants are within what the signer may sign$/m);
    expect(out).toMatch(/^ok {14}transparency +entry 1 of 2, chain and signatures checked$/m);
    expect(out).toMatch(/verified\n$/);
    // Alone, without a registry: what cannot be known is said, not passed over.
    const alone = await json(['verify', 'hello.cim', '--trust-file', 'node.json', '--offline']);
    expect(verdicts(alone.results)).toEqual({ ...ok, sequence: 'not-applicable', transparency: 'not-applicable' });
  });

  it('that was tampered with fails where it was touched, with exit code 3', async () => {
    const envelope = await readFile(join(root, 'hello.cim.sig'), 'utf8');
    const provenance = JSON.parse(await readFile(join(root, 'hello.cim.provenance'), 'utf8'));
    const failing = async (files: Record<string, string | Uint8Array>, ...flags: string[]) => {
      await write(root, {
        'bad.cim': await readFile(join(root, 'hello.cim')),
        'bad.cim.sig': envelope,
        'bad.cim.provenance': JSON.stringify(provenance),
        ...files,
      });
      const ran = await run(['verify', 'bad.cim', '--trust-file', 'node.json', '--offline', '--json', ...flags]);
      const { results } = JSON.parse(ran.out);
      return [ran.code, results.filter((one: any) => one.result === 'failed').map((one: any) => one.check)];
    };
    const bytes = new Uint8Array(await readFile(join(root, 'hello.cim')));
    bytes[bytes.length - 2000]! ^= 1;
    expect(await failing({ 'bad.cim': bytes })).toEqual([3, expect.arrayContaining(['digest'])]);
    const less = { ...provenance, sbom: { ...provenance.sbom, metadata: { component: { name: 'other' } } } };
    expect(await failing({ 'bad.cim.provenance': JSON.stringify(less) })).toEqual([3, ['provenance']]);
    const payload = Buffer.from(provenance.provenance.payload, 'base64').toString().replace('alchemist', 'malice');
    const edited = {
      ...provenance,
      provenance: { ...provenance.provenance, payload: Buffer.from(payload).toString('base64') },
    };
    expect(await failing({ 'bad.cim.provenance': JSON.stringify(edited) })).toEqual([3, ['provenance']]);
    expect(await failing({}, '--trust', keys['other']!)).toEqual([3, ['signature', 'provenance']]);
  });

  it('beyond its publisher’s scope is refused by the registry, and verify says so before', async () => {
    await write(
      root,
      Object.fromEntries(
        Object.entries(hello()).map(([name, text]) => [`billing/${name}`, text.replace('@acme/hello', '@acme/billing')]),
      ),
    );
    await good(['bundle', 'billing', '-o', 'billing.cim']);
    const { results } = await json(['verify', 'billing.cim', '--trust-file', 'node.json', '--offline']);
    expect(verdicts(results)['scope']).toBe('failed');
    const published = await run(['publish', 'billing.cim']);
    expect([published.code, published.err]).toEqual([3, expect.stringContaining('scope-exceeded')]);
  });
});

describe('two operators', () => {
  const target = ['hello', '-i', 'cim-a'];

  it('deploy with both keys at hand, or one after the other on paper', async () => {
    const alone = await run(['deploy', ...target, '--no-wait']);
    expect([alone.code, alone.err]).toEqual([3, expect.stringContaining('threshold-unmet')]);
    const twice = await run(['deploy', ...target, '--no-wait', '--operator-seed', 'ann.seed', 'ann.seed']);
    expect([twice.code, twice.err]).toEqual([3, expect.stringContaining('threshold-unmet')]);
    await good(['deploy', ...target, '--no-wait', '--operator-seed', 'ann.seed', 'ben.seed']);
    await good(['deploy', ...target, '--replicas', '2', '--out', 'two.json']);
    // Nothing has changed until it is submitted, and it is not enough before ben has signed.
    const early = await run(['submit', 'two.json', '--no-wait']);
    expect([early.code, early.err]).toEqual([3, expect.stringContaining('threshold-unmet')]);
    const signed = await good(['sign', 'two.json', '--operator-seed', 'ben.seed'], { CIM_REGISTRY_URL: '' });
    expect(signed.out).toContain('desired   agent hello on cim-a: running, generation 2');
    expect(signed.out).toContain(`signed    ${keys['ann']}, ${keys['ben']}`);
    await good(['sign', 'two.json', '--operator-seed', 'ben.seed']);
    await good(['submit', 'two.json', '--no-wait']);
    const again = await run(['submit', 'two.json', '--no-wait']);
    expect([again.code, again.err]).toEqual([1, expect.stringContaining('revision-conflict')]);
  });

  it('seal a secret the same way: what goes from hand to hand holds the box and not the value', async () => {
    const node = unsealerFromSeed(newSealingSeed());
    await writeFile(join(root, 'value.txt'), 'correct horse battery staple\n');
    const seal = ['secrets', 'set', 'hello', 'token', '-i', 'cim-a', '--file', 'value.txt', '--key', node.publicKey];
    const alone = await run([...seal, '--no-wait']);
    expect([alone.code, alone.err]).toEqual([3, expect.stringContaining('threshold-unmet')]);
    const written = await good([...seal, '--out', 'secret.json']);
    expect(written.out).toContain('another operator: alchemist sign secret.json; then alchemist submit secret.json');
    expect(written.err).not.toContain('stored');
    const text = await readFile(join(root, 'secret.json'), 'utf8');
    expect(text).not.toContain('correct horse');
    const { document } = JSON.parse(text).record;
    const context = { instance: 'cim-a', kind: 'agent', name: 'hello', secret: 'token' } as const;
    expect(node.open(document.secrets.token, context)).toBe('correct horse battery staple');
    // Nothing has changed yet.
    expect((await json(['secrets', 'list', 'hello', '-i', 'cim-a'])).secrets).toEqual([]);
    await good(['sign', 'secret.json', '--operator-seed', 'ben.seed'], { CIM_REGISTRY_URL: '' });
    await good(['submit', 'secret.json', '--no-wait']);
    expect((await json(['secrets', 'list', 'hello', '-i', 'cim-a'])).secrets).toEqual([
      { secret: 'token', to: node.publicKey },
    ]);
    const gone = ['secrets', 'remove', 'hello', 'token', '-i', 'cim-a'];
    await good([...gone, '--out', 'without.json']);
    await good(['sign', 'without.json', '--operator-seed', 'ben.seed']);
    await good(['submit', 'without.json', '--no-wait']);
    expect((await json(['secrets', 'list', 'hello', '-i', 'cim-a'])).secrets).toEqual([]);
    // Both keys at hand need no paper.
    await good([...seal, '--no-wait', '--operator-seed', 'ann.seed', 'ben.seed']);
    await good([...gone, '--no-wait', '--operator-seed', 'ann.seed', 'ben.seed']);
  });

  it('undeploy the same way; a paper that was edited after it was signed is worth nothing', async () => {
    await good(['undeploy', ...target, '--out', 'gone.json']);
    await good(['sign', 'gone.json', '--operator-seed', 'ben.seed']);
    const paper = JSON.parse(await readFile(join(root, 'gone.json'), 'utf8'));
    await writeFile(
      join(root, 'edited.json'),
      JSON.stringify({ ...paper, record: { ...paper.record, document: { ...paper.record.document, reason: 'x' } } }),
    );
    const edited = await run(['submit', 'edited.json', '--no-wait']);
    expect([edited.code, edited.err]).toEqual([3, expect.stringContaining('signature-invalid')]);
    await good(['submit', 'gone.json', '--no-wait']);
  });

  it('add a publisher and revoke it again; verify and the registry know at once', async () => {
    const alone = await run(['trust', 'add', keys['other']!, '--name', 'other']);
    expect([alone.code, alone.err]).toEqual([3, expect.stringContaining('--out')]);
    const scopes = ['--scopes', '{"names":["guest"]}'];
    const add = ['trust', 'add', keys['other']!, '--name', 'other', ...scopes, '--refresh-within', '30d'];
    await good([...add, '--out', 'trust-1.json']);
    await good(['trust', 'sign', 'trust-1.json', '--operator-seed', 'ben.seed']);
    await good(['trust', 'publish', 'trust-1.json']);
    expect((await good(['trust', 'show'])).out).toContain(`adds      other ${keys['other']} only {"names":["guest"]}`);
    await write(
      root,
      Object.fromEntries(
        Object.entries(hello()).map(([name, text]) => [`guest/${name}`, text.replace('@acme/hello', '@other/guest')]),
      ),
    );
    const asOther = { CIM_PUBLISHER_SEED_FILE: join(root, 'other.seed') };
    await good(['publish', 'guest'], asOther);
    const before = await json(['verify', 'guest@1.0.0', '--trust-file', 'node.json']);
    expect(verdicts(before.results)).toEqual({
      ...ok,
      'trust document': 'ok',
      'signer not revoked': 'ok',
      'bundle not revoked': 'ok',
    });

    await good(['trust', 'revoke', keys['other']!, '--reason', 'laptop stolen', '--operator-seed', 'ann.seed', 'ben.seed']);
    expect((await good(['trust', 'show'])).out).toMatch(new RegExp(`revokes   ${keys['other']} \\(.*: laptop stolen\\)`));
    const refused = await run(['publish', 'guest', '--json'], asOther);
    expect([refused.code, JSON.parse(refused.out).code]).toEqual([3, 'publisher-revoked']);
    const known = await json(['verify', 'guest@1.0.0', '--trust-file', 'node.json']);
    expect(verdicts(known.results)).toMatchObject({ signature: 'failed', 'signer not revoked': 'failed' });
    // The promise goes on from document to document, each time from its own day.
    const promised = async () => {
      const { issuedAt, refreshBy } = (await json(['trust', 'show'])).document;
      return refreshBy === undefined ? undefined : Date.parse(refreshBy) - Date.parse(issuedAt);
    };
    expect(await promised()).toBe(30 * 86_400_000);
    expect((await good(['trust', 'show'])).out).toMatch(/^next {6}promised by 20/m);
    await good(['trust', 'renew', '--refresh-within', '0s', '--operator-seed', 'ann.seed', 'ben.seed']);
    expect(await promised()).toBeUndefined();
    const back = await run(['trust', 'add', keys['other']!, '--name', 'other', '--operator-seed', 'ann.seed', 'ben.seed']);
    expect(back.err).toContain('a revocation is for ever');
    await good(['trust', 'revoke', 'hello@1.0.0', '--reason', 'leaks', '--operator-seed', 'ann.seed', 'ben.seed']);
    const after = await run(['verify', 'hello@1.0.0', '--trust-file', 'node.json', '--json']);
    expect([after.code, verdicts(JSON.parse(after.out).results)['bundle not revoked']]).toEqual([3, 'failed']);
    const deploy = await run(['deploy', 'hello', '-i', 'cim-a', '--no-wait', '--operator-seed', 'ann.seed', 'ben.seed']);
    expect([deploy.code, deploy.err]).toEqual([3, expect.stringContaining('bundle-revoked')]);
  });
});

describe('an auditor of the transparency log', () => {
  const audit = async (...flags: string[]) => {
    const ran = await run(['audit', 'transparency', '--log-key', keys['log']!, '--head', 'head.json', '--json', ...flags]);
    const { results } = JSON.parse(ran.out);
    return {
      code: ran.code,
      failed: results.filter((one: any) => one.result === 'failed').map((one: any) => `${one.check}: ${one.evidence}`),
      results,
    };
  };
  const stream = streamName(topology.transparency);
  const signer = () => readFile(join(root, 'log.seed'), 'utf8').then(signerFromSeed);
  const read = async (): Promise<LogEntry[]> => {
    const answer = await fetch(`${env['CIM_REGISTRY_URL']}/api/v1/log`, { headers: { authorization: 'Bearer boss' } });
    return (await answer.text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  };
  /** What whoever owns the hub's server can do to a stream that may not be purged. */
  const rewrite = async (entries: readonly LogEntry[]) => {
    const jsm = await jetstreamManager(admin);
    const { config } = await jsm.streams.info(stream);
    await jsm.streams.delete(stream);
    await jsm.streams.add(config as never);
    for (const entry of entries) await jetstream(admin).publish('cim.v1.transparency.x', JSON.stringify(entry));
  };
  const chained = async (bodies: readonly LogBody[]) => {
    const key = await signer();
    const out: LogEntry[] = [];
    for (const body of bodies) out.push(nextLogEntry(out.length === 0 ? undefined : headOf(out.at(-1)!), body, key));
    return out;
  };
  let truth: LogEntry[];

  it('finds the log whole, everything published in it, and remembers its head', async () => {
    const { code, failed, results } = await audit();
    expect([code, failed]).toEqual([0, []]);
    expect(verdicts(results)).toMatchObject({ chain: 'ok', catalog: 'ok', 'trust document': 'ok', head: 'not-applicable' });
    expect(verdicts((await audit()).results)['head']).toBe('ok');
    truth = await read();
    // Without a pinned key the registry's own is used, and that is said.
    expect((await good(['audit', 'transparency', '--head', 'head.json'])).out).toMatch(
      /not-applicable {2}log key +A.*pin it with --log-key/,
    );
  });

  it('finds a version that is in the catalog and not in the log', async () => {
    const kv = await new Kvm(jetstream(admin)).open(topology.catalog.name);
    const standing = (await kv.get('version.hello.1_0_0'))!;
    const hidden = { ...JSON.parse(standing.string()), version: '9.9.9', digest: `sha256:${'9'.repeat(64)}` };
    await kv.put('version.hello.9_9_9', JSON.stringify(hidden));
    const { code, failed } = await audit();
    expect(code).toBe(3);
    expect(failed).toEqual([expect.stringMatching(/^catalog: 1 of \d published versions are not in the log: hello@9\.9\.9/)]);
    await kv.purge('version.hello.9_9_9');
    expect((await audit()).code).toBe(0);
  });

  it('finds a rewritten history, a dropped entry, a cut end and a fork, each as what it is', async () => {
    await stopRegistry();
    const restart = async (entries: readonly LogEntry[]) => {
      await rewrite(entries);
      env['CIM_REGISTRY_URL'] = await startRegistry();
      const found = await audit();
      await stopRegistry();
      return [found.code, ...found.failed];
    };
    const renamed = (at: number) => truth.map(({ body }, i) => (i === at ? ({ ...body, by: 'mallory' } as LogBody) : body));
    // Changed in place, and not even signed again.
    expect(await restart(truth.with(1, { ...truth[1]!, body: renamed(1)[1]! }))).toEqual([
      3,
      expect.stringMatching(/^chain: tampered at 2/),
    ]);
    // The whole of it told anew with the log key itself: every entry fits, but it is not what was seen.
    expect(await restart(await chained(renamed(1)))).toEqual([
      3,
      expect.stringMatching(/^head: the saved head has seen entry \d+/),
    ]);
    expect(await restart(truth.slice(0, -1))).toEqual([
      3,
      expect.stringMatching(/^head: the saved head has seen entry \d+ as sha256:\w+, the log ends at/),
      expect.stringMatching(/^trust document: document 4 is not in the log/),
    ]);
    expect(await restart(truth.toSpliced(1, 1))).toEqual([
      3,
      expect.stringMatching(/^chain: tampered at 1: a stream or bucket is not as declared/),
    ]);
    expect((await restart(truth))[0]).toBe(0);
  }, 60_000);
});
