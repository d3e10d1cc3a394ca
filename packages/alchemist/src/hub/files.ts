/**
 * Files of a hub directory: made once, never written over, readable by their owner alone.
 *
 * Promises:
 * F1. A file that exists is left as it is and said; a secret is never overwritten.
 * F2. Modes are 0600 (directories 0700) whatever the umask.
 * F3. What may be replaced (an account's JWT after a revocation) is written beside and renamed.
 */
import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Fault } from '@cim/contracts';

/** @throws Fault `conflict` when it exists, `invalid-input` when it cannot be written */
export function writeNew(file: string, text: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, text, { mode: 0o600, flag: 'wx' });
    chmodSync(file, 0o600);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw new Fault('conflict', `${file} exists already; it is never written over`, { cause });
    throw new Fault('invalid-input', `cannot write ${file}: ${message}`, { cause });
  }
}

/** Writes whole or not at all. @throws Fault `invalid-input` */
export function replaceWhole(file: string, text: string): void {
  const beside = `${file}.${randomUUID()}.new`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(beside, text, { mode: 0o600, flag: 'wx' });
    renameSync(beside, file);
  } catch (cause) {
    rmSync(beside, { force: true });
    throw new Fault('invalid-input', `cannot write ${file}: ${(cause as Error).message}`, { cause });
  }
}

/** The trimmed text of a file. @throws Fault `not-found` naming what it is for */
export function readText(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw new Fault('not-found', `${what}: cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}

export const exists = (file: string): boolean => existsSync(file);
