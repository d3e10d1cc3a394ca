/**
 * The programs nix-check needs: nix, which it fetches from Debian when there is none, and what may be missing without harm.
 *
 * Promises:
 * T1. Nothing is installed: what is fetched lies under `.cim/`, and nix gets a store of its own there, so /nix need not exist.
 * T2. What cannot be had is named with the reason; nothing is passed over in silence.
 */
import { existsSync, mkdirSync, readdirSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { capture } from './place/child.mjs';
import { fetchDebianPackage } from './place/debian.mjs';
import { SetupError } from './place/progress.mjs';
import { CACHE } from './place/root.mjs';

const FETCHED = join(CACHE, 'nix-bin');
const SHORT_MS = 30_000;
/** A library may need another one: so many rounds of looking, then it is an error. */
const ROUNDS = 4;

/** @typedef {{ bin: string, env: NodeJS.ProcessEnv, version: string }} Nix `bin`: the folder of nix-instantiate */

/**
 * Finds nix, or fetches Debian's nix-bin with the libraries this system lacks.
 * @returns {Promise<Nix>}
 * @throws SetupError when there is none and none can be had
 */
export async function findNix() {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder !== '' && existsSync(join(folder, 'nix-instantiate'))) return check({ bin: folder, env: ownStore(process.env) });
  }
  if (!existsSync(join(FETCHED, 'usr/bin/nix-instantiate'))) await fetchDebianPackage('nix-bin', { into: FETCHED });
  const bin = join(FETCHED, 'usr/bin');
  for (let round = 0; round < ROUNDS; round++) {
    const env = { ...ownStore(process.env), LD_LIBRARY_PATH: libraryFolders().join(':') };
    const { output } = await capture('ldd', [join(bin, 'nix')], { env, timeoutMs: SHORT_MS });
    const missing = [...new Set([...output.matchAll(/^\s*(\S+) => not found/gm)].map((match) => match[1]))];
    if (missing.length === 0) return check({ bin, env });
    for (const library of missing) await fetchLibrary(library);
  }
  throw new SetupError('nix-bin: libraries are still missing after they were fetched');
}

/** Debian names a library's package after its file: libgc.so.1 is in libgc1, libboost_context.so.1.74.0 in libboost-context1.74.0. */
async function fetchLibrary(file) {
  const [, stem, version] = /^(.+)\.so\.(.+)$/.exec(file) ?? [];
  if (stem === undefined) throw new SetupError(`nix-bin needs ${file}, and it is not known which package has it`);
  const base = stem.toLowerCase().replaceAll('_', '-');
  const name = `${base}${/\d$/.test(base) ? '-' : ''}${version}`;
  const into = join(CACHE, 'nix-libraries', name);
  const failures = [];
  // Newer Debian releases say t64 where the size of time_t has changed.
  for (const candidate of [name, `${name}t64`]) {
    try {
      return await fetchDebianPackage(candidate, { into });
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new SetupError(`nix-bin needs ${file}:\n${failures.join('\n')}`);
}

/** Every folder with a shared library below what was fetched. */
function libraryFolders() {
  const folders = new Set();
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) walk(join(folder, entry.name));
      else if (/\.so(?:\.|$)/.test(entry.name)) folders.add(folder);
    }
  };
  for (const top of [FETCHED, join(CACHE, 'nix-libraries')]) if (existsSync(top)) walk(top);
  return [...folders].sort();
}

function ownStore(environment) {
  mkdirSync(CACHE, { recursive: true });
  // nix takes no store below a symbolic link.
  const top = join(realpathSync(CACHE), 'nix');
  for (const name of ['store', 'state', 'log', 'conf', 'home']) mkdirSync(join(top, name), { recursive: true });
  return {
    ...environment,
    NIX_STORE_DIR: join(top, 'store'),
    NIX_STATE_DIR: join(top, 'state'),
    NIX_LOG_DIR: join(top, 'log'),
    NIX_CONF_DIR: join(top, 'conf'),
    NIX_CONFIG: 'build-users-group =\nsubstitute = false',
    NIX_PATH: '',
    NIX_REMOTE: '',
    HOME: join(top, 'home'),
  };
}

async function check({ bin, env }) {
  const { code, output } = await capture(join(bin, 'nix-instantiate'), ['--version'], { env, timeoutMs: SHORT_MS });
  if (code !== 0) throw new SetupError(`nix-instantiate does not run: ${output.trim()}`);
  return { bin, env, version: output.trim().replace(/^.*\) /, '') };
}

/**
 * Where a program stands, or undefined.
 * @param {string} name
 */
export function findProgram(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin'];
  const folder = folders.find((each) => each !== '' && existsSync(join(each, name)));
  return folder === undefined ? undefined : join(folder, name);
}

/** The folder of a program, to be put on a PATH. @param {string} path */
export const folderOf = (path) => dirname(path);
