/** Where settings come from, where secrets go, and that keys stay the owner's. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Fault } from '@cim/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newSeed, readSeed, signerOf, tooOpen, writeSeed } from '../src/keys.ts';
import { resolveProfile, tokenOf } from '../src/profile.ts';
import { bare, folder, write } from './support.ts';

const file = {
  registry: { url: 'http://file:1/', tokenFile: 'secrets/token' },
  nats: { url: 'nats://file:2', user: 'alchemist', passwordFile: 'secrets/pw' },
  publisherSeedFile: 'keys/publisher.seed',
};

async function project() {
  const root = await folder();
  await write(root, { '.cim/profile.json': JSON.stringify(file), '.cim/secrets/token': 'from-file\n', 'deep/er/x': '' });
  return root;
}

describe('a profile', () => {
  it('is found upward, its paths relative to itself', async () => {
    const root = await project();
    const profile = resolveProfile(bare(join(root, 'deep/er')));
    expect(profile.registry).toEqual({ url: 'http://file:1', token: undefined, tokenFile: join(root, '.cim/secrets/token') });
    expect(profile.nats).toMatchObject({ user: 'alchemist', passwordFile: join(root, '.cim/secrets/pw') });
    expect(profile.publisherSeedFile).toBe(join(root, '.cim/keys/publisher.seed'));
    expect(profile.origin.registry).toBe(join(root, '.cim/profile.json'));
    expect(tokenOf(profile.registry!)).toBe('from-file');
  });

  it('yields to the environment, which yields to flags', async () => {
    const root = await project();
    const env = { CIM_REGISTRY_URL: 'http://env:1', CIM_TOKEN: 'from-env', CIM_PUBLISHER_SEED_FILE: 'p.seed' };
    const byEnv = resolveProfile(bare(root, env));
    expect(byEnv.registry).toMatchObject({ url: 'http://env:1', token: 'from-env' });
    expect(byEnv.publisherSeedFile).toBe(join(root, 'p.seed'));
    const byFlag = resolveProfile(bare(root, env), { registry: { url: 'http://flag:1', token: 'from-flag' } });
    expect(byFlag.registry).toMatchObject({ url: 'http://flag:1', token: 'from-flag' });
    expect(byFlag.origin.registry).toBe('flag');
  });

  it('sends no secret of the file to an address the file does not name', async () => {
    const root = await project();
    const elsewhere = resolveProfile(bare(root), { registry: { url: 'http://evil:1' }, nats: { url: 'nats://evil:2' } });
    expect(elsewhere.registry).toEqual({ url: 'http://evil:1', token: undefined, tokenFile: undefined });
    expect(elsewhere.nats).toMatchObject({ user: undefined, password: undefined, passwordFile: undefined });
    const same = resolveProfile(bare(root), { nats: { url: 'nats://file:2' } });
    expect(same.nats?.user).toBe('alchemist');
    const tokenOnly = resolveProfile(bare(root, { CIM_TOKEN: 'mine' }));
    expect(tokenOnly.registry).toMatchObject({ url: 'http://file:1', token: 'mine' });
  });

  it('names every wrong field, and a named file that is absent', async () => {
    const root = await folder();
    await write(root, { '.cim/profile.json': '{"registry":{"url":"nowhere","tokken":"x"},"nats":{}}' });
    let fault: Fault | undefined;
    try {
      resolveProfile(bare(root));
    } catch (error) {
      fault = error as Fault;
    }
    expect(fault?.code).toBe('configuration-invalid');
    expect(fault?.issues.map(({ path }) => path).sort()).toEqual(['nats.url', 'registry.tokken', 'registry.url']);
    expect(() => resolveProfile(bare(root), { profile: 'nope.json' })).toThrow(/--profile: no file at/);
    expect(() => tokenOf({ url: 'x', tokenFile: join(root, 'nope') })).toThrow(/registry\.tokenFile: cannot read/);
  });
});

it('takes any JSON for a profile file or names what is wrong with it', async () => {
  const root = await folder();
  const part = fc.oneof(
    fc.jsonValue(),
    fc.record({ url: fc.oneof(fc.webUrl(), fc.string()), user: fc.string() }, { requiredKeys: [] }),
  );
  const anything = fc.oneof(
    fc.string(),
    fc.jsonValue().map((value) => JSON.stringify(value)),
    fc
      .record({ registry: part, nats: part, operatorSeedFile: fc.string() }, { requiredKeys: [] })
      .map((value) => JSON.stringify(value)),
  );
  await fc.assert(
    fc.asyncProperty(anything, async (text) => {
      await write(root, { '.cim/profile.json': text });
      try {
        resolveProfile(bare(root));
      } catch (error) {
        expect(error).toMatchObject({ name: 'Fault', code: 'configuration-invalid' });
        expect((error as Fault).issues.length).toBeGreaterThan(0);
      }
    }),
  );
});

describe('a seed', () => {
  it('is written for its owner only and never over another', async () => {
    const root = await folder();
    const { seed, publicKey } = newSeed('publisher');
    const path = join(root, 'keys/publisher.seed');
    expect(await writeSeed(path, seed, 'publisher')).toBe(publicKey);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(readSeed(path)).toBe(seed);
    expect(signerOf(path).publicKey).toBe(publicKey);
    expect(await tooOpen(path)).toBeUndefined();
    await expect(writeSeed(path, newSeed('publisher').seed, 'publisher')).rejects.toMatchObject({ code: 'conflict' });
    expect(readSeed(path)).toBe(seed);
  });

  it('speaks for one role', async () => {
    const root = await folder();
    expect(newSeed('operator').publicKey).toMatch(/^O/);
    await expect(writeSeed(join(root, 'a'), newSeed('operator').seed, 'publisher')).rejects.toThrow(
      /expected a publisher seed, found the seed of an operator/,
    );
    await expect(writeSeed(join(root, 'b'), 'garbage', 'publisher')).rejects.toMatchObject({ code: 'invalid-input' });
  });
});
