/**
 * The packages of the lock file, installed. The stamp lies inside node_modules, so it goes when they go.
 *
 * Promises:
 * P1. What is fresh is not touched: the stamp holds the hash of the lock file that was installed.
 * P2. Packages that a person installed with npm are kept when they are what the lock file says, by npm's own record.
 *     The lock file itself is never written.
 * P3. Version and integrity of every installed package are those of the lock file, or the set-up fails.
 * P4. No install script of any package runs.
 */
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { must } from './child.mjs';
import { SetupError } from './progress.mjs';
import { ROOT } from './root.mjs';

const STAMP = join(ROOT, 'node_modules', '.cim-stamp');
const INSTALL_MS = 15 * 60_000;
export const FLAGS = [
  '--no-save',
  '--ignore-scripts',
  '--include=dev',
  '--include=optional',
  '--prefer-offline',
  '--no-audit',
  '--no-fund',
  '--loglevel=error',
];

/** @returns {boolean} true when node_modules is what the lock file says */
export function packagesAreFresh() {
  return readOr(STAMP) === lockHash();
}

/**
 * Makes node_modules what the lock file says.
 *
 * `npm install` without saving, then a check against the lock file that is as strict as `npm ci` is; not `npm ci` itself, which
 * refuses a lock file that lacks the optional packages of systems the registry does not carry.
 * @param {(pid: number) => void} onStart told of npm's process
 */
export async function installPackages(onStart) {
  rmSync(STAMP, { force: true });
  if (differenceFromLock() !== undefined) {
    const [command, ...args] = npm();
    await must('npm install', command, [...args, 'install', ...FLAGS], {
      cwd: ROOT,
      timeoutMs: INSTALL_MS,
      onStart,
      advice: 'Is the package registry within reach? `npm ping` tells; then try again.',
    });
    const difference = differenceFromLock();
    if (difference !== undefined) {
      throw new SetupError(
        `npm installed something else than package-lock.json says: ${difference}`,
        'Remove node_modules and try again; if that does not help, package.json and package-lock.json disagree.',
      );
    }
  }
  writeFileSync(STAMP, lockHash());
}

/** The npm that started us, else the one on PATH. @returns {[string, ...string[]]} */
export function npm() {
  const path = process.env.npm_execpath;
  return path !== undefined && basename(path).startsWith('npm-cli') ? [process.execPath, path] : ['npm'];
}

function lockHash() {
  return createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
}

/**
 * Compares npm's record of what it installed with the lock file. Packages for other systems are absent by right; our own
 * Node is not, where one exists for this system.
 * @returns {string | undefined} the first difference; undefined when there is none
 */
function differenceFromLock() {
  const record = parse(readOr(join(ROOT, 'node_modules', '.package-lock.json')))?.packages;
  const wanted = parse(readOr(join(ROOT, 'package-lock.json')))?.packages;
  if (record === undefined || wanted === undefined) return 'nothing is installed';
  const ours = `node_modules/node-${process.platform}-${process.arch}`;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const found = record[path];
    if (found === undefined && !(entry.optional && path !== ours)) return `${path} is not there`;
    if (found === undefined) continue;
    if (found.version !== entry.version || found.integrity !== entry.integrity || found.link !== entry.link) {
      return `${path} is ${found.version} (${found.integrity}), expected ${entry.version} (${entry.integrity})`;
    }
  }
  // An optional package for this system may be missing from a lock file that was made on another one.
  const extra = Object.keys(record).find((path) => wanted[path] === undefined && !record[path].optional);
  return extra === undefined ? undefined : `${extra} is there and not in the lock file`;
}

/** @param {string} path @returns {string | undefined} */
function readOr(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** @param {string | undefined} text */
function parse(text) {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
