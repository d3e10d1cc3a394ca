/**
 * One set-up at a time in a checkout.
 *
 * Promises:
 * L1. The lock is a directory that appears with its owner already written in it (made aside, then renamed), so it is never
 *     seen half made.
 * L2. A lock whose owner is dead is taken over, but only when the owner's programs (an `npm ci` that outlived it) are dead too.
 *     A process number used again by someone else does not count: the start time must agree.
 * L3. Waiting ends by a deadline, with an error that names the holder.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SetupError } from './progress.mjs';

const POLL_MS = 100;
const TELL_AFTER_MS = 1_000;
/** A lock written on another machine (a shared disk) cannot be asked for its life; after this it counts as left behind. */
const FOREIGN_STALE_MS = 30 * 60_000;

/**
 * @typedef {{ pid: number, started: string, host: string, at: number }} Owner a process; `started` tells it from a later one with its number
 * @typedef {{ covers(pid: number): void, release(): void }} Held `covers` names a program that must also be dead before anyone else may go on
 */

/**
 * Takes the lock, waiting for whoever has it.
 * @param {string} path the lock's directory
 * @param {{ timeoutMs: number, tell?: (line: string) => void }} options
 * @returns {Promise<Held>}
 */
export async function takeLock(path, { timeoutMs, tell = () => {} }) {
  const mine = `${path}.${process.pid}.${randomUUID()}`;
  mkdirSync(dirname(path), { recursive: true });
  mkdirSync(mine);
  writeFileSync(join(mine, 'owner'), JSON.stringify(describe(process.pid)));
  const began = Date.now();
  let told = false;
  try {
    while (!renamed(mine, path)) {
      const owners = read(path);
      if (owners !== undefined && !owners.some(alive)) {
        setAside(path, owners);
        continue;
      }
      const waited = Date.now() - began;
      const holder = owners?.find(alive);
      if (waited >= timeoutMs) {
        throw new SetupError(
          `waited ${Math.round(timeoutMs / 1_000)} s for process ${holder?.pid ?? 'unknown'}, which is setting up this checkout`,
          `When that process is not a set-up of this checkout, remove ${path} and try again.`,
        );
      }
      if (!told && waited >= TELL_AFTER_MS) {
        told = true;
        tell(`waiting for process ${holder?.pid ?? 'unknown'}, which is setting up this checkout`);
      }
      await sleep(POLL_MS);
    }
  } catch (error) {
    rmSync(mine, { recursive: true, force: true });
    throw error;
  }
  return {
    covers: (pid) => writeFileSync(join(path, `program-${pid}`), JSON.stringify(describe(pid))),
    release: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Moves a directory to where none with content may be. @returns {boolean} false when one is there */
function renamed(from, to) {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(error.code)) return false;
    throw error;
  }
}

/** @param {string} path @returns {Owner[] | undefined} the owner first, then its programs; undefined when the lock has just gone */
function read(path) {
  try {
    const names = readdirSync(path);
    names.sort((a, b) => Number(b === 'owner') - Number(a === 'owner'));
    return names.map((name) => parse(readFileSync(join(path, name), 'utf8')));
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A file cut short by a crash names no living process. @param {string} text @returns {Owner} */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { pid: 0, started: '', host: hostname(), at: 0 };
  }
}

/** Takes a dead lock out of the way. Another waiter may have been quicker: then its new lock is put back untouched. */
function setAside(path, dead) {
  const aside = `${path}.dead.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  const found = read(aside);
  if (found?.[0]?.pid !== dead[0]?.pid || found?.[0]?.started !== dead[0]?.started) renamed(aside, path);
  rmSync(aside, { recursive: true, force: true });
}

/** @param {number} pid @returns {Owner} */
function describe(pid) {
  return { pid, started: startOf(pid), host: hostname(), at: Date.now() };
}

/** @param {Owner} owner */
function alive(owner) {
  if (owner.host !== hostname()) return Date.now() - owner.at < FOREIGN_STALE_MS;
  if (!(owner.pid > 0)) return false;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (error.code === 'ESRCH') return false;
  }
  return startOf(owner.pid) === owner.started;
}

/** When the process started, in the kernel's ticks; empty where there is no /proc or no such process. @param {number} pid */
function startOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? 'ended' : (fields[19] ?? '');
  } catch {
    return '';
  }
}
