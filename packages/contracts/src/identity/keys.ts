/**
 * Key pairs of NATS identities (Ed25519 nkeys): made, read from a seed, and known by their public half. The other rooms hold them and hand
 * them on; what they are made of is known here.
 */
import { createAccount, createOperator, createUser, type KeyPair } from '@nats-io/nkeys';
import { nativePair, nativePublic } from '../ed25519.ts';
import { Fault } from '../errors.ts';

export type { KeyPair };

const makers = { operator: createOperator, account: createAccount, user: createUser } as const;

export const newKeyPair = (kind: keyof typeof makers): KeyPair => nativePair(seedOf(makers[kind]()));

/** The seed of a pair that has one: whoever holds it is that party. */
export const seedOf = (pair: KeyPair): string => new TextDecoder().decode(pair.getSeed());

/** The public half alone: verifies, and names a party where it is written about. */
export const publicOnly = (key: string): KeyPair => nativePublic(key);

/** A key pair of a seed. @throws Fault `invalid-input` naming `what`; the seed is never in it */
export function keyPairOf(seed: string, what: string): KeyPair {
  try {
    return nativePair(seed.trim());
  } catch {
    throw new Fault('invalid-input', `${what}: expected an nkey seed (58 characters that begin with "S")`);
  }
}
