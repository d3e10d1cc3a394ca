/**
 * The layers around a cell, tried from inside by a process that has broken out of everything V8 and Node keep. Each way of starting cells
 * that this machine allows is tried for real; what it does not allow is only looked at for saying so.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type SandboxLayer, systemClock } from '@cim/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { begin, behindGuardian } from '../../src/sandbox/cell/begin.ts';
import { findHardening, type Hardening, PROBED } from '../../src/sandbox/hardening.ts';
import { librariesOf } from '../../src/sandbox/hardening-files.ts';
import { seccompFilter } from '../../src/sandbox/hardening-seccomp.ts';
import { ask, faultFrom, openOf, sandboxOf } from './fixture.ts';

const root = process.getuid?.() === 0;
const works = (file: string, ...args: string[]) => spawnSync(file, args, { timeout: 5_000 }).status === 0;
const bwrap = works('bwrap', '--unshare-user', '--unshare-pid', '--unshare-net', '--ro-bind', '/', '/', 'true');
const unshare = works('unshare', '--user', '--map-current-user', '--pid', '--fork', '--net', 'true');

let folder: string;
let tcp: Server;
let unix: Server;
let neighbour: ReturnType<typeof begin>;
const away: (() => void)[] = [];

/** Cells' way of starting, for the attacker: everything but Node's own permission model. */
const hardeningOf = (isolation: 'auto' | 'off', withBwrap: boolean): Hardening =>
  findHardening(
    {
      isolation,
      ...(withBwrap ? {} : { bwrap: '/nowhere/bwrap' }),
      path: process.env['PATH'] ?? '',
      node: realpathSync(process.execPath),
      flags: ['--no-warnings'],
      readable: [join(folder, 'code')],
      probe: `console.log('${PROBED}')`,
    },
    systemClock,
  );

const activeIn = (hardening: Hardening): ReadonlySet<SandboxLayer> =>
  new Set(hardening.layers.filter(({ active }) => active).map(({ layer }) => layer));

interface Told {
  readonly results: Readonly<Record<string, string>>;
  readonly pid: number;
  readonly uid: number;
}

