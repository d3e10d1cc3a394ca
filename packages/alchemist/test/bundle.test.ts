/** Building projects: the same sources give the same bytes, and everything wrong is named. */

import { existsSync } from 'node:fs';
import { cp, readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault, signerFromSeed, trustOf } from '@cim/contracts';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundle, openBundle, sign } from '../src/bundle/bundle.ts';
import { verifyBundle } from '../src/bundle/verify.ts';
import { newSeed } from '../src/keys.ts';
import { folder, hello, write } from './support.ts';

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('expected a fault');
}

describe('the same sources', () => {
  it('give the same bytes from another place, at another time, as folder or entry file', async () => {
    const one = await write(join(await folder(), 'here'), {
      ...hello(),
      'assets/b.txt': 'b',
      'assets/a/x.bin': Uint8Array.of(0, 255),
    });
    const two = join(await folder(), 'quite', 'elsewhere', 'named', 'otherwise');
    await cp(one, two, { recursive: true });
    for (const file of ['src/main.ts', 'src/greet.ts', 'assets/b.txt', 'package.json']) await utimes(join(two, file), 1, 1);
    const [a, b, c] = await Promise.all([bundle(one), bundle(two), bundle(join(two, 'src/main.ts'))]);
    expect(b.digest).toBe(a.digest);
    expect(c.digest).toBe(a.digest);
    expect(Buffer.from(a.bytes).includes(one)).toBe(false);
    const { contents, manifest } = await openBundle(a.bytes);
    expect(contents.assets.map(({ path }) => path)).toEqual(['a/x.bin', 'b.txt']);
    expect(JSON.parse(contents.sourceMap!).sources).toEqual(expect.arrayContaining(['src/greet.ts', 'src/main.ts']));
    expect(manifest).toMatchObject({ name: 'hello', version: '1.0.0', kind: 'agent', description: 'Greets' });
    expect(manifest.capabilities).toEqual({ 'greeting.say': { description: 'Says it', input: { type: 'object' } } });
  });

  it('give other bytes when a source, an asset or the version differs', async () => {
    const root = await write(await folder(), { ...hello(), 'assets/a.txt': 'a' });
    const first = await bundle(root);
    await write(root, { 'src/greet.ts': "export const greet = (name: string): string => 'Bye, ' + name;\n" });
    const second = await bundle(root);
    await write(root, { 'assets/a.txt': 'b' });
    const third = await bundle(root);
    const fourth = await bundle(root, { version: '1.0.1' });
    expect(new Set([first, second, third, fourth].map(({ digest }) => digest)).size).toBe(4);
  });

  it('carry the door in the same words whether this package is built or not', async () => {
    const built = new URL('../dist/index.js', import.meta.url);
    if (!existsSync(built)) return;
    const root = await write(await folder(), hello());
    const { bundle: fromBuilt } = (await import(built.href)) as { bundle: typeof bundle };
    expect((await fromBuilt(root)).digest).toBe((await bundle(root)).digest);
  });
});

it('reads everything a definition says', async () => {
  const root = await write(
    await folder(),
    hello(`name: 'other', version: '2.0.0-rc.1',
      config: { language: 'en' }, configSchema: { type: 'object' },
      configuration: { maxConcurrent: 4, timeout: '5m' }, resources: { cpu: '500m', memory: '64Mi' },
      grants: { kv: true, publish: ['orders.*'], secrets: ['smtp'] }, requires: { gpu: true },
      subscribe: { 'orders.new': () => {} }, schedule: { nightly: { cron: '0 3 * * *', run() {} } },
      start() {}, health: () => true,`),
  );
  const { manifest } = await bundle(root);
  expect(manifest).toMatchObject({
    name: 'other',
    version: '2.0.0-rc.1',
    config: { language: 'en' },
    configuration: { maxConcurrent: 4, timeout: '5m' },
    resources: { cpu: '500m', memory: '64Mi' },
    grants: { kv: true, publish: ['orders.*'], subscribe: [], call: [], secrets: ['smtp'] },
    requires: { gpu: true, capabilities: [] },
    subscribe: ['orders.new'],
    schedule: { nightly: { cron: '0 3 * * *' } },
    hooks: { start: true, stop: false, health: true },
  });
});

