/**
 * Starts a cell: Node with its permission model, an empty environment, no descriptor but its socket, and around it every layer the
 * machine has to give (hardening.ts).
 *
 * Promises:
 * L1. The cell may read its own code and isolated-vm's, and nothing else; it may write nothing and start nothing.
 * L2. It dies with the daemon: when the socket closes, and, where the layer `parent-death` is active, by the kernel, which also reaches
 *     a cell whose thread is held.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock, LayerState } from '@cim/contracts';
import { behindGuardian, findHardening, PROBED } from '../hardening.ts';

/** cell-main as compiled: beside this file in dist; when this runs from source, where the build puts it. */
function defaultEntry(): string {
  const beside = fileURLToPath(new URL('./cell-main.js', import.meta.url));
  return existsSync(beside) ? beside : beside.replace(/([\\/])src([\\/]sandbox[\\/])/, '$1dist$2');
}

/** A cell's process. */
export interface CellProcess {
  readonly child: ChildProcess;
  /** The process the cell runs in. Before the cell has spoken it may be the guardian that is about to start it. */
  pid(): number;
  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
}

export interface Launcher {
  readonly layers: readonly LayerState[];
  /** @param jitless without the just-in-time compiler, and so without WebAssembly */
  launch(jitless: boolean): CellProcess;
}

export interface LauncherOptions {
  readonly clock: Clock;
  /** Compiled cell-main; default: the one this package was built with. */
  readonly entry?: string | undefined;
  readonly isolation: 'auto' | 'off';
  readonly bwrap?: string | undefined;
  /** Where programs are looked for. */
  readonly path?: string | undefined;
}

/** How long a guardian may take to notice that its cell has ended, ms. */
const GUARDIAN_MS = 1_000;
const FLAGS = [
  '--no-node-snapshot',
  '--no-warnings',
  // One helper thread for garbage collection and compiling: cells are many, cores are few.
  '--v8-pool-size=1',
  '--permission',
  '--allow-addons',
];

export function createLauncher({ clock, entry = defaultEntry(), isolation, bwrap, path = '' }: LauncherOptions): Launcher {
  if (!existsSync(entry)) throw new Error(`no compiled cell at ${entry}: run the build first`);
  const { folders, files, addon } = readable(entry);
  const flags = [
    ...FLAGS,
    ...folders.map((folder) => `--allow-fs-read=${join(folder, '*')}`),
    ...files.map((file) => `--allow-fs-read=${file}`),
  ];
  const hardening = findHardening(
    {
      isolation,
      bwrap,
      path,
      node: realpathSync(process.execPath),
      flags,
      readable: folders,
      probe: [
        `require('fs').readFileSync(${JSON.stringify(entry)})`,
        `const isolate = new (require(${JSON.stringify(addon)}).Isolate)({ memoryLimit: 8 })`,
        "isolate.createContextSync().evalSync('1')",
        'isolate.dispose()',
        `console.log('${PROBED}')`,
      ].join(';'),
    },
    clock,
  );
  return {
    layers: hardening.layers,
    launch(jitless) {
      const child = hardening.start([...(jitless ? ['--jitless'] : []), entry]);
      return processOf(child, hardening.guarded, clock);
    },
  };
}

function processOf(child: ChildProcess, guarded: boolean, clock: Clock): CellProcess {
  const own = child.pid ?? 0;
  let inner = own;
  const pid = () => {
    if (guarded && inner === own && own > 0) inner = behindGuardian(own);
    return inner;
  };
  return {
    child,
    pid,
    signal(signal) {
      if (pid() === own) {
        child.kill(signal);
        return;
      }
      // The guardian has not seen it end, or it would be gone itself: the number is still the cell's.
      if (child.exitCode !== null || child.signalCode !== null) return;
      try {
        process.kill(inner, signal);
      } catch {
        // Gone already.
      }
      if (signal !== 'SIGKILL') return;
      // It collects the cell and ends; one that does not is ended as well.
      const overdue = clock.after(GUARDIAN_MS, () => child.kill('SIGKILL'));
      child.once('exit', () => overdue.cancel());
    },
  };
}

/** What a cell reads, each folder by its name and by where links lead. */
function readable(entry: string): { readonly folders: string[]; readonly files: string[]; readonly addon: string } {
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
  const folders = new Set<string>();
  for (const folder of [dirname(dirname(entry)), ...packages]) {
    folders.add(folder);
    folders.add(realpathSync(folder));
  }
  // node-gyp-build asks whether this is Alpine, by looking for the file.
  return { folders: [...folders], files: ['/etc/alpine-release'], addon: isolatedVm };
}

/** The folder with package.json above a file of a package. */
function packageFolder(file: string): string {
  let folder = dirname(file);
  while (!existsSync(join(folder, 'package.json')) || /[\\/]dist$/.test(folder)) folder = dirname(folder);
  return folder;
}

/** Resident bytes of the process that launches, as Node counts them. */
export const ownRssBytes = (): number => process.memoryUsage.rss();
