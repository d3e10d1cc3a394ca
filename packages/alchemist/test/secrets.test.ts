/** Secrets at the operator's side: which key is believed, what a document becomes, what a command line takes. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Desired, type Fault, newSealingSeed, sealSecret, unsealerFromSeed } from '@cim/contracts';
import { describe, expect, it } from 'vitest';
import { nextDocument, removalOf, withSecrets } from '../src/deploy/document.ts';
import { keyOf } from '../src/secrets/known-nodes.ts';
import { cli, folder, write } from './support.ts';

const node = unsealerFromSeed(newSealingSeed());
const other = unsealerFromSeed(newSealingSeed());
const failure = (work: Promise<unknown>): Promise<Fault> =>
  work.then(
    () => {
      throw new Error('expected a fault');
    },
    (error) => error as Fault,
  );

describe('the key of a node', () => {
  it('is taken as shown the first time, remembered for this user alone, and never replaced in silence', async () => {
    const file = join(await folder(), 'deep', 'known-nodes.json');
    expect(await keyOf(file, 'cim-a', node.publicKey, undefined, 0)).toEqual({ key: node.publicKey, first: true });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await keyOf(file, 'cim-a', node.publicKey, undefined, 1)).toEqual({ key: node.publicKey, first: false });
    // The node is away: what is known is enough.
    expect(await keyOf(file, 'cim-a', undefined, undefined, 1)).toEqual({ key: node.publicKey, first: false });
    const fault = await failure(keyOf(file, 'cim-a', other.publicKey, undefined, 2));
    expect(fault.code).toBe('node-key-changed');
    expect(fault.detail).toContain(node.publicKey);
    expect(fault.detail).toContain(other.publicKey);
    expect(JSON.parse(await readFile(file, 'utf8')).nodes['cim-a'].sealingKey).toBe(node.publicKey);
  });

  it('said by the operator replaces what was known, and must be what the node shows', async () => {
    const file = join(await folder(), 'known-nodes.json');
    await keyOf(file, 'cim-a', node.publicKey, undefined, 0);
    expect(await keyOf(file, 'cim-a', other.publicKey, other.publicKey, 0)).toEqual({ key: other.publicKey, first: false });
    expect((await keyOf(file, 'cim-a', undefined, undefined, 0)).key).toBe(other.publicKey);
    expect((await failure(keyOf(file, 'cim-a', node.publicKey, other.publicKey, 0))).code).toBe('node-key-changed');
    expect((await keyOf(file, 'cim-b', undefined, node.publicKey, 0)).key).toBe(node.publicKey);
    expect((await keyOf(file, 'cim-a', undefined, undefined, 0)).key).toBe(other.publicKey);
  });

  it('that nobody knows or that is damaged is an error, not a guess', async () => {
    const file = join(await folder(), 'known-nodes.json');
    expect((await failure(keyOf(file, 'cim-a', undefined, undefined, 0))).code).toBe('not-found');
    await writeFile(file, '{"nodes":{"cim-a":{"sealingKey":"nonsense","since":"x"}}}');
    expect((await failure(keyOf(file, 'cim-a', node.publicKey, undefined, 0))).code).toBe('configuration-invalid');
  });
});

describe('documents', () => {
  const envelope = { payloadType: 'x', payload: 'e30=', signatures: [{ keyid: `A${'A'.repeat(55)}`, sig: 'AAAA' }] };
  const bundle = { version: '1.0.0', digest: `sha256:${'1'.repeat(64)}`, size: 10, envelope } as Desired['bundle'];
  const target = { instance: 'cim-a', kind: 'agent', name: 'mailer', bundle } as const;
  const author = { issuedBy: 'me', now: 0 };
  const box = (secret: string) =>
    sealSecret('value', node.publicKey, { instance: 'cim-a', kind: 'agent', name: 'mailer', secret });

  it('keep what is sealed through deployments, join what is new, and lose it with reset and removal', () => {
    const one = box('one');
    const first = nextDocument(undefined, target, {}, author, 0, { one });
    const second = nextDocument(first, target, { replicas: 2 }, author);
    expect(second.secrets).toEqual({ one });
    const two = box('two');
    expect(nextDocument(second, target, {}, author, 0, { two }).secrets).toEqual({ one, two });
    expect(nextDocument(second, target, { reset: true }, author).secrets).toBeUndefined();
    expect(removalOf(second, author).secrets).toBeUndefined();
  });

  it('change in nothing but secrets and generation', () => {
    const before = nextDocument(undefined, target, { replicas: 3, rollback: true, config: { a: 1 } }, author);
    const one = box('one');
    const { secrets, ...after } = withSecrets(before, { one }, { issuedBy: 'you', now: 5 }, 'rotation');
    expect(secrets).toEqual({ one });
    expect(after).toEqual({
      ...before,
      generation: 2,
      rollback: false,
      issuedBy: 'you',
      issuedAt: new Date(5).toISOString(),
      reason: 'rotation',
    });
    expect(withSecrets({ ...after, secrets } as Desired, {}, author)).not.toHaveProperty('secrets');
  });
});

describe('the command', () => {
  it.each<[string, string[], RegExp]>([
    ['no instance', ['secrets', 'set', 'mailer', 'smtp'], /required option '-i, --instance <id>'/],
    ['no name', ['secrets', 'set', 'mailer', '-i', 'cim-a'], /missing required argument 'name'/],
    ['unknown verb', ['secrets', 'put'], /unknown command 'put'/],
    ['no file', ['secrets', 'set', 'mailer', 'smtp', '-i', 'cim-a', '--file', 'none'], /cannot read none/],
    [
      'a pair that is none',
      ['deploy', 'mailer', '-i', 'cim-a', '--secret', 'smtp'],
      /--secret: expected <name>=<file>, found "smtp"/,
    ],
    [
      'a file of a pair that is none',
      ['deploy', 'mailer', '-i', 'cim-a', '--secret', 'smtp=none'],
      /--secret smtp: cannot read none/,
    ],
  ])('refuses %s', async (_, argv, said) => {
    const root = await write(await folder(), {
      '.cim/profile.json': JSON.stringify({ registry: { url: 'http://127.0.0.1:1', token: 'x' } }),
    });
    const { code, err } = await cli(root, argv);
    expect(code).toBe(2);
    expect(err).toMatch(said);
  });
});
