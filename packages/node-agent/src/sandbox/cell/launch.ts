/**
 * Starts a cell: Node with its permission model as a seat belt, an empty environment, no descriptor but its socket.
 *
 * Promises:
 * L1. The cell may read its own code and isolated-vm's, and nothing else; it may write nothing and start nothing.
 * L2. It dies with the daemon: when the socket closes, and, where util-linux is installed, by the kernel's parent-death signal, which
 *     also reaches a cell whose thread is held.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** cell-main as compiled: beside this file in dist; when this runs from source, where the build puts it. */
function defaultEntry(): string {
  const beside = fileURLToPath(new URL('./cell-main.js', import.meta.url));
  return existsSync(beside) ? beside : beside.replace(/([\\/])src([\\/]sandbox[\\/])/, '$1dist$2');
}

const SETPRIV = ['/usr/bin/setpriv', '/run/current-system/sw/bin/setpriv', '/bin/setpriv'];

export interface Launcher {
  /** True when the kernel ends cells with the daemon, whatever they do. */
  readonly parentDeath: boolean;
  launch(): ChildProcess;
}

export function createLauncher(entry = defaultEntry()): Launcher {
  if (!existsSync(entry)) throw new Error(`no compiled cell at ${entry}: run the build first`);
  const readable = [...folders(entry)].map((folder) => `--allow-fs-read=${folder}`);
  const node = [
    '--no-node-snapshot',
    '--no-warnings',
    // One helper thread for garbage collection and compiling: cells are many, cores are few.
    '--v8-pool-size=1',
    '--permission',
    '--allow-addons',
    ...readable,
    entry,
  ];
  const setpriv = SETPRIV.find(
    (path) => existsSync(path) && spawnSync(path, [...DEATH, '--', '/bin/sh', '-c', ':']).status === 0,
  );
  const [file, args] = setpriv ? [setpriv, [...DEATH, '--', process.execPath, ...node]] : [process.execPath, node];
  return {
    parentDeath: setpriv !== undefined,
    launch: () => spawn(file, args, { cwd: '/', env: {}, stdio: ['ignore', 'ignore', 'pipe', 'pipe'] }),
  };
}

const DEATH = ['--pdeathsig', 'KILL', '--no-new-privs'];

/** What a cell reads, each by its name and by where links lead. */
function folders(entry: string): Set<string> {
  const require = createRequire(import.meta.url);
  const isolatedVm = require.resolve('isolated-vm');
  const within = createRequire(isolatedVm);
  const trace = require.resolve('@jridgewell/trace-mapping');
  const near = createRequire(trace);
  const packages = [
    isolatedVm,
    within.resolve('node-gyp-build'),
    trace,
    near.resolve('@jridgewell/resolve-uri'),
    near.resolve('@jridgewell/sourcemap-codec'),
  ].map(packageFolder);
  const own = dirname(dirname(entry));
  // node-gyp-build asks whether this is Alpine, by looking for the file.
  const found = new Set(['/etc/alpine-release']);
  for (const folder of [own, ...packages]) {
    found.add(join(folder, '*'));
    found.add(join(realpathSync(folder), '*'));
  }
  return found;
}

/** The folder with package.json above a file of a package. */
function packageFolder(file: string): string {
  let folder = dirname(file);
  while (!existsSync(join(folder, 'package.json')) || /[\\/]dist$/.test(folder)) folder = dirname(folder);
  return folder;
}

/** Resident bytes of the process that launches, as Node counts them. */
export const ownRssBytes = (): number => process.memoryUsage.rss();
