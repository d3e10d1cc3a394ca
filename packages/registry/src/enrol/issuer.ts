/**
 * The one that signs credentials of nodes: a signing key of the hub's account that the server binds to the role `node`, so that whoever
 * takes it from a registry can make leaves and nothing else.
 *
 * Promises:
 * I1. The seed is read at the start, named when it cannot be, and appears in no log, fault or answer.
 * I2. Every credential ends.
 */
import { readFileSync } from 'node:fs';
import { Fault, keyPairOf, msOf, type RegistryConfig, readUserJwt, roleUserJwt } from '@cim/contracts';

export interface Issuer {
  readonly account: string;
  /** Public key that signs. */
  readonly signer: string;
  /** @param now ms. @returns the JWT and its times, seconds */
  issue(
    wish: { readonly instance: string; readonly publicKey: string; readonly serves: readonly string[] },
    now: number,
  ): Promise<{ readonly jwt: string; readonly issuedAt: number; readonly expiresAt: number }>;
}

/** @returns undefined where the registry gives no identities. @throws Fault `configuration-invalid` */
export function createIssuer(identity: RegistryConfig['identity']): Issuer | undefined {
  if (identity === undefined) return undefined;
  const { account, signingSeedFile, validity } = identity;
  const wrong = (message: string) =>
    new Fault('configuration-invalid', `identity.signingSeedFile: ${message}`, {
      issues: [{ path: 'identity.signingSeedFile', message }],
    });
  let seed: string;
  try {
    seed = readFileSync(signingSeedFile, 'utf8');
  } catch (cause) {
    throw wrong(`cannot read ${signingSeedFile}: ${(cause as Error).message}`);
  }
  const key = keyPairOf(seed, `identity.signingSeedFile ${signingSeedFile}`);
  const signer = key.getPublicKey();
  if (!signer.startsWith('A')) throw wrong(`expected the seed of an account's signing key (SA…), found that of ${signer[0]}…`);
  if (signer === account)
    throw wrong(
      'this is the seed of the account itself, which could make users of every kind; expected its signing key of the role node',
    );
  const validSeconds = Math.floor(msOf(validity) / 1000);
  return {
    account,
    signer,
    async issue({ instance, publicKey, serves }, now) {
      const expiresAt = Math.floor(now / 1000) + validSeconds;
      const jwt = await roleUserJwt({ role: 'node', name: instance, user: publicKey, account, signer: key, expiresAt, serves });
      return { jwt, issuedAt: readUserJwt(jwt).issuedAt, expiresAt };
    },
  };
}
