/**
 * Which sealing key belongs to which instance, as this operator first saw or was told it: a hub that shows another key later is caught
 * before anything is sealed to it. The idea is OpenSSH's known_hosts (trust on first use).
 *
 * Promises:
 * K1. A key that was seen once is never replaced in silence: a changed one is `node-key-changed`, naming both.
 * K2. The file is replaced whole or not at all.
 */
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { decodeJson, Fault, InstanceId, newId, SealingKey } from '@cim/contracts';
import { z } from 'zod';
import { configDirectory, type Profile } from '../profile.ts';
import type { Surroundings } from '../surroundings.ts';

const KnownNodes = z.strictObject({
  nodes: z.record(InstanceId, z.strictObject({ sealingKey: SealingKey, since: z.iso.datetime() })).default({}),
});
type KnownNodes = z.infer<typeof KnownNodes>;

/** Where an operator's known nodes are kept: beside the profile that names the fleet they belong to. */
export const knownNodesOf = (around: Surroundings, { origin }: Profile): string =>
  join(origin.file === undefined ? configDirectory(around) : dirname(origin.file), 'known-nodes.json');

/** @throws Fault `configuration-invalid` when the file is damaged: guessing would forget what was known */
async function readKnown(file: string): Promise<KnownNodes> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}';
    throw error;
  });
  return decodeJson(KnownNodes, text, file, 'configuration-invalid');
}

/**
 * The key to seal to.
 * @param shown what the node or the hub says now
 * @param given what the operator says, read on the machine itself: it replaces what was known
 * @throws Fault `node-key-changed`, `not-found` where no key is known at all
 */
export async function keyOf(
  file: string,
  instance: string,
  shown: string | undefined,
  given: SealingKey | undefined,
  now: number,
): Promise<{ readonly key: SealingKey; readonly first: boolean }> {
  const known = await readKnown(file);
  const id = InstanceId.parse(instance);
  const before = known.nodes[id]?.sealingKey;
  const key = given ?? before ?? (shown === undefined ? undefined : SealingKey.parse(shown));
  if (key === undefined)
    throw new Fault(
      'not-found',
      `${instance} has not shown a sealing key: it must have been online once, or say the key with --key`,
    );
  if (shown !== undefined && shown !== key) {
    throw new Fault(
      'node-key-changed',
      `${instance} was known by ${before ?? key} and now shows ${shown}; if the machine was made anew, read the key on it and say it with --key`,
    );
  }
  if (before !== key)
    await write(file, { nodes: { ...known.nodes, [id]: { sealingKey: key, since: new Date(now).toISOString() } } });
  return { key, first: before === undefined && given === undefined };
}

async function write(file: string, known: KnownNodes): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const fresh = `${file}.${newId()}`;
  try {
    const handle = await open(fresh, 'wx', 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(known, undefined, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, file);
  } finally {
    await rm(fresh, { force: true });
  }
}
