/** Small JSON files of a fleet: whole or not at all, and readable by their owner only. */
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeFault } from './machine/child.ts';
import { ownPid } from './machine/surroundings.ts';

/** Writes the file aside and renames it. @throws Fault `storage-full` or `configuration-invalid` */
export function writeJson(file: string, value: unknown): void {
  const aside = `${file}.${ownPid()}.new`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(aside, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
    chmodSync(aside, 0o600);
    renameSync(aside, file);
  } catch (cause) {
    rmSync(aside, { force: true });
    throw writeFault(file, cause);
  }
}

/** The file's value, or undefined when there is none or it is no JSON. */
export function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
