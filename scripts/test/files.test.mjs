/** The checks on files: each can fail, and says where. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { auditFaults, dependencyFaults, licenceAllowed, pinFaults } from '../check/dependencies.mjs';
import { lengthFaults, licenceFaults, lockFaults } from '../check/files.mjs';

let root;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cim-files-'));
  mkdirSync(join(root, 'packages/a/src'), { recursive: true });
  for (const folder of ['', 'packages/a']) writeFileSync(join(root, folder, 'package.json'), '{"license":"Apache-2.0"}');
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

test('a lock file has integrity everywhere and addresses nowhere', () => {
  const lock = (entry) =>
    JSON.stringify({
      packages: {
        '': {},
        'packages/a': {},
        'node_modules/@cim/a': { resolved: 'packages/a', link: true },
        'node_modules/b': entry,
      },
    });
  const funding = { url: 'https://example.invalid/fund' };
  expect(lockFaults(lock({ version: '1.0.0', integrity: 'sha512-x', funding }))).toEqual([]);
  expect(lockFaults(lock({ version: '1.0.0' }))).toEqual([expect.stringContaining('node_modules/b has no integrity')]);
  expect(lockFaults(lock({ integrity: 'sha512-x', resolved: 'https://registry.invalid/b.tgz' }))).toEqual([
    expect.stringContaining('"resolved"'),
  ]);
  expect(lockFaults(lock({ integrity: 'sha512-x', dependencies: { c: 'git+https://example.invalid/c' } }))).toEqual([
    expect.stringContaining('git+https://example.invalid/c'),
  ]);
});

test('a source ends at 400 lines', () => {
  writeFileSync(join(root, 'packages/a/src/long.ts'), 'x\n'.repeat(400));
  expect(lengthFaults(root)).toEqual([]);
  writeFileSync(join(root, 'packages/a/src/long.ts'), 'x\n'.repeat(401));
  expect(lengthFaults(root)).toEqual([expect.stringContaining('packages/a/src/long.ts: 401 lines')]);
});

test('the licence is there and every package names it', () => {
  expect(licenceFaults(root)).toEqual([expect.stringContaining('found no file')]);
  writeFileSync(join(root, 'LICENSE'), 'Apache License\n   Version 2.0, January 2004\n');
  expect(licenceFaults(root)).toEqual([]);
  writeFileSync(join(root, 'packages/a/package.json'), '{}');
  expect(licenceFaults(root)).toEqual(['packages/a/package.json: license: expected Apache-2.0, found undefined']);
});

test('a package that is shipped has a licence that may be, runs nothing, and is not given up', () => {
  const npmrc = 'ignore-scripts=true\n';
  const of = (entry) => dependencyFaults(JSON.stringify({ packages: { 'node_modules/x/node_modules/b': entry } }), npmrc);
  expect(of({ license: 'MIT' })).toEqual([]);
  expect(of({ license: 'MIT', hasInstallScript: true })).toEqual([expect.stringContaining('install script')]);
  expect(of({ license: 'AGPL-3.0', dev: true })).toEqual([]);
  expect(of({ license: 'AGPL-3.0' })).toEqual([expect.stringContaining('AGPL-3.0')]);
  expect(of({})).toEqual([expect.stringContaining('the licence none')]);
  expect(of({ license: 'MIT', deprecated: 'use c' })).toEqual([expect.stringContaining('use c')]);
  expect(dependencyFaults('{"packages":{}}', '')).toEqual([expect.stringContaining('ignore-scripts')]);
  for (const good of ['MIT', '(MIT OR GPL-3.0)', 'MIT AND ISC']) expect([good, licenceAllowed(good)]).toEqual([good, true]);
  for (const bad of ['GPL-3.0', 'MIT AND GPL-3.0', '', undefined, 'SEE LICENSE IN x'])
    expect([bad, licenceAllowed(bad)]).toEqual([bad, false]);
});

test('a dependency is one version and no other', () => {
  const write = (version) =>
    writeFileSync(join(root, 'packages/a/package.json'), JSON.stringify({ dependencies: { b: version } }));
  for (const good of ['1.0.0', '1.0.0-rc.1']) {
    write(good);
    expect([good, pinFaults(root)]).toEqual([good, []]);
  }
  for (const bad of ['^1.0.0', '~1.0.0', '1', '*', 'latest', 'git+https://example.invalid/b', '>=1.0.0']) {
    write(bad);
    expect(pinFaults(root)).toEqual([`packages/a/package.json: b: expected an exact version, found "${bad}"`]);
  }
});

test('advisories are judged where there are any, and said to be unchecked where there are none', () => {
  const found = (severity) => JSON.stringify({ vulnerabilities: { b: { name: 'b', severity, range: '<2.0.0' } } });
  expect(auditFaults(found('critical')).faults).toEqual([expect.stringContaining('b <2.0.0')]);
  expect(auditFaults(found('low'))).toEqual({ faults: [] });
  expect(auditFaults('{"vulnerabilities":{}}')).toEqual({ faults: [] });
  for (const none of ['', 'offline', '{"message":"405","statusCode":405}']) {
    const { faults, note } = auditFaults(none);
    expect([none, faults, note?.startsWith('not checked')]).toEqual([none, [], true]);
  }
});
