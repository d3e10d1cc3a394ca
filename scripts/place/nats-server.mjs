/**
 * Finds a nats-server that CIM can run on, and fetches one on a Debian that has none.
 * In order: what CIM_NATS_SERVER names, PATH and the system's own folders, an earlier fetch, Debian's archive.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { capture } from './child.mjs';
import { fetchDebianPackage, SUITES } from './debian.mjs';
import { SetupError } from './progress.mjs';
import { CACHE } from './root.mjs';

/** The oldest version with the features CIM stands on, as [major, minor]. */
const FLOOR = [2, 10];
const FOLDER = join(CACHE, 'nats-server');
const FETCHED = join(FOLDER, 'usr/sbin/nats-server');
/** Where systems put servers; a plain user's PATH often leaves them out. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin'];

/** @typedef {{ path: string, version: string }} NatsServer */

/**
 * Looks without changing anything.
 * @returns {Promise<{ found?: NatsServer, unfit: string[] }>} `unfit`: those that were seen and are too old, one line each
 * @throws SetupError when CIM_NATS_SERVER names something that cannot serve: a choice made by hand is never passed over
 */
export async function findNatsServer() {
  const chosen = process.env.CIM_NATS_SERVER;
  if (chosen !== undefined && chosen !== '') {
    const seen = await look(chosen);
    if (seen.version !== undefined && seen.fit) return { found: { path: chosen, version: seen.version }, unfit: [] };
    throw new SetupError(`CIM_NATS_SERVER: expected nats-server ${FLOOR.join('.')} or newer, found ${seen.words} (${chosen})`);
  }
  const unfit = [];
  for (const path of candidates()) {
    if (!existsSync(path)) continue;
    const { fit, version, words } = await look(path);
    if (fit && version !== undefined) return { found: { path, version }, unfit };
    unfit.push(`${path}: ${words}`);
  }
  return { unfit };
}

/**
 * Brings one from Debian's archive.
 * @param {readonly string[]} unfit what `findNatsServer` saw, for the error
 * @param {(pid: number) => void} onStart told of each program that runs
 * @returns {Promise<NatsServer>}
 */
export async function fetchNatsServer(unfit, onStart) {
  const advice = [
    `CIM needs nats-server ${FLOOR.join('.')} or newer. Install it (NixOS: the package nats-server; Debian 13 and newer: apt install nats-server;`,
    'macOS: brew install nats-server; elsewhere: the binary from its project), or name one in the environment variable CIM_NATS_SERVER.',
  ].join('\n');
  try {
    await fetchDebianPackage('nats-server', {
      into: FOLDER,
      suites: SUITES,
      onStart,
      accept: async (folder) => {
        const { fit, words } = await look(join(folder, 'usr/sbin/nats-server'));
        return fit ? undefined : `found ${words}`;
      },
    });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    throw new SetupError(['nats-server was not found.', ...unfit, error.message].join('\n'), advice);
  }
  const { version = 'unknown' } = await look(FETCHED);
  return { path: FETCHED, version };
}

function* candidates() {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''), ...SYSTEM_FOLDERS];
  for (const folder of new Set(folders)) yield join(folder, 'nats-server');
  yield FETCHED;
}

/** @param {string} path */
async function look(path) {
  const { code, output } = await capture(path, ['--version'], { timeoutMs: 10_000 });
  const found = /v?(\d+)\.(\d+)\.(\d+)/.exec(output);
  if (code !== 0 || found === null) return { fit: false, words: code === 127 ? 'nothing' : 'a program that does not run here' };
  const [major, minor] = [Number(found[1]), Number(found[2])];
  const fit = major > FLOOR[0] || (major === FLOOR[0] && minor >= FLOOR[1]);
  const version = found[0].replace(/^v/, '');
  return { fit, version, words: `version ${version}` };
}
