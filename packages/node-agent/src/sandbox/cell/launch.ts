/**
 * Starts a cell: Node with its permission model, an empty environment, no descriptor but its socket, and around it every layer the
 * machine has to give (hardening.ts). The process is begun by the launcher (launcher-main.ts), so that the daemon does not stand still.
 *
 * Promises:
 * L1. The cell may read its own code and isolated-vm's addon, and nothing else; it may write nothing and start nothing.
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

/** A file the build makes: the same whether this runs as compiled or from source. @param path within dist */
const built = (path: string): string => fileURLToPath(new URL(`../../../dist/${path}`, import.meta.url));

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
  /** The program of a cell, in a folder of its own; default: the one this package was built with. */
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
  // Two megabytes of the engine's own code, copied into each process so that calls of it are near: no call of ours got quicker by it.
  '--no-short-builtin-calls',
  '--permission',
  '--allow-addons',
];

export function createLauncher({
  clock,
  entry = built('cell/cell.cjs'),
  isolation,
  bwrap,
  path = '',
}: LauncherOptions): Launcher {
  if (!existsSync(entry)) throw new Error(`no compiled cell at ${entry}: run the build first`);
  const addon = addonFile();
  // Each by its name and by where links lead.
  const folders = [...new Set([dirname(entry), realpathSync(dirname(entry))])];
  const flags = [...FLAGS, ...folders.map((folder) => `--allow-fs-read=${join(folder, '*')}`), `--allow-fs-read=${addon}`];
  const node = realpathSync(process.execPath);
  const hardening = findHardening(
    {
      isolation,
      bwrap,
      path,
      node,
      flags,
      readable: [...folders, addon],
      probe: [
        `require('fs').readFileSync(${JSON.stringify(entry)})`,
        'const addon = { exports: {} }',
        `process.dlopen(addon, ${JSON.stringify(addon)})`,
        'const isolate = new addon.exports.ivm.Isolate({ memoryLimit: 8 })',
        "isolate.createContextSync().evalSync('1')",
        'isolate.dispose()',
        `console.log('${PROBED}')`,
      ].join(';'),
    },
    clock,
  );
  const link = createLauncherLink(node, built('sandbox/cell/launcher-main.js'), endOrphan);
  const { guarded } = hardening;
  return {
    layers: hardening.layers,
    launch(jitless, group) {
      const recipe = hardening.recipe([...(jitless ? ['--jitless'] : []), entry, addon]);
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

/** The addon of isolated-vm for this machine, as the package itself would find it. */
function addonFile(): string {
  const isolatedVm = createRequire(import.meta.url).resolve('isolated-vm');
  const { path } = createRequire(isolatedVm)('node-gyp-build') as { readonly path: (folder: string) => string };
  return realpathSync(path(dirname(isolatedVm)));
}

/** Resident bytes of the process that launches, as Node counts them. */
export const ownRssBytes = (): number => process.memoryUsage.rss();
