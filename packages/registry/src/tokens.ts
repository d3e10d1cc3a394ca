/**
 * Managed tokens: made, listed and revoked through the API, kept as hashes in the hub's bucket CIM_TOKENS.
 *
 * Promises:
 * T1. A token is shown once, when it is made; nobody can have it shown again.
 * T2. A revoked or expired token changes nothing from the moment the revocation was answered, at whichever registry it is shown: a change
 *     is preceded by a look at the hub. What it may read it stops reading within the time a message takes.
 * T3. A token that cannot be looked up, because the hub is away and was never heard, is not called unknown.
 *
 * A token is `cim_<id>_<secret>`: the id (not secret) finds the entry, the secret is 256 bits of chance.
 */
import { randomBytes } from 'node:crypto';
import { type Clock, decodeJson, Fault, ManagedToken, type TokenRequest, type TokenView } from '@cim/contracts';
import type { Actor, Audit } from './audit.ts';
import { type Caller, hashOf, sameHash } from './auth.ts';
import type { Bucket } from './store/bucket.ts';
import type { BucketView } from './store/view.ts';

export interface Tokens {
  /** The caller a token belongs to, or undefined when it is none of ours (any more). @throws Fault `hub-unreachable` (T3) */
  identify(token: string): Promise<Caller | undefined>;
  /** T2. @throws Fault `unauthenticated`, `hub-unreachable` */
  confirm(caller: Caller): Promise<void>;
  list(): Promise<TokenView[]>;
  /** T1. @throws Fault `invalid-input` */
  create(request: TokenRequest, actor: Actor): Promise<{ readonly token: string; readonly view: TokenView }>;
  /** Revokes; of a revoked one it says so again. @throws Fault `not-found` */
  revoke(id: string, actor: Actor): Promise<TokenView>;
}

export interface TokensDeps {
  readonly clock: Clock;
  readonly bucket: Bucket;
  readonly view: BucketView<ManagedToken>;
  readonly audit: Audit;
}

const FORM = /^cim_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/;
const TRIES = 3;

/** @throws Fault when the value is no token of this key */
export function tokenRow(key: string, bytes: Uint8Array): ManagedToken {
  const token = decodeJson(ManagedToken, bytes, key);
  if (token.id === key) return token;
  throw new Fault('invalid-input', `${key}: id: expected "${key}" as in the key, found "${token.id}"`);
}

export function createTokens({ clock, bucket, view, audit }: TokensDeps): Tokens {
  const good = ({ revokedAt, expiresAt }: Pick<ManagedToken, 'revokedAt' | 'expiresAt'>) =>
    revokedAt === undefined && (expiresAt === undefined || Date.parse(expiresAt) > clock.now());
  const viewOf = ({ sha256: _, ...known }: ManagedToken): TokenView => ({
    ...known,
    state: known.revokedAt !== undefined ? 'revoked' : good(known) ? 'good' : 'expired',
  });
  const find = async (id: string) => {
    const known = view.entries().get(id)?.value;
    // One made a moment ago at another registry may not have been heard of yet.
    return known ?? (await view.fresh()).get(id)?.value;
  };

  return {
    async identify(token) {
      const id = FORM.exec(token)?.[1];
      if (id === undefined) return undefined;
      const entry = await find(id);
      if (!entry || !sameHash(hashOf(token), entry.sha256) || !good(entry)) return undefined;
      const { name, roles, scope, expiresAt } = entry;
      return { name, roles, via: 'token', scope, expiresAt, tokenId: id };
    },

    async confirm({ tokenId }) {
      if (tokenId === undefined) return;
      const state = await bucket.state(tokenId);
      if (!state.bytes || !good(tokenRow(tokenId, state.bytes)))
        throw new Fault('unauthenticated', 'the token has expired or was revoked');
    },

    async list() {
      const tokens = [...(await view.fresh()).values()].map(({ value }) => viewOf(value));
      return tokens.sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
    },

    async create(request, actor) {
      if (request.expiresAt !== undefined && Date.parse(request.expiresAt) <= clock.now()) {
        const message = `expected a time to come, found ${request.expiresAt}`;
        throw new Fault('invalid-input', `expiresAt: ${message}`, { issues: [{ path: 'expiresAt', message }] });
      }
      const id = randomBytes(8).toString('hex');
      const token = `cim_${id}_${randomBytes(32).toString('base64url')}`;
      const entry: ManagedToken = {
        id,
        ...request,
        sha256: hashOf(token),
        createdAt: new Date(clock.now()).toISOString(),
        createdBy: actor.caller.name,
      };
      const { name, roles, scope = null, expiresAt = null } = entry;
      const written = await audit.change({
        action: 'token.created',
        subject: id,
        actor,
        bucket,
        key: id,
        value: JSON.stringify(entry),
        state: { revision: 0, bytes: undefined, change: undefined },
        data: { id, name, roles, scope, expiresAt },
      });
      if (written.kind === 'lost') throw new Fault('conflict', `the token id ${id} is taken: try again`);
      return { token, view: viewOf(entry) };
    },

    async revoke(id, actor) {
      for (let tries = 0; ; tries++) {
        const state = await bucket.state(id);
        if (!state.bytes) throw new Fault('not-found', `there is no token ${id}`);
        const before = tokenRow(id, state.bytes);
        if (before.revokedAt !== undefined) return viewOf(before);
        const after: ManagedToken = {
          ...before,
          revokedAt: new Date(clock.now()).toISOString(),
          revokedBy: actor.caller.name,
        };
        const { name, roles } = after;
        const written = await audit.change({
          action: 'token.revoked',
          subject: id,
          actor,
          bucket,
          key: id,
          value: JSON.stringify(after),
          state,
          data: { id, name, roles },
        });
        if (written.kind === 'written') {
          await view.fresh();
          return viewOf(after);
        }
        if (tries + 1 >= TRIES) throw new Fault('revision-conflict', `token ${id}: somebody else changes it`);
      }
    },
  };
}
