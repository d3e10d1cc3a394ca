/**
 * One fleet to a state directory.
 *
 * Promises:
 * L1. The lock file appears whole (written aside, then linked), so nobody reads half of it.
 * L2. A lock whose process is dead is taken over; a pid used again by someone else does not count, since the start time must agree.
 * L3. Processes a dead fleet left running are ended, those and no others, before the directory is used again.
 */
import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault, systemClock, waitUntil } from '@cim/contracts';
import { writeFault } from './child.ts';
import { newSecret, ownPid, signal, startOf } from './surroundings.ts';

interface Named {
  readonly pid: number;
  readonly started: string | undefined;
}

export interface Lock {
  release(): void;
}

const END_MS = 3_000;

/** Where the ledger entries of living processes are (see child.ts). */
export const ledgerDirectory = (directory: string): string => join(directory, 'processes');

/** @throws Fault `configuration-invalid` when a living fleet has the directory */
export function takeLock(directory: string): Lock {
  const file = join(directory, 'lock.json');
  const mine = `${file}.${ownPid()}.${newSecret()}`;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    writeFileSync(mine, `${JSON.stringify({ pid: ownPid(), started: startOf(ownPid()) })}\n`, { mode: 0o600 });
  } catch (cause) {
    throw writeFault(file, cause);
  }
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        linkSync(mine, file);
        return { release: () => rmSync(file, { force: true }) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw writeFault(file, error);
      }
      const holder = read(file);
      if (holder && alive(holder)) {
        throw new Fault(
          'configuration-invalid',
          `${directory}: process ${holder.pid} runs a fleet there; stop it first, or choose another directory with --state`,
        );
      }
      rmSync(file, { force: true });
    }
    throw new Fault('configuration-invalid', `${directory}: another fleet is starting there; try again`);
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Ends what a dead fleet left behind (L3). @returns how many there were */
export async function endLeftovers(directory: string): Promise<number> {
  const ledger = ledgerDirectory(directory);
  let files: string[];
  try {
    files = readdirSync(ledger);
  } catch {
    return 0;
  }
  const left = files.map((name) => read(join(ledger, name))).filter((entry) => entry !== undefined && alive(entry));
  for (const entry of left) {
    signal(entry!.pid, 'SIGCONT');
    signal(entry!.pid, 'SIGTERM');
  }
  const gone = await waitUntil(systemClock, END_MS, () => !left.some((entry) => alive(entry!)));
  if (!gone) for (const entry of left) if (alive(entry!)) signal(entry!.pid, 'SIGKILL');
  await waitUntil(systemClock, END_MS, () => !left.some((entry) => alive(entry!)));
  rmSync(ledger, { recursive: true, force: true });
  return left.length;
}

function read(file: string): Named | undefined {
  try {
    const { pid, started } = JSON.parse(readFileSync(file, 'utf8')) as Partial<Named>;
    return typeof pid === 'number' && pid > 0 ? { pid, started } : undefined;
  } catch {
    return undefined;
  }
}

function alive({ pid, started }: Named): boolean {
  if (!signal(pid, 0)) return false;
  return startOf(pid) === started;
}
