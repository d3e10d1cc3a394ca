/**
 * Identities of instances: one-time tokens, first credentials, renewals, revocation. Kept in the hub's bucket CIM_IDENTITIES:
 * `token.<hash>` a token that was ordered, `instance.<id>` who an instance is now.
 *
 * Promises:
 * D1. A token is good for one instance, one key and a time; the first key that uses it takes it by compare-and-set, whichever registry is
 *     asked. Asked again with that same key it answers again, since an answer can be lost on the way.
 * D2. A credential is given only to who proves to have the seed, and a renewal only to a key that is in force. What an instance may serve
 *     is what was ordered for it; a node cannot ask for more.
 * D3. Every order, enrolment, renewal and revocation is in the audit log before it is in force. Tokens are kept as hashes.
 * D4. After a revocation nothing more is given to that instance until somebody orders a new token for it.
 */
import { randomBytes } from 'node:crypto';
import {
  type Clock,
  type CredentialGiven,
  decodeJson,
  demandSignature,
  type EnrolmentGiven,
  type EnrolmentOrder,
  EnrolmentRecord,
  type EnrolRequest,
  enrolBytes,
  enrolmentHash,
  enrolmentToken,
  Fault,
  IdentityRecord,
  type InstanceId,
  type RenewRequest,
  renewBytes,
  type UserKey,
} from '@cim/contracts';
import type { Actor, Audit } from '../audit.ts';
import type { Bucket, KeyState } from '../store/bucket.ts';
import type { Issuer } from './issuer.ts';

export interface Identities {
  /** A one-time token; this answer is the only place it is ever shown. */
  order(order: EnrolmentOrder, actor: Actor): Promise<EnrolmentGiven>;
  /** @throws Fault `unauthenticated`, `signature-invalid`, `unsupported` */
  enrol(request: EnrolRequest, from: Asker): Promise<CredentialGiven>;
  /** @throws Fault as {@link enrol} */
  renew(request: RenewRequest, from: Asker): Promise<CredentialGiven>;
  /** D4. @throws Fault `not-found` */
  revoke(instance: InstanceId, actor: Actor): Promise<IdentityRecord>;
  of(instance: InstanceId): Promise<IdentityRecord>;
}

/** Who asks without a token of the registry: what is known of the request. */
export interface Asker {
  readonly requestId: string;
  readonly address: string;
}

export interface IdentitiesDeps {
  readonly clock: Clock;
  readonly bucket: Bucket;
  readonly audit: Audit;
  /** Absent: this registry gives no identities. */
  readonly issuer: Issuer | undefined;
}

const DAY_S = 86_400;
/** How far the clock of a node may be from ours when it asks for a renewal, seconds. */
const SKEW_S = 600;
/** How long the old key of a change of keys may still ask, seconds. */
const OVERLAP_S = DAY_S;
const TRIES = 4;

