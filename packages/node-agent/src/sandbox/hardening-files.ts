/**
 * The files a cell needs to see: Node, the libraries it is linked with, CIM's own cell code. Read from the running daemon, which is the
 * same program, so that no list of library paths has to be kept for each distribution.
 */
import { lstatSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Where a program names its loader, whatever the loader's real place. */
const LOADERS = [
  '/lib64/ld-linux-x86-64.so.2',
  '/lib/ld-linux-x86-64.so.2',
  '/lib/ld-linux-aarch64.so.1',
  '/lib64/ld-linux-aarch64.so.1',
];
/** Other names of the folders libraries are looked for in; links on most systems today. */
const TWINS: readonly (readonly [string, string])[] = [
  ['/usr/lib/', '/lib/'],
  ['/usr/lib64/', '/lib64/'],
];

/**
 * Shared libraries of this process, each under every name the loader may ask for.
 * @param maps content of /proc/self/maps
 * @returns pairs of the real file and the path it is wanted at; empty where it cannot be told
 */
export function librariesOf(maps = readMaps()): readonly (readonly [file: string, at: string])[] {
  const found = new Map<string, string>();
  const files = new Set(
    maps
      .split('\n')
      .map((line) => line.split(/\s+/).slice(5).join(' '))
      .filter((path) => path.startsWith('/') && /\.so(?:\.|$)/.test(path) && !path.endsWith('.node')),
  );
  for (const file of files) {
    for (const name of namesOf(file)) {
      found.set(name, file);
      for (const [long, short] of TWINS) if (name.startsWith(long)) found.set(short + name.slice(long.length), file);
    }
  }
  for (const loader of LOADERS) {
    const real = realOf(loader);
    if (real !== undefined && files.has(real)) found.set(loader, real);
  }
  return [...found].map(([at, file]) => [file, at] as const);
}

/** The file's own path and those of the links beside it that lead to it (libstdc++.so.6 to libstdc++.so.6.0.30). */
function namesOf(file: string): string[] {
  const folder = dirname(file);
  const stem = basename(file).split('.so')[0]!;
  const names = [file];
  try {
    for (const entry of readdirSync(folder)) {
      if (!entry.startsWith(`${stem}.so`)) continue;
      const path = join(folder, entry);
      if (path !== file && lstatSync(path).isSymbolicLink() && realOf(path) === file) names.push(path);
    }
  } catch {
    // A folder that may not be listed: the file's own name must do.
  }
  return names;
}

function realOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

function readMaps(): string {
  try {
    return readFileSync('/proc/self/maps', 'utf8');
  } catch {
    return '';
  }
}
