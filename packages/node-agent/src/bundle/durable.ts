/**
 * Bytes that survive a power cut: written beside, synced, renamed into place, the directory synced.
 *
 * Promises:
 * W1. After a crash at any moment the file is the old one or the new one, never a part of either.
 * W2. A write that fails leaves nothing beside it; a full disk is told from other failures.
 */
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Fault } from '@cim/contracts';

const BESIDE = '.writing';

/** True for what {@link writeDurably} left of a write that a crash cut short. */
export const isLeftover = (file: string): boolean => file.endsWith(BESIDE);

/** @throws Fault `storage-full` when the disk is full, `internal` when it fails otherwise */
export async function writeDurably(file: string, bytes: string | Uint8Array): Promise<void> {
  const beside = `${file}${BESIDE}`;
  try {
    const handle = await open(beside, 'w', 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, file);
    await syncDirectory(dirname(file));
  } catch (error) {
    await rm(beside, { force: true }).catch(() => {});
    throw storageFault(error, file);
  }
}

/** Makes renames and removals within a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** `error` of a file operation as a fault; a Fault stays what it is. */
export function storageFault(error: unknown, file: string): Fault {
  if (error instanceof Fault) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? new Fault('storage-full', `${file}: no space left`, { cause: error })
    : new Fault('internal', `${file}: ${message}`, { cause: error });
}

/** True when a file operation failed because there is no such file. */
export const isAbsent = (error: unknown): boolean => (error as NodeJS.ErrnoException | null)?.code === 'ENOENT';
