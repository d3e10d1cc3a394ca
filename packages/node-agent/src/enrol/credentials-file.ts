/**
 * The credential of this instance on disk: `leaf.creds`, which its nats-server reads at every connect, and the seed of a key that waits for
 * its first JWT.
 *
 * Promises:
 * C1. The file is whole at every moment and readable by its owner alone; nats-server never sees half of one.
 * C2. A seed is made here and leaves only into these files. One that was named to the registry is kept until its JWT has come, so that an
 *     answer that was lost on the way can be asked for again.
 * C3. When what was replaced ends is kept too, over restarts: a link to the hub that was made with it is cut then.
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  credsText,
  decodeJson,
  Fault,
  type KeyPair,
  keyPairOf,
  newKeyPair,
  readCreds,
  seedOf,
  type UserClaims,
} from '@cim/contracts';
import { z } from 'zod';
import { isAbsent, writeDurably } from '../bundle/durable.ts';

export interface HeldCredential {
  readonly claims: UserClaims;
  readonly key: KeyPair;
}

export interface CredentialsFile {
  readonly path: string;
  /** undefined when there is none yet. @throws Fault `configuration-invalid` when it is no credentials file */
  read(): Promise<HeldCredential | undefined>;
  /** The key to name to the registry next: the one that waits, or a new one. */
  nextKey(): Promise<KeyPair>;
  /** Puts the JWT and its key in force, and forgets the key that waited. */
  write(jwt: string, key: KeyPair): Promise<void>;
  /** When credentials that were replaced end, ms since 1970, in the order they were replaced (C3). Ends long past are among them. */
  replaced(): Promise<readonly number[]>;
}

/** Ends that are kept: more are only there when somebody enrols again and again. */
const MOST_ENDS = 16;
const Ends = z.array(z.number().int().positive()).max(MOST_ENDS);

/** @param stateDirectory where the waiting seed lies @param path of leaf.creds */
export function credentialsFile(stateDirectory: string, path: string): CredentialsFile {
  const waiting = join(stateDirectory, 'identity', 'next.seed');
  const endsFile = join(stateDirectory, 'identity', 'replaced.json');
  const textOf = async (file: string): Promise<string | undefined> => {
    try {
      return await readFile(file, 'utf8');
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw new Fault('configuration-invalid', `cannot read ${file}: ${(error as Error).message}`, { cause: error });
    }
  };
  const read = async (): Promise<HeldCredential | undefined> => {
    const text = await textOf(path);
    if (text === undefined) return undefined;
    const { claims, seed } = readCreds(text, path);
    return { claims, key: keyPairOf(seed, path) };
  };
  const replaced = async (): Promise<readonly number[]> => {
    const text = await textOf(endsFile);
    if (text === undefined) return [];
    try {
      return decodeJson(Ends, text, endsFile);
    } catch {
      // Nobody's work depends on it: at worst an answer is lost when a link changes over.
      return [];
    }
  };
  /** Notes when the credential in force ends, since it is about to be replaced. */
  const note = async () => {
    // What cannot be read made no link either.
    const before = await read().catch(() => undefined);
    if (before?.claims.expiresAt === undefined) return;
    const ends = new Set([...(await replaced()), before.claims.expiresAt * 1000]);
    await writeDurably(endsFile, `${JSON.stringify([...ends].slice(-MOST_ENDS))}\n`);
  };
  return {
    path,
    read,
    replaced,
    async nextKey() {
      const text = await textOf(waiting);
      if (text !== undefined) return keyPairOf(text, waiting);
      const key = newKeyPair('user');
      await mkdir(dirname(waiting), { recursive: true, mode: 0o700 });
      await writeDurably(waiting, `${seedOf(key)}\n`);
      return key;
    },
    async write(jwt, key) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await mkdir(dirname(endsFile), { recursive: true, mode: 0o700 });
      await note();
      await writeDurably(path, credsText(jwt, seedOf(key)));
      await rm(waiting, { force: true });
    },
  };
}