describe('what is wrong is named', () => {
  let root: string;
  beforeAll(async () => {
    root = await folder();
  });
  const project = async (name: string, files: Record<string, string>) => write(join(root, name), { ...hello(), ...files });
  const door = `import { defineAgent } from '@cim/alchemist/agent';\n`;
  const agent = (fields: string) =>
    `${door}export default defineAgent({ capabilities: { 'a.b': { handle: () => 1 } }, ${fields} });`;

  it('a built-in module, with the chain of imports that leads to it', async () => {
    const path = await project('builtin', {
      'src/greet.ts': `import { read } from './deep.ts';\nexport const greet = (name: string) => read(name);\n`,
      'src/deep.ts': `import { readFileSync } from 'node:fs';\nexport const read = (name: string) => readFileSync(name, 'utf8');\n`,
    });
    const fault = await faultOf(bundle(path));
    expect(fault.code).toBe('invalid-input');
    expect(fault.issues).toEqual([
      { path: 'src/deep.ts', message: 'node:fs is not in the isolate: src/main.ts -> src/greet.ts -> src/deep.ts -> node:fs' },
    ]);
    expect(fault.detail).toContain('The isolate offers the language itself, console');
  });

  it('a required built-in module of a CommonJS library likewise, but not one that is only asked for', async () => {
    const lib = (text: string) => ({
      'node_modules/lib/package.json': '{"name":"lib","version":"1.0.0","main":"index.js"}',
      'node_modules/lib/index.js': text,
      'src/greet.ts': `import lib from 'lib';\nexport const greet = (name: string) => lib(name);\n`,
    });
    const hard = await faultOf(bundle(await project('cjs', lib(`const os = require('os'); module.exports = () => os.EOL;`))));
    expect(hard.issues[0]?.message).toMatch(
      /^os is not in the isolate: src\/main\.ts -> src\/greet\.ts -> node_modules\/lib\/index\.js -> os$/,
    );
    const soft = lib(`let os; try { os = require('os'); } catch {} module.exports = (name) => name + Boolean(os);`);
    await expect(bundle(await project('cjs-soft', soft))).resolves.toMatchObject({ manifest: { name: 'hello' } });
  });

  it('an unknown package, with place and remedy', async () => {
    const fault = await faultOf(
      bundle(await project('absent', { 'src/greet.ts': `import x from '@scope/nope/deep';\nexport const greet = x;` })),
    );
    expect(fault.issues[0]).toEqual({
      path: 'src/greet.ts:1:15',
      message: 'Could not resolve "@scope/nope/deep": install it in the project (npm install @scope/nope)',
    });
  });

  it('the operator door in a workload', async () => {
    const fault = await faultOf(
      bundle(
        await project('wrong-door', {
          'src/greet.ts': `import { Alchemist } from '@cim/alchemist';\nexport const greet = Alchemist;`,
        }),
      ),
    );
    expect(fault.detail).toContain('a workload imports "@cim/alchemist/agent"');
  });

  it('a syntax error, with its place', async () => {
    const fault = await faultOf(bundle(await project('syntax', { 'src/greet.ts': 'export const greet = (;' })));
    expect(fault.issues[0]?.path).toBe('src/greet.ts:1:23');
  });

  it('every wrong field of the manifest at once', async () => {
    const text = agent(`version: 'one', resources: { memory: 'lots' }, grants: { publish: ['a b'] }, extra: 1`);
    const fault = await faultOf(bundle(await project('fields', { 'src/main.ts': text })));
    expect(fault.code).toBe('bundle-malformed');
    expect(fault.issues.map(({ path }) => path).sort()).toEqual(['extra', 'grants.publish[0]', 'resources.memory', 'version']);
    expect(fault.issues.find(({ path }) => path === 'resources.memory')?.message).toContain('found "lots"');
  });

  it.each([
    ['no default export', 'export const a = 1;', 'default: expected the entry file to export default defineAgent'],
    ['an object that is no definition', 'export default { a: 1 };', 'expected what defineAgent or defineService returns'],
    [
      'a function where data must be',
      agent('config: { f: () => 1 }'),
      'config.f: expected data that JSON can say, found a function',
    ],
    ['a number JSON cannot say', agent('config: { n: [1, Infinity] }'), 'config.n[1]: expected a finite number'],
    ['a hook that is none', agent('start: 5'), 'start: expected a function, found number'],
    [
      'a handler that is none',
      `${door}export default defineAgent({ capabilities: { 'a.b': {} } } as never);`,
      'capabilities["a.b"].handle',
    ],
    ['a throw while loading', `${door}const a: any = undefined;\nexport default defineAgent(a.b);`, 'src/main.ts:3:'],
    [
      'something the isolate lacks',
      `${door}process.cwd();\nexport default defineAgent({ capabilities: {} });`,
      'process is not defined',
    ],
    [
      'a way out of the context',
      `${door}const p = console.log.constructor('return process')();\np.getBuiltinModule('fs').readFileSync('/etc/passwd');\nexport default defineAgent({ capabilities: {} });`,
      'Access to this API has been restricted',
    ],
  ])('%s', async (name, main, said) => {
    const fault = await faultOf(bundle(await project(name.replaceAll(' ', '-'), { 'src/main.ts': main })));
    expect(`${fault.detail}`).toContain(said);
  });

  it('a loop at top level, at the deadline', async () => {
    const path = await project('loop', {
      'src/main.ts': `${door}for (;;) {}\nexport default defineAgent({ capabilities: {} });`,
    });
    const begun = performance.now();
    const fault = await faultOf(bundle(path, { timeout: '700ms' }));
    expect(fault.detail).toContain('did not finish loading within 700ms');
    expect(performance.now() - begun).toBeLessThan(10_000);
  });

  it.each([
    ['nothing there', 'missing', /expected a project folder or an entry file, found nothing there/],
    ['a file that is no source', 'notes/readme.txt', /expected an entry file ending in \.ts/],
    ['no entry', 'empty', /no entry file: looked for "main" in package\.json, then src\/main\.ts/],
    ['a main that is not there', 'main-gone', /package\.json "main": there is no file \.\/lib\.js/],
    ['a package.json that is none', 'broken', /not a package\.json/],
  ])('%s', async (_, path, said) => {
    await write(root, {
      'notes/readme.txt': 'hi',
      'empty/package.json': '{}',
      'main-gone/package.json': '{"main":"./lib.js"}',
      'broken/package.json': '{',
    });
    expect((await faultOf(bundle(join(root, path)))).detail).toMatch(said);
  });
});

