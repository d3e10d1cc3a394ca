/**
 * Enrolling and renewing, as a machine does it: with keys it makes itself.
 *
 * Promises:
 * N1. The seed never leaves the machine; what is sent is the public key and a signature.
 * N2. Done twice, it does no harm: the key that was named to the registry is named again until its answer has come.
 * N3. A renewal changes the key too; the old credential stays good until it ends, and the nats-server takes the new one when it next
 *     connects.
 */
import { enrolRequest, Fault, renewRequest, type UserClaims } from '@cim/contracts';
import { askEnrol, askRenewal, type RegistryDoor } from './ask-registry.ts';
import type { CredentialsFile } from './credentials-file.ts';

export interface EnrolOptions {
  readonly instance: string;
  readonly door: RegistryDoor;
  readonly file: CredentialsFile;
  /** ms */
  readonly now: number;
}

/** First credential for a one-time token. @throws Fault what the registry says; `conflict` when one in force is there */
export async function enrol({ instance, door, file, now }: EnrolOptions, token: string, replace: boolean): Promise<UserClaims> {
  const held = await file.read();
  const seconds = Math.floor(now / 1000);
  if (held && !replace && (held.claims.expiresAt ?? Number.POSITIVE_INFINITY) > seconds) {
    throw new Fault(
      'conflict',
      `${file.path} holds a credential of ${held.claims.name} that is in force; enrol again with --replace`,
    );
  }
  const key = await file.nextKey();
  const given = await askEnrol(door, enrolRequest(token, instance, key, seconds));
  await file.write(given.jwt, key);
  return (await file.read())!.claims;
}

/** The next credential, with a new key. @throws Fault what the registry says; `not-found` when there is none to renew */
export async function renew({ instance, door, file, now }: EnrolOptions): Promise<UserClaims> {
  const held = await file.read();
  if (!held) throw new Fault('not-found', `${file.path}: there is no credential to renew: cim-node-agent enrol`);
  const next = await file.nextKey();
  const given = await askRenewal(door, renewRequest(instance, held.key, next, Math.floor(now / 1000)));
  await file.write(given.jwt, next);
  return (await file.read())!.claims;
}
