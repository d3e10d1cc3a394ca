/** The launcher begins cells, ends with its daemon, takes no order from anybody else, and can be lost without losing the sandbox. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Isolate, Sandbox } from '../../src/sandbox/sandbox.ts';
import { ask, faultFrom, openOf, sandboxOf } from './fixture.ts';

let sandbox: Sandbox;
afterEach(async () => {
  await sandbox.stop(200);
});

const parentOf = (pid: number): number => Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').join(' ');
  } catch {
    return '';
  }
};
/** The launcher a cell was begun by. */
function launcherOf({ cellPid }: Isolate): number {
  for (let pid = parentOf(cellPid); pid > 1; pid = parentOf(pid)) if (commandOf(pid).includes('launcher-main.js')) return pid;
  return 0;
}

const open = (source = 'return 1') => sandbox.open(openOf({ source }, { limits: { turnMs: 20_000 } }));

test('cells are its children, in sessions of their own; it is ours, and ends when the sandbox has stopped', async () => {
  sandbox = sandboxOf({ spareCells: 1 });
  await sandbox.start();
  const [one, two] = [await open(), await open()];
  const launcher = launcherOf(one);
  expect(launcher).toBeGreaterThan(1);
  expect(launcherOf(two)).toBe(launcher);
  expect(parentOf(launcher)).toBe(process.pid);
  const sessionOf = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')[3];
  expect(new Set([process.pid, one.cellPid, two.cellPid].map(sessionOf)).size).toBe(3);
  expect(sessionOf(launcher)).toBe(sessionOf(process.pid));
  await sandbox.stop(200);
  await expect.poll(() => commandOf(launcher), { timeout: 10_000 }).toBe('');
});

test('lost, it takes its cells along, also one whose thread is held; the next start begins another', async () => {
  sandbox = sandboxOf({ spareCells: 1 });
  await sandbox.start();
  const stuck = await open('return [].includes.call({ length: 2 ** 53 - 1 }, 1)');
  const calm = await open();
  const held = faultFrom(ask(stuck));
  const [before, cells] = [launcherOf(calm), [stuck.cellPid, calm.cellPid]];
  process.kill(before, 'SIGKILL');
  expect((await held).code).toBe('cell-died');
  expect([(await stuck.exited).kind, (await calm.exited).kind]).toEqual(['cell-died', 'cell-died']);
  await expect.poll(() => cells.map(commandOf), { timeout: 10_000 }).toEqual(['', '']);
  const next = await open();
  expect(await ask(next)).toBe(1);
  expect(launcherOf(next)).not.toBe(before);
});

test('signals to the group are the daemon’s: it goes on', async () => {
  sandbox = sandboxOf({ spareCells: 0 });
  await sandbox.start();
  const isolate = await open();
  const launcher = launcherOf(isolate);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(launcher, signal);
  expect(await ask(await open())).toBe(1);
  expect(await ask(isolate)).toBe(1);
  expect(launcherOf(isolate)).toBe(launcher);
});

test('who connects without a word of the daemon’s is sent away', { timeout: 30_000 }, async () => {
  sandbox = sandboxOf({ spareCells: 0 });
  await sandbox.start();
  const isolate = await open();
  const launcher = launcherOf(isolate);
  const sockets = readdirSync(`/proc/${launcher}/fd`).map((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${launcher}/fd/${fd}`))?.[1];
    } catch {
      return undefined;
    }
  });
  // Num, RefCount, Protocol, Flags, Type, St, Inode, Path
  const listening = readFileSync('/proc/net/unix', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find(([, , , , , , inode, path]) => path?.startsWith('@cim-launcher-') && sockets.includes(inode));
  const said = await new Promise<string>((resolve) => {
    let text = '';
    const socket = connect(listening![7]!.replace('@', '\0'));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text));
    socket.write('x'.repeat(36));
  });
  expect(said).toBe('');
  expect(await ask(isolate)).toBe(1);
});
