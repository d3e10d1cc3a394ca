/**
 * Signing keys on disk: nkey seeds in files of their own.
 *
 * Promises:
 * K1. A seed file is readable by its owner only (0600) and never overwritten.
 * K2. A seed leaves this file only through {@link readSeed}, which nobody calls but who must show or sign.
 */
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Fault, type PublicKey, type Signer, signerFromSeed } from '@cim/contracts';
import { createAccount, createOperator } from '@nats-io/nkeys';
import { readSecret } from './profile.ts';

/** Who a key speaks for: a publisher signs bundles, an operator signs desired and trust documents, a log signs what a registry published. */
export type KeyRole = 'publisher' | 'operator' | 'log';

/** A new seed and its public key. */
export function newSeed(role: KeyRole): { readonly seed: string; readonly publicKey: PublicKey } {
  const pair = role === 'operator' ? createOperator() : createAccount();
  const seed = new TextDecoder().decode(pair.getSeed());
  return { seed, publicKey: signerFromSeed(seed).publicKey };
}

/** Whether a public key may have a role: operators' keys are of a kind of their own, those of publishers and logs are alike. */
const fits = (key: PublicKey, role: KeyRole): boolean => key.startsWith('O') === (role === 'operator');

/** Writes a seed (K1). @throws Fault `conflict` when the file exists, `invalid-input` when the seed is another role's */
export async function writeSeed(file: string, seed: string, role: KeyRole): Promise<PublicKey> {
  const { publicKey } = signerFromSeed(seed);
  if (!fits(publicKey, role)) {
    const found = publicKey.startsWith('O') ? 'an operator' : 'a publisher or a log';
    const message = `expected a ${role} seed, found the seed of ${found}`;
    throw new Fault('invalid-input', `seed: ${message}`, { issues: [{ path: 'seed', message }] });
  }
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const handle = await open(file, 'wx', 0o600).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'EEXIST') {
      throw new Fault('conflict', `${file} holds a key already; choose another place with --out, or move it away yourself`, {
        cause,
      });
    }
    throw new Fault('invalid-input', `cannot write ${file}: ${cause.message}`, { cause });
  });
  try {
    await handle.writeFile(`${seed.trim()}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return publicKey;
}

export const readSeed = (file: string): string => readSecret(file, 'seed');

/** The key of a file, ready to sign. @throws Fault naming the file */
export function signerOf(file: string): Signer {
  return signerFromSeed(readSeed(file));
}

/** A sentence when others may read the file, else undefined. */
export async function tooOpen(file: string): Promise<string | undefined> {
  const { mode } = await stat(file);
  return (mode & 0o077) === 0
    ? undefined
    : `${file} may be read by others (mode ${(mode & 0o777).toString(8)}): chmod 600 ${file}`;
}