export function createIdentities({ clock, bucket, audit, issuer }: IdentitiesDeps): Identities {
  const now = () => clock.now();
  const iso = (ms: number) => new Date(ms).toISOString();
  const signer = () => {
    if (issuer) return issuer;
    throw new Fault('unsupported', 'this registry gives no identities: identity.signingSeedFile is not set');
  };
  const known = async (instance: string) => {
    const state = await bucket.state(`instance.${instance}`);
    return { state, record: state.bytes && decodeJson(IdentityRecord, state.bytes, `instance.${instance}`, 'internal') };
  };
  const nodeActor = (instance: string, { requestId, address }: Asker): Actor => ({
    caller: { name: `node ${instance}`, roles: [], via: 'node-key' },
    requestId,
    address,
  });

  /** Writes; a lost race is looked at anew. */
  const settle = async <T>(what: string, once: () => Promise<T | 'lost'>): Promise<T> => {
    for (let tries = 0; tries < TRIES; tries++) {
      const result = await once();
      if (result !== 'lost') return result;
    }
    throw new Fault('revision-conflict', `${what}: somebody else changes it`);
  };
  const write = async (
    action: string,
    subject: string,
    actor: Actor,
    key: string,
    value: unknown,
    state: KeyState,
    data: Record<string, unknown>,
  ) => (await audit.change({ action, subject, actor, bucket, key, value: JSON.stringify(value), state, data })).kind;

  /** Gives a key of an instance a credential and notes it (D2). */
  const give = (action: string, instance: InstanceId, publicKey: UserKey, actor: Actor, judge: Judge) =>
    settle(`instance ${instance}`, async (): Promise<CredentialGiven | 'lost'> => {
      const { state, record } = await known(instance);
      const { serves, before } = judge(record);
      const issued = await signer().issue({ instance, publicKey, serves }, now());
      const { issuedAt, expiresAt } = issued;
      const next: IdentityRecord = {
        instance,
        serves: [...serves],
        keys: [{ key: publicKey, issuedAt, expiresAt }, ...before.filter(({ key }) => key !== publicKey)].slice(0, 4),
        enrolledAt: action === 'instance.enrolled' ? iso(now()) : (record?.enrolledAt ?? iso(now())),
      };
      const data = { instance, publicKey, serves: [...serves], expiresAt: iso(expiresAt * 1000) };
      if ((await write(action, instance, actor, `instance.${instance}`, next, state, data)) === 'lost') return 'lost';
      return {
        jwt: issued.jwt,
        instance,
        publicKey,
        account: signer().account,
        serves: [...serves],
        issuedAt: iso(issuedAt * 1000),
        expiresAt: iso(expiresAt * 1000),
      };
    });

  return {
    async order({ instance, serves, validSeconds = DAY_S }, actor) {
      signer();
      const token = enrolmentToken(randomBytes(32));
      const hash = enrolmentHash(token);
      const record: EnrolmentRecord = {
        instance,
        serves,
        createdAt: iso(now()),
        createdBy: actor.caller.name,
        expiresAt: iso(now() + validSeconds * 1000),
      };
      const nothing = { revision: 0, bytes: undefined, change: undefined };
      const data = { instance, serves: [...serves], expiresAt: record.expiresAt };
      const written = await write('instance.enrolment-ordered', instance, actor, `token.${hash}`, record, nothing, data);
      if (written === 'lost') throw new Fault('conflict', 'this token exists: try again');
      return { token, instance, serves, expiresAt: record.expiresAt };
    },

    async enrol(request, from) {
      signer();
      const { token, instance, publicKey, signature } = request;
      demandSignature(publicKey, enrolBytes(request), signature);
      const key = `token.${enrolmentHash(token)}`;
      const actor = nodeActor(instance, from);
      const ordered = await settle('the enrolment token', async (): Promise<EnrolmentRecord | 'lost'> => {
        const state = await bucket.state(key);
        const record = state.bytes && decodeJson(EnrolmentRecord, state.bytes, 'token', 'internal');
        // One sentence for all: whoever guesses learns nothing from the difference.
        if (!record || record.instance !== instance || Date.parse(record.expiresAt) <= now())
          throw new Fault(
            'unauthenticated',
            `the enrolment token is not known for ${instance}, or has expired: order a new one`,
          );
        if (record.used?.by === publicKey) return record;
        if (record.used) throw new Fault('unauthenticated', 'the enrolment token has been used: order a new one');
        const used: EnrolmentRecord = { ...record, used: { at: iso(now()), by: publicKey } };
        const data = { instance, publicKey };
        if ((await write('instance.token-used', instance, actor, key, used, state, data)) === 'lost') return 'lost';
        return used;
      });
      return give('instance.enrolled', instance, publicKey, actor, (record) => {
        // The token was ordered before this instance was revoked: it does not bring it back (D4).
        if (record?.revokedAt !== undefined && record.revokedAt >= ordered.createdAt)
          throw new Fault('unauthenticated', `${instance} was revoked after this token was ordered: order a new one`);
        return { serves: ordered.serves, before: [] };
      });
    },

    async renew(request, from) {
      signer();
      const { instance, publicKey, newKey, newSignature, signature, at } = request;
      const bytes = renewBytes(request);
      demandSignature(publicKey, bytes, signature);
      if (newKey !== undefined) demandSignature(newKey, bytes, newSignature ?? '');
      const seconds = Math.floor(now() / 1000);
      if (Math.abs(seconds - at) > SKEW_S)
        throw new Fault(
          'unauthenticated',
          `at: the request says ${iso(at * 1000)}, here it is ${iso(now())}; set the clock of the node`,
        );
      return give('instance.renewed', instance, newKey ?? publicKey, nodeActor(instance, from), (record) => {
        const held = record?.keys.find(({ key }) => key === publicKey);
        if (!record || !held || record.revokedAt !== undefined || held.expiresAt <= seconds)
          throw new Fault('unauthenticated', `${publicKey} is no key of ${instance} that is in force: enrol it anew`);
        const before = record.keys
          .filter(({ expiresAt }) => expiresAt > seconds)
          .map((one) => (newKey === undefined ? one : { ...one, expiresAt: Math.min(one.expiresAt, seconds + OVERLAP_S) }));
        return { serves: record.serves, before };
      });
    },

    revoke: (instance, actor) =>
      settle(`instance ${instance}`, async (): Promise<IdentityRecord | 'lost'> => {
        const { state, record } = await known(instance);
        if (!record) throw new Fault('not-found', `${instance} has no identity here`);
        if (record.revokedAt !== undefined) return record;
        const next: IdentityRecord = { ...record, revokedAt: iso(now()) };
        const data = { instance, keys: record.keys.map(({ key }) => key) };
        const written = await write('instance.revoked', instance, actor, `instance.${instance}`, next, state, data);
        return written === 'lost' ? 'lost' : next;
      }),

    async of(instance) {
      const { record } = await known(instance);
      if (!record) throw new Fault('not-found', `${instance} has no identity here`);
      return record;
    },
  };
}

/** What an instance may serve and which keys stay beside the new one. @throws Fault when it gets nothing */
type Judge = (record: IdentityRecord | undefined) => {
  readonly serves: readonly string[];
  readonly before: IdentityRecord['keys'];
};