describe('a signature', () => {
  it('holds for the bytes and for nothing else', async () => {
    const signer = signerFromSeed(newSeed('publisher').seed);
    const built = await bundle(await write(await folder(), hello()));
    const signed = sign(built, signer, 1);
    const trusted = [{ name: 'acme', key: signer.publicKey }];
    const verdict = async (bytes: Uint8Array, keys = trusted) =>
      (
        await verifyBundle({
          bytes,
          envelope: signed.envelope,
          attestation: signed.attestation,
          trust: trustOf({ publishers: keys, operators: [], operatorThreshold: 1 }),
          now: 0,
        })
      ).results
        .filter(({ result }) => result === 'failed')
        .map(({ check }) => check);
    expect(await verdict(signed.bytes)).toEqual([]);
    const other = Uint8Array.from(signed.bytes);
    other[600]! ^= 1;
    expect(await verdict(other)).toContain('digest');
    expect(await verdict(signed.bytes, [])).toEqual(['signature', 'provenance']);
    expect(() => sign(built, signerFromSeed(newSeed('operator').seed), 1)).toThrow(/expected a publisher seed/);
  });
});

it('gives the examples of this repository', async () => {
  const example = new URL('../../../examples/hello', import.meta.url).pathname;
  const { manifest, bytes } = await bundle(example);
  expect(manifest.capabilities).toHaveProperty(['greeting.say']);
  const { contents } = await openBundle(bytes);
  expect(contents.entry).not.toMatch(/^import /m);
  expect(JSON.parse(await readFile(join(example, 'package.json'), 'utf8')).name).toBe(manifest.name);
});
