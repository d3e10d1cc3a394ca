/**
 * A cell that was broken out of, on the machine: what it reaches and what it does not, layer by layer. The table says for every attempt which
 * layers stop it; where one of them is active it must be refused, and where none is, that it succeeds is pinned down as well, so that the
 * day a layer begins or ceases to stop something is noticed. test/hostile/README.md says it in words.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SandboxLayer } from '@cim/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Program, programOf } from './broken/launch.ts';
import { type Attempt, addonFile, surroundings } from './broken/reach.ts';

let program: Program;
let folder: string;
let victim: ChildProcess;
const servers: Server[] = [];
let port = 0;
let socketPath = '';
const abstractPath = `\0cim-broken-${process.pid}`;

const listening = (at: number | string) =>
  new Promise<Server>((done) => {
    const server = createServer((socket) => socket.destroy());
    servers.push(server);
    server.listen(at as number, ...(typeof at === 'number' ? ['127.0.0.1'] : []), () => done(server));
  });

beforeAll(async () => {
  program = await programOf('reach-cell');
  folder = mkdtempSync(join(tmpdir(), 'cim-reach-'));
  chmodSync(folder, 0o777);
  writeFileSync(join(folder, 'secret'), 'the password', { mode: 0o600 });
  writeFileSync(join(folder, 'public'), 'for everybody', { mode: 0o644 });
  copyFileSync(addonFile(), join(folder, 'addon.node'));
  victim = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore', env: { SECRET: 'x' } });
  const server = await listening(0);
  port = (server.address() as { port: number }).port;
  socketPath = join(folder, 'socket');
  await listening(socketPath);
  chmodSync(socketPath, 0o777);
  await listening(abstractPath);
});
afterAll(() => {
  for (const server of servers) server.close();
  victim?.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
  program?.[Symbol.dispose]();
});

/**
 * The kernel's own checks of one process against another depend on who runs the daemon and on settings of the machine (Yama): where no layer
 * of ours stops such an attempt, either outcome is left open.
 */
const OPEN = true;
type Row = readonly [what: string, attempt: Attempt, stoppedBy: readonly SandboxLayer[], open?: boolean];
const OTHERS: readonly SandboxLayer[] = ['permission-model', 'own-files', 'own-user', 'namespaces'];

/** Every attempt with the layers any of which stops it. */
const attempts = (): readonly Row[] => [
  ['read a secret of the node', ['read file', join(folder, 'secret')], ['permission-model', 'own-files', 'own-user']],
  ['read a file everybody may read', ['read file', join(folder, 'public')], ['permission-model', 'own-files']],
  ['read /etc/passwd', ['read file', '/etc/passwd'], ['permission-model', 'own-files']],
  ['list the root', ['list folder', '/'], ['permission-model']],
  ['write a file', ['write file', join(folder, 'written')], ['permission-model', 'own-files', 'seccomp', 'resource-limits']],
  [
    'write into its own code',
    ['write file', join(program.entry, '../planted.mjs')],
    ['permission-model', 'own-files', 'seccomp', 'own-user', 'resource-limits'],
  ],
  ['make a link', ['make link', '/etc/passwd', join(folder, 'link')], ['permission-model', 'own-files', 'seccomp']],
  ['read the environment of the daemon', ['read file', `/proc/${process.pid}/environ`], OTHERS, OPEN],
  ['read the environment of another process', ['read file', `/proc/${victim.pid}/environ`], OTHERS, OPEN],
  ['open the memory of the daemon', ['open memory', process.pid], OTHERS, OPEN],
  ['open the memory of another process', ['open memory', victim.pid!], OTHERS, OPEN],
  ['see the descriptors of the daemon', ['list folder', `/proc/${process.pid}/fd`], OTHERS, OPEN],
  ['ask whether the daemon lives', ['signal', process.pid], ['namespaces', 'own-user', 'seccomp']],
  ['ask whether another process lives', ['signal', victim.pid!], ['namespaces', 'own-user', 'seccomp']],
  ['start a program', ['start program', '/bin/true'], ['permission-model', 'own-files', 'seccomp']],
  ['start itself anew', ['start program', process.execPath], ['permission-model', 'seccomp']],
  ['connect to a port of the machine', ['connect', port, '127.0.0.1'], ['no-network', 'seccomp']],
  ['connect to a socket in the file system', ['connect to path', socketPath], ['own-files', 'seccomp']],
  ['connect to an abstract socket', ['connect to path', abstractPath], ['no-network', 'seccomp']],
  ['listen', ['listen'], ['seccomp']],
  ['send a datagram', ['send datagram', port], ['no-network', 'seccomp']],
  ['open a debugger', ['debugger'], ['permission-model', 'seccomp']],
  ['take a higher priority', ['raise priority'], ['no-capabilities', 'own-user', 'seccomp'], OPEN],
  ['become root', ['become root'], ['own-user', 'seccomp'], OPEN],
  ['load foreign code', ['load addon', join(folder, 'addon.node')], ['own-files']],
  ['start a worker', ['start worker'], ['permission-model']],
  // Last: it ends the cell where it is stopped.
  ['start a bomb of threads', ['start threads', 500], ['own-user']],
];

describe.each([
  ['every layer this machine has', 'auto', false],
  ['every layer this machine has, and code that has gone below Node', 'auto', true],
  ['no more than Node and its permission model', 'off', false],
  ['no more than Node, and code that has gone below it', 'off', true],
] as const)('%s', (_, isolation, native) => {
  test('what it was born with', async () => {
    using cell = surroundings(program.entry, isolation, native).start();
    const [environment, folder, descriptors] = await cell.attempt([['environment'], ['folder'], ['descriptors']]);
    // bubblewrap names the folder it starts in; nothing of the daemon's own environment is there.
    expect((environment!.got as string[]).filter((name) => name !== 'PWD')).toEqual([]);
    expect(folder!.got).toBe('/');
    // Its socket, and one for its last words; no other socket and no file. What Node makes for itself is of other kinds, but for the root
    // of the file system the cell was given, which Node holds open there.
    const open = descriptors!.got as string[];
    expect(open.filter((one) => one.endsWith('socket'))).toEqual(['2:socket', '3:socket']);
    expect(open.filter((one) => one.endsWith('file'))).toEqual([]);
  });

  test('what it reaches', async () => {
    const { layers, start } = surroundings(program.entry, isolation, native);
    const active = new Set(layers.filter((layer) => layer.active).map(({ layer }) => layer));
    using cell = start();
    const wrong: string[] = [];
    const reached: string[] = [];
    for (const [what, attempt, stoppedBy, open = false] of attempts()) {
      const [outcome] = await cell.attempt([attempt]).catch((error: Error) => [{ refused: error.message }]);
      const stopping = stoppedBy.filter((layer) => active.has(layer));
      const got = outcome!.refused === undefined;
      if (got) reached.push(what);
      if (got && stopping.length > 0)
        wrong.push(`${what}: done, though ${stopping.join(', ')} should stop it (${JSON.stringify(outcome)})`);
      if (!got && stopping.length === 0 && !open)
        wrong.push(`${what}: refused (${outcome!.refused}) by nothing that is known to`);
    }
    process.stdout.write(
      `${isolation}${native ? ', native' : ''}: active ${[...active].join(' ')}\n  reached: ${reached.join('; ') || 'nothing'}\n`,
    );
    expect(wrong).toEqual([]);
    expect(existsSync(join(folder, 'written')) && active.has('own-files')).toBe(false);
  });
});