async function attack(hardening: Hardening): Promise<Told> {
  const code = join(folder, 'code', 'broken-out.mjs');
  copyFileSync(join(import.meta.dirname, 'broken-out.mjs'), code);
  const given = {
    secret: join(folder, 'secret'),
    escaped: join(folder, 'escaped'),
    port: (tcp.address() as { port: number }).port,
    unix: join(folder, 'socket'),
    daemon: process.pid,
    neighbour: neighbour.pid,
  };
  const child = begin(hardening.recipe([code, JSON.stringify(given)]), ['pipe', 'pipe']);
  away.push(() => child.kill('SIGKILL'));
  let said = '';
  let cried = '';
  child.stderr!.on('data', (chunk) => {
    cried += chunk;
  });
  const socket = child.stdio[3] as Socket;
  socket.on('data', (chunk) => {
    said += chunk;
  });
  await once(child, 'close');
  expect(said, cried).not.toBe('');
  return JSON.parse(said);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cim-layers-'));
  // Cells that run under users of their own must get at their code, and at nothing else in here.
  mkdirSync(join(folder, 'code'));
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, 'secret'), 'TOP', { mode: 0o600 });
  tcp = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  unix = createServer((socket) => socket.destroy()).listen(join(folder, 'socket'));
  await Promise.all([once(tcp, 'listening'), once(unix, 'listening')]);
  neighbour = begin(hardeningOf('auto', true).recipe(['-e', 'setInterval(() => {}, 1000)']), ['pipe', 'pipe']);
  away.push(() => neighbour.kill('SIGKILL'));
});
afterAll(() => {
  for (const end of away) end();
  tcp.close();
  unix.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What each layer refuses of the attacker's attempts. */
const STOPS: Partial<Record<SandboxLayer, readonly string[]>> = {
  'no-network': ['connect over tcp', 'send a datagram', 'see network interfaces'],
  namespaces: ['signal the daemon', 'signal another cell'],
  'own-files': [
    'read a file of the machine',
    'read a secret of the daemon',
    'read the environment of the daemon',
    'read the memory of another cell',
    'open a descriptor of another cell',
    'connect over a unix socket',
    'start a shell',
    'make a folder',
  ],
  seccomp: [
    'connect over tcp',
    'connect over a unix socket',
    'listen',
    'send a datagram',
    'signal the daemon',
    'signal everybody',
    'start a shell',
    'start another Node',
    'write a file',
    'write beside its code',
    'write over its code',
    'remove its code',
    'move its code',
    'make a folder',
    'take another user',
  ],
  'own-user': [
    'read a secret of the daemon',
    'signal the daemon',
    'read the memory of another cell',
    'write beside its code',
    'take another user',
  ],
  'resource-limits': [],
  'no-capabilities': ['take another user'],
  'empty-environment': ['find something in its environment'],
};

describe.each([
  ['with every layer there is', 'auto', true],
  ['without bubblewrap', 'auto', false],
  ['with isolation off', 'off', true],
] as const)('%s', (_, isolation, withBwrap) => {
  test('what the active layers are said to stop is stopped, and no cell is kept from running', async () => {
    const hardening = hardeningOf(isolation, withBwrap);
    const active = activeIn(hardening);
    const { results, uid } = await attack(hardening);
    for (const [layer, attempts] of Object.entries(STOPS)) {
      if (!active.has(layer as SandboxLayer)) continue;
      for (const attempt of attempts) expect(results[attempt], `${layer}: ${attempt}`).toMatch(/^no: /);
    }
    expect(results['start a thread']).toMatch(/^yes/);
    expect(results['read its own code']).toMatch(/^yes/);
    for (const trace of ['escaped', 'code/broken-out.mjs.more']) {
      if (active.has('seccomp')) expect(existsSync(join(folder, trace)), trace).toBe(false);
      rmSync(join(folder, trace), { force: true });
    }
    if (active.has('own-user')) expect(uid).toBeGreaterThan(65_535);
  });

  test('the layers are those this machine allows, each with a reason', () => {
    const { layers, guarded } = hardeningOf(isolation, withBwrap);
    const active = new Set(layers.filter((layer) => layer.active).map(({ layer }) => layer));
    for (const { layer, detail } of layers) expect(detail, layer).not.toBe('');
    const expected = isolation === 'auto' && ((withBwrap && bwrap) || unshare);
    expect(guarded).toBe(expected);
    expect(active.has('no-network')).toBe(expected);
    const all = isolation === 'auto' && withBwrap && bwrap;
    expect(active.has('seccomp')).toBe(all && seccompFilter(process.arch) !== undefined);
    expect(active.has('own-files')).toBe(all);
    if (isolation === 'off') expect(layers.find(({ layer }) => layer === 'seccomp')!.detail).toContain('sandbox.isolation');
  });
});

test('a cell has no descriptor but its socket, its last words and what Node opens for itself', async () => {
  const hardening = hardeningOf('auto', true);
  const child = begin(
    hardening.recipe(['-e', 'setInterval(() => {}, 1000); require("net").Socket({ fd: 3 }).write("ready")']),
    ['pipe', 'pipe'],
  );
  away.push(() => child.kill('SIGKILL'));
  await once(child.stdio[3]!, 'data');
  const pid = hardening.guarded ? behindGuardian(child.pid!) : child.pid!;
  expect(pid === child.pid).toBe(!hardening.guarded);
  const links = readdirSync(`/proc/${pid}/fd`)
    .map(Number)
    .sort((a, b) => a - b)
    .map((fd) => ({ fd, to: readlinkSync(`/proc/${pid}/fd/${fd}`) }));
  const own = /^(?:anon_inode:|pipe:|\/dev\/null$|\/$)/;
  expect(links.filter(({ fd, to }) => fd !== 2 && fd !== 3 && !own.test(to))).toEqual([]);
  // Pipes are Node's own: both ends are in here.
  const pipes = links.filter(({ to, fd }) => to.startsWith('pipe:') && fd !== 2).map(({ to }) => to);
  for (const pipe of pipes) expect(pipes.filter((other) => other === pipe).length, pipe).toBe(2);
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const active = activeIn(hardening);
  if (active.has('no-new-privileges')) expect(status).toMatch(/NoNewPrivs:\s+1/);
  if (active.has('seccomp')) expect(status).toMatch(/Seccomp:\s+2/);
  if (active.has('no-capabilities')) expect(status).toMatch(/CapEff:\s+0+\n/);
  if (active.has('resource-limits')) expect(readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/Max file size\s+0\s+0/);
});

describe('the sandbox', () => {
  test('its cells run under all of it, and are watched behind their guardian', async () => {
    const sandbox = sandboxOf();
    await sandbox.start();
    try {
      const isolate = await sandbox.open(openOf({ source: 'return input + 1' }));
      expect(await ask(isolate, 1)).toBe(2);
      expect(readFileSync(`/proc/${isolate.cellPid}/comm`, 'utf8')).toBe('cell 1\n');
      expect(realpathSync(`/proc/${isolate.cellPid}/exe`)).toBe(realpathSync(process.execPath));
      expect(new Set(sandbox.layers.map(({ layer }) => layer)).size).toBe(14);
    } finally {
      await sandbox.stop(1_000);
    }
  });

  test('what the configuration requires and the machine has not keeps it from starting', async () => {
    const sandbox = sandboxOf({ isolation: 'off', requireLayers: ['seccomp', 'cgroup', 'permission-model'] });
    const fault = await faultFrom(sandbox.start());
    expect(fault.code).toBe('configuration-invalid');
    expect(fault.detail).toContain('seccomp (sandbox.isolation is "off")');
    expect(fault.detail).toContain('cgroup');
    expect(fault.detail).not.toContain('permission-model');
    await sandbox.stop(0);
  });
});

describe('the parts', () => {
  test('libraries are found under the names the loader asks for', () => {
    const names = librariesOf().map(([, at]) => at);
    expect(names.some((name) => /\/libc\.(?:so\.6|musl)/.test(name) || name.includes('ld-musl'))).toBe(true);
    expect(librariesOf('')).toEqual([]);
    expect(librariesOf('7f 00 r-xp 0 0:0 1 /opt/x/addon.node\n7f 00 rw-p 0 0:0 0 [heap]')).toEqual([]);
  });

  test('the filter is a program the kernel can read, for each machine', () => {
    for (const arch of ['x64', 'arm64']) {
      const bytes = seccompFilter(arch)!;
      const count = bytes.length / 8;
      expect(Number.isInteger(count) && count < 4096).toBe(true);
      for (let at = 0; at < count; at += 1) {
        const [code, yes, no] = [bytes.readUInt16LE(8 * at), bytes[8 * at + 2]!, bytes[8 * at + 3]!];
        if (code !== 0x06 && code !== 0x20) expect(at + 1 + Math.max(yes, no)).toBeLessThan(count);
      }
      expect(bytes.readUInt16LE(bytes.length - 8)).toBe(0x06);
    }
    expect(seccompFilter('riscv64')).toBeUndefined();
  });
});

test.runIf(root)('cells of a daemon that is root differ in their users', async () => {
  const hardening = hardeningOf('auto', true);
  if (!activeIn(hardening).has('own-user')) return;
  const [a, b] = [await attack(hardening), await attack(hardening)];
  expect(a.uid).not.toBe(b.uid);
});
