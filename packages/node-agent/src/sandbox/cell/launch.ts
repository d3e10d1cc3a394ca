/**
 * Starts a cell: Node with its permission model, an empty environment, no descriptor but its socket, and around it every layer the
 * machine has to give (hardening.ts). The process is begun by the launcher (launcher-main.ts), so that the daemon does not stand still.
 *
 * Promises:
 * L1. The cell may read its own code and isolated-vm's, and nothing else; it may write nothing and start nothing.
 * L2. It dies with the daemon: when the socket closes, and, where the layer `parent-death` is active, by the kernel, which also reaches
 *     a cell whose thread is held, once the launcher has ended with the daemon.
 */
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock, LayerState } from '@cim/contracts';
import { findHardening, PROBED } from '../hardening.ts';
import { behindGuardian } from './begin.ts';
import { type Begun, createLauncherLink } from './launcher-link.ts';

/** A file as compiled: beside this one in dist; when this runs from source, where the build puts it. */
function compiled(name: string): string {
  const beside = fileURLToPath(new URL(name, import.meta.url));
  return existsSync(beside) ? beside : beside.replace(/([\\/])src([\\/]sandbox[\\/])/, '$1dist$2');
}

/** A cell's process. */
export interface CellProcess extends Omit<Begun, 'pid'> {
  /** The process the cell runs in. Before the cell has spoken it may be the guardian that is about to start it; 0 before that. */
  pid(): number;
}

export interface Launcher {
  readonly layers: readonly LayerState[];
  /** @param jitless without the just-in-time compiler, and so without WebAssembly. @param group `cgroup.procs` of its group */
  launch(jitless: boolean, group?: string): CellProcess;
  /** To be called when no cell is left. */
  stop(): void;
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

const FLAGS = [
  '--no-node-snapshot',
  '--no-warnings',
  // One helper thread for garbage collection and compiling: cells are many, cores are few.
  '--v8-pool-size=1',
  '--permission',
  '--allow-addons',
];

export function createLauncher({
  clock,
  entry = compiled('./cell-main.js'),
  isolation,
  bwrap,
  path = '',
}: LauncherOptions): Launcher {
  if (!existsSync(entry)) throw new Error(`no compiled cell at ${entry}: run the build first`);
  const { folders, files, addon } = readable(entry);
  const flags = [
    ...FLAGS,
    ...folders.map((folder) => `--allow-fs-read=${join(folder, '*')}`),
    ...files.map((file) => `--allow-fs-read=${file}`),
  ];
  const node = realpathSync(process.execPath);
  const hardening = findHardening(
    {
      isolation,
      bwrap,
      path,
      node,
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
  const link = createLauncherLink(node, compiled('./launcher-main.js'), endOrphan);
  const { guarded } = hardening;
  return {
    layers: hardening.layers,
    launch(jitless, group) {
      const recipe = hardening.recipe([...(jitless ? ['--jitless'] : []), entry]);
      const begun = link.start({ ...recipe, guarded, group });
      let inner = 0;
      return {
        ...begun,
        pid() {
          const own = begun.pid();
          if (guarded && own > 0 && (inner === 0 || inner === own)) inner = behindGuardian(own);
          return guarded ? inner : own;
        },
      };
    },
    stop: link.stop,
  };
}

/** A cell whose launcher is gone, where the kernel did not end it with that. */
function endOrphan(pid: number): void {
  try {
    process.kill(behindGuardian(pid), 'SIGKILL');
  } catch {
    // Gone with its launcher.
  }
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
