/** The lock of the set-up: one at a time, dead holders do not block, living programs of a dead holder do. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takeLock } from '../place/lock.mjs';

let folder;
let path;
/** @type {import('node:child_process').ChildProcess[]} */
const children = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cim-lock-'));
  path = join(folder, 'lock');
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** A process that lives until it is killed. */
function living() {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  children.push(child);
  return child;
}

function ended(child) {
  return new Promise((resolve) => child.once('close', resolve));
}

/** Writes a lock as another process would have left it. */
function leave(owner) {
  mkdirSync(path);
  writeFileSync(
    join(path, 'owner'),
    JSON.stringify({ pid: process.pid, started: '', host: hostname(), at: Date.now(), ...owner }),
  );
}

test('many at once: never two inside, each gets its turn', async () => {
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      const lock = await takeLock(path, { timeoutMs: 20_000 });
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside--;
      lock.release();
    }),
  );
  expect(most).toBe(1);
  expect(readdirSync(folder)).toEqual([]);
});

test('waiting ends by the deadline and names the holder', async () => {
  const held = await takeLock(path, { timeoutMs: 1_000 });
  await expect(takeLock(path, { timeoutMs: 150 })).rejects.toThrow(`process ${process.pid}`);
  expect(readdirSync(folder)).toEqual(['lock']);
  held.release();
});

test('a holder that died is no holder', async () => {
  const child = living();
  const held = await takeLock(path, { timeoutMs: 1_000 });
  held.covers(child.pid);
  const owner = JSON.parse(readFileSync(join(path, `program-${child.pid}`), 'utf8'));
  held.release();
  child.kill('SIGKILL');
  await ended(child);
  leave(owner);
  (await takeLock(path, { timeoutMs: 1_000 })).release();
});

test('a process number used again by another process is no holder', async () => {
  leave({ started: '1' });
  (await takeLock(path, { timeoutMs: 1_000 })).release();
});

test('a dead holder whose program still runs is waited for', async () => {
  const child = living();
  const probe = await takeLock(join(folder, 'other'), { timeoutMs: 1_000 });
  probe.covers(child.pid);
  const program = readFileSync(join(folder, 'other', `program-${child.pid}`), 'utf8');
  leave({ started: '1' });
  writeFileSync(join(path, `program-${child.pid}`), program);
  await expect(takeLock(path, { timeoutMs: 150 })).rejects.toThrow(`process ${child.pid}`);
  child.kill('SIGKILL');
  await ended(child);
  (await takeLock(path, { timeoutMs: 1_000 })).release();
});

test('a lock cut short by a crash is taken over', async () => {
  mkdirSync(path);
  writeFileSync(join(path, 'owner'), '{"pid": 1');
  const lock = await takeLock(path, { timeoutMs: 1_000 });
  expect(existsSync(path)).toBe(true);
  lock.release();
});
