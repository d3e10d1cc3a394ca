/**
 * Finds a nats-server for CIM, and fetches one from Debian's archive where there is none that keeps leaves to their limits.
 *
 * Promises:
 * V1. What CIM_NATS_SERVER names is taken, whatever else is there.
 * V2. One that keeps leaves to their limits (server-version.mjs) comes before one that does not: on PATH and in the system's folders,
 *     then an earlier fetch, then the newest suite of Debian that carries one.
 * V3. Where none such can be had, one that CIM runs on is taken, and it is said loudly what that means; it is tried again a day later.
 */
import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { capture } from './child.mjs';
import { fetchDebianPackage } from './debian.mjs';
import { SetupError } from './progress.mjs';
import { CACHE } from './root.mjs';
import { FLOOR, judgeVersion, KEPT_WORDS } from './server-version.mjs';

const FOLDER = join(CACHE, 'nats-server');
const PROGRAM = 'usr/sbin/nats-server';
const FETCHED = join(FOLDER, PROGRAM);
/** Debian's suites that carry one, the newest steady one first. The last carries 2.10: good enough to run, not to keep limits. */
const SUITES = ['forky', 'sid', 'trixie'];
/** Where systems put servers; a plain user's PATH often leaves them out. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin'];
/** Left when nothing better than an older one could be had: its age says when to try again. */
const TRIED = join(CACHE, 'nats-server.tried');
const TRY_AGAIN_MS = 24 * 3_600_000;

/** @typedef {{ path: string, version: string, keeps: boolean }} NatsServer `keeps`: as a hub it keeps leaves to their limits */

/**
 * Looks without changing anything.
 * @returns {Promise<{ found?: NatsServer, settled: boolean, unfit: string[] }>} `found`: the best there is; `settled`: nothing better is
 *   worth trying for now; `unfit`: those that were seen and passed over, one line each
 * @throws SetupError when CIM_NATS_SERVER names something that cannot serve: a choice made by hand is never passed over
 */
export async function findNatsServer() {
  const chosen = process.env.CIM_NATS_SERVER;
  if (chosen !== undefined && chosen !== '') {
    const { server, words } = await look(chosen);
    if (server !== undefined) return { found: server, settled: true, unfit: [] };
    throw new SetupError(`CIM_NATS_SERVER: expected nats-server ${FLOOR.join('.')} or newer, found ${words} (${chosen})`);
  }
  const unfit = [];
  let older;
  for (const path of candidates()) {
    if (!existsSync(path)) continue;
    const { server, words } = await look(path);
    if (server?.keeps) return { found: server, settled: true, unfit };
    older ??= server;
    unfit.push(`${path}: ${words}`);
  }
  return older === undefined ? { settled: false, unfit } : { found: older, settled: triedLately(), unfit };
}

/**
 * Brings one from Debian's archive.
 * @param {{ found?: NatsServer, unfit: readonly string[] }} seen what `findNatsServer` saw
 * @param {(pid: number) => void} onStart told of each program that runs
 * @param {(line: string) => void} tell hears what the person at the keyboard should know
 * @returns {Promise<NatsServer>}
 * @throws SetupError when there is none at all
 */
export async function fetchNatsServer({ found, unfit }, onStart, tell) {
  const passes = found === undefined ? [true, false] : [true];
  const failures = [];
  for (const keeps of passes) {
    try {
      const fetched = await fetchOne(keeps, onStart);
      rmSync(TRIED, { force: true });
      if (!fetched.keeps) settleFor(fetched, failures, tell);
      return fetched;
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      failures.push(error.message);
    }
  }
  if (found !== undefined) {
    settleFor(found, failures, tell);
    return found;
  }
  throw new SetupError(
    ['nats-server was not found.', ...unfit, failures.at(-1)].join('\n'),
    [
      `CIM needs nats-server ${FLOOR.join('.')} or newer (${KEPT_WORDS} or newer on a hub). Install it (NixOS: the package nats-server;`,
      'Debian 13 and newer: apt install nats-server; macOS: brew install nats-server; elsewhere: the binary from its project), or name one in',
      'the environment variable CIM_NATS_SERVER.',
    ].join('\n'),
  );
}

/** @param {boolean} keeps take only one that keeps leaves to their limits */
async function fetchOne(keeps, onStart) {
  let fetched;
  await fetchDebianPackage('nats-server', {
    into: FOLDER,
    suites: SUITES,
    onStart,
    accept: async (folder) => {
      const { server, words } = await look(join(folder, PROGRAM));
      fetched = server;
      return server !== undefined && (server.keeps || !keeps) ? undefined : `found ${words}`;
    },
  });
  return { ...fetched, path: FETCHED };
}

/** Says what an older one means (V3). */
function settleFor({ path, version }, failures, tell) {
  mkdirSync(CACHE, { recursive: true });
  writeFileSync(TRIED, `${failures.join('\n')}\n`);
  tell(
    [
      `WARNING: nats-server ${version} (${path}) is used, for want of a newer one. As a hub it does not judge what a leaf sends:`,
      `whoever steals a leaf's credential may send anything. ${KEPT_WORDS} or newer keeps leaves to their limits; name one in CIM_NATS_SERVER.`,
      ...failures.flatMap((failure) => failure.split('\n').map((line) => `  ${line}`)),
    ].join('\n'),
  );
}

function triedLately() {
  const at = statSync(TRIED, { throwIfNoEntry: false })?.mtimeMs;
  return at !== undefined && Date.now() - at < TRY_AGAIN_MS;
}

function* candidates() {
  const folders = [...(process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''), ...SYSTEM_FOLDERS];
  for (const folder of new Set(folders)) yield join(folder, 'nats-server');
  yield FETCHED;
}

/** @param {string} path @returns {Promise<{ server?: NatsServer, words: string }>} `server`: absent when CIM cannot run on it */
async function look(path) {
  const { code, output } = await capture(path, ['--version'], { timeoutMs: 10_000 });
  const judged = code === 0 ? judgeVersion(output) : undefined;
  if (judged === undefined) return { words: code === 127 ? 'nothing' : 'a program that does not run here' };
  const words = `version ${judged.version}${judged.fit && !judged.keeps ? ', which does not keep leaves to their limits' : ''}`;
  return { ...(judged.fit ? { server: { path, version: judged.version, keeps: judged.keeps } } : {}), words };
}
