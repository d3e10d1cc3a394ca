/**
 * The node's curve key, made on the node at its first start and never shown: secrets are sealed to its public half.
 *
 * Promises:
 * Q1. The seed is written once, durably, readable by this user alone; a seed others can read is refused, not used.
 * Q2. Two first starts at once end with one key.
 */
import { link, open, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Fault, newId, newSealingSeed, type Unsealer, unsealerFromSeed } from '@cim/contracts';

const NAME = 'sealing.seed';

/** @throws Fault `configuration-invalid` when the file is no seed or open to others */
export async function loadSealingKey(stateDirectory: string): Promise<Unsealer> {
  const file = join(stateDirectory, NAME);
  const found = await read(file);
  if (found !== undefined) return found;
  const fresh = `${file}.${newId()}`;
  const handle = await open(fresh, 'wx', 0o600);
  try {
    await handle.writeFile(`${newSealingSeed()}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    // A link, unlike a rename, leaves the key of whoever was first.
    await link(fresh, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    await rm(fresh, { force: true });
  }
  const directory = await open(stateDirectory, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
  return (await read(file))!;
}

async function read(file: string): Promise<Unsealer | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const { mode } = await stat(file);
  if ((mode & 0o077) !== 0)
    throw new Fault(
      'configuration-invalid',
      `${file}: expected mode 0600, found 0${(mode & 0o777).toString(8)}; chmod 600 it, or remove it and seal again`,
    );
  try {
    return unsealerFromSeed(text);
  } catch {
    throw new Fault(
      'configuration-invalid',
      `${file}: is no curve seed; remove it to have one made, and seal every secret again`,
    );
  }
}
