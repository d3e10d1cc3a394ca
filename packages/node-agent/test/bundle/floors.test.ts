/** Floors on a real disk: they rise, they stay, and a broken file is put aside. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@cim/contracts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createFloors } from '../../src/bundle/floors.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cim-floors-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const opened = async () => {
  const floors = createFloors({ file: join(directory, 'floors.json'), log: silentLogger });
  await floors.load();
  return floors;
};

test('rise together, survive a restart, never fall', async () => {
  const floors = await opened();
  expect(floors.floorOf('hello', 'A')).toBe(0);
  await Promise.all([...Array(20).keys()].map((n) => floors.raise('hello', 'A', n + 1)));
  await floors.raise('hello', 'B', 3);
  await floors.raise('hello', 'A', 7);
  const again = await opened();
  expect([again.floorOf('hello', 'A'), again.floorOf('hello', 'B'), again.floorOf('other', 'A')]).toEqual([20, 3, 0]);
});

test('an unreadable file is put aside, and the node starts', async () => {
  await writeFile(join(directory, 'floors.json'), '{"api":1,"floors":[{"name":"hello"');
  const floors = await opened();
  expect(floors.floorOf('hello', 'A')).toBe(0);
  expect(await readdir(directory)).toEqual(['floors.json.corrupt']);
});
