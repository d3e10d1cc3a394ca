/** The checks on files: each can fail, and says where. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
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
