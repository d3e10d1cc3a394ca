/**
 * Credentials files: a user's JWT and the seed of its key, as every NATS client and server reads them.
 * Whoever holds the file is the user. The seed leaves it only through {@link readCreds}; nothing here puts it into a fault or a log.
 */
import { Fault } from '../errors.ts';
import { readUserJwt, type UserClaims } from './claims.ts';
import { keyPairOf } from './keys.ts';

/** Text of a credentials file. */
export function credsText(jwt: string, seed: string): string {
  return [
    '-----BEGIN NATS USER JWT-----',
    jwt,
    '------END NATS USER JWT------',
    '',
    'Whoever holds the seed below is this user: keep the file readable by its owner alone.',
    '',
    '-----BEGIN USER NKEY SEED-----',
    seed.trim(),
    '------END USER NKEY SEED------',
    '',
  ].join('\n');
}

/** @throws Fault `invalid-input` when it is no credentials file, or when seed and JWT are not of one user */
export function readCreds(
  text: string,
  what: string,
): { readonly jwt: string; readonly seed: string; readonly claims: UserClaims } {
  const [jwt, seed] = [...text.matchAll(/-{3,}BEGIN[^\n]*-{3,}\s*\n\s*(\S+)\s*\n\s*-{3,}END[^\n]*-{3,}/g)].map(
    (match) => match[1],
  );
  if (jwt === undefined || seed === undefined)
    throw new Fault('invalid-input', `${what}: expected a credentials file with a JWT and a seed`);
  const claims = readUserJwt(jwt);
  if (keyPairOf(seed, what).getPublicKey() !== claims.subject)
    throw new Fault('invalid-input', `${what}: the seed is not that of the JWT's user ${claims.subject}`);
  return { jwt, seed, claims };
}
