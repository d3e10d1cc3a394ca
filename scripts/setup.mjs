/**
 * Brings a fresh checkout to running order: packages, build, nats-server. Every other script starts here.
 *
 * Promises:
 * S1. Any Node from 20 up may run it; the work is done by the project's own Node 24.
 * S2. A second run that finds nothing to do changes nothing and ends well within a second.
 * S3. Two of them at once in one checkout wait for each other; one that was killed does not block the next.
 * S4. Nothing outside the checkout is changed, and no right of root is needed.
 */
import { realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, buildIsFresh } from './place/build.mjs';
import { signalRunning } from './place/child.mjs';
import { takeLock } from './place/lock.mjs';
import { fetchNatsServer, findNatsServer } from './place/nats-server.mjs';
import { findNode } from './place/node24.mjs';
import { installPackages, packagesAreFresh } from './place/packages.mjs';
import { fail, SetupError, seconds, watched } from './place/progress.mjs';
import { CACHE } from './place/root.mjs';

const LOCK_MS = 20 * 60_000;

/**
 * @typedef {{ node: string, natsServer?: { path: string, version: string }, env: NodeJS.ProcessEnv }} Place what a program needs to run here;
 *   `env` is ours with CIM_NATS_SERVER set
 */

/**
 * Makes the checkout ready, or finds that it is.
 * @param {{ build?: boolean, natsServer?: boolean }} [parts] what the caller can do without
 * @returns {Promise<Place>}
 * @throws SetupError with what failed and what to do
 */
export async function setup(parts = {}) {
  const wanted = { build: true, natsServer: true, ...parts };
  const ready = await look(wanted);
  if (ready !== undefined) return ready;
  const lock = await takeLock(join(CACHE, 'lock'), {
    timeoutMs: LOCK_MS,
    tell: (line) => process.stderr.write(`setup: ${line}\n`),
  });
  const leave = (/** @type {NodeJS.Signals} */ signal) => {
    signalRunning(signal);
    lock.release();
    process.exit(128 + constants.signals[signal]);
  };
  const signals = /** @type {NodeJS.Signals[]} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);
  for (const signal of signals) process.on(signal, leave);
  try {
    return await make(wanted, lock.covers);
  } finally {
    lock.release();
    for (const signal of signals) process.off(signal, leave);
  }
}

/** @returns {Promise<Place | undefined>} the place when all that is wanted is there */
async function look(wanted) {
  if (!packagesAreFresh() || (wanted.build && !buildIsFresh())) return undefined;
  const [node, server] = await Promise.all([findNode(), wanted.natsServer ? findNatsServer() : undefined]);
  if (wanted.natsServer && !server?.settled) return undefined;
  return place(node, server?.found);
}

/** Does what is missing, in order; whoever had the lock before may have done it all. */
async function make(wanted, onStart) {
  if (!packagesAreFresh()) await watched('installing packages', () => installPackages(onStart));
  const node = await findNode();
  if (wanted.build && !buildIsFresh()) await watched('building', () => build(node, onStart));
  if (!wanted.natsServer) return place(node);
  const seen = await findNatsServer();
  if (seen.settled) return place(node, seen.found);
  const tell = (line) => process.stderr.write(`setup: ${line}\n`);
  return place(node, await watched('fetching nats-server from the Debian archive', () => fetchNatsServer(seen, onStart, tell)));
}

function place(node, natsServer) {
  if (natsServer === undefined) return { node, env: process.env };
  return { node, natsServer, env: { ...process.env, CIM_NATS_SERVER: natsServer.path } };
}

/**
 * Sets up, then hands over: the one shape of every script that only starts something.
 * @param {Parameters<typeof setup>[0]} parts
 * @param {(place: Place) => Promise<number>} then returns the exit code
 */
export async function after(parts, then) {
  try {
    if (Number(process.versions.node.split('.')[0]) < 20)
      throw new SetupError(`Node 20 or newer is needed; this is ${process.version}`);
    process.exitCode = await then(await setup(parts));
  } catch (error) {
    fail(error);
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const began = performance.now();
  await after({}, async ({ node, natsServer }) => {
    process.stdout.write(
      `ready in ${seconds(performance.now() - began)}: ${node}, nats-server ${natsServer?.version} (${natsServer?.path})\n`,
    );
    return 0;
  });
}
