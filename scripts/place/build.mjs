/**
 * Builds what runs: TypeScript's own incremental build, and what cells and isolates run bundled into plain scripts.
 *
 * Promises:
 * B1. When no source changed since the last good build, nothing runs: names, sizes and times are compared with a stamp, and
 *     each source has its output.
 * B2. The stamp is taken away before a build and written after a good one, so a build cut short is built again.
 * B3. Output whose source is gone goes too; nothing can import what no longer exists.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { cellIsThere } from './cell.mjs';
import { must } from './child.mjs';
import { CACHE, ROOT } from './root.mjs';

const STAMP = join(CACHE, 'build-stamp');
const PACKAGES = join(ROOT, 'packages');
const BUILD_MS = 10 * 60_000;

/** @returns {boolean} true when a build would change nothing */
export function buildIsFresh() {
  if (!existsSync(STAMP) || readFileSync(STAMP, 'utf8') !== fingerprint()) return false;
  if (!cellIsThere()) return false;
  return packageFolders().every((folder) => sourcesOf(folder).every((source) => existsSync(outputOf(folder, source))));
}

/**
 * Builds all packages.
 * @param {string} node the binary that runs the compiler
 * @param {(pid: number) => void} onStart told of each program that runs
 */
export async function build(node, onStart) {
  rmSync(STAMP, { force: true });
  const before = fingerprint();
  for (const folder of packageFolders()) prune(folder);
  await must('the build (tsc -b)', node, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-b'], {
    cwd: ROOT,
    timeoutMs: BUILD_MS,
    onStart,
  });
  await bundleCell(node, onStart);
  mkdirSync(CACHE, { recursive: true });
  // A source that changed meanwhile makes this stamp wrong, and the next set-up builds again.
  writeFileSync(STAMP, before);
}

/** What cells and isolates run, bundled by the Node that has esbuild for this machine. */
async function bundleCell(node, onStart) {
  await must('the bundling of the cell', node, [join(ROOT, 'scripts/place/cell.mjs')], {
    cwd: ROOT,
    timeoutMs: BUILD_MS,
    onStart,
  });
}

/** Removes compiled files without a source, and the build record with them when there were any. @param {string} folder a package */
function prune(folder) {
  const dist = join(folder, 'dist');
  const sources = new Set(sourcesOf(folder).map((source) => relative(join(folder, 'src'), source).replace(/\.ts$/, '')));
  for (const file of walk(dist)) {
    const name = /^(.*)\.d\.ts$/.exec(relative(dist, file))?.[1];
    if (name === undefined || sources.has(name)) continue;
    for (const end of ['.d.ts', '.d.ts.map', '.js', '.js.map']) rmSync(join(dist, name + end), { force: true });
  }
  // Output removed by hand would not come back while the compiler's record says it is there.
  if (sourcesOf(folder).some((source) => !existsSync(outputOf(folder, source))))
    rmSync(join(dist, '.tsbuildinfo'), { force: true });
}

/** A hash over names, sizes and times of everything the build reads. */
function fingerprint() {
  const hash = createHash('sha256');
  const configs = ['tsconfig.json', 'tsconfig.base.json', 'package-lock.json'].map((name) => join(ROOT, name));
  for (const folder of packageFolders()) {
    configs.push(join(folder, 'tsconfig.json'), join(folder, 'package.json'));
    for (const file of walk(join(folder, 'src'))) configs.push(file);
  }
  for (const file of configs) {
    const stat = statSync(file, { throwIfNoEntry: false });
    hash.update(`${relative(ROOT, file)} ${stat?.size} ${stat?.mtimeMs}\n`);
  }
  return hash.digest('hex');
}

function packageFolders() {
  return readdirSync(PACKAGES)
    .sort()
    .map((name) => join(PACKAGES, name))
    .filter((folder) => existsSync(join(folder, 'tsconfig.json')));
}

/** @param {string} folder a package */
function sourcesOf(folder) {
  return walk(join(folder, 'src')).filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'));
}

function outputOf(folder, source) {
  return join(folder, 'dist', relative(join(folder, 'src'), source).replace(/\.ts$/, '.js'));
}

/** All files below a folder, in order; none when it is not there. @param {string} folder @returns {string[]} */
function walk(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => (entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)]));
}
