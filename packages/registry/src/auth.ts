/**
 * Who asks, and what they may do.
 *
 * Promises:
 * A1. A token is never stored or logged; files and buckets hold its SHA-256, and that is what is compared, in constant time.
 * A2. A role or a scope that is missing is named in the refusal.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { Fault, outsideScope, type Role, type TokenScope, type Touched } from '@cim/contracts';
import type { Permission } from './http/permissions.ts';

/** A known caller: the name goes into audit and events. */
export interface Caller {
  readonly name: string;
  readonly roles: readonly Role[];
  /** How they proved it. */
  readonly via: 'token-file' | 'token' | 'certificate' | 'node-key';
  readonly scope?: TokenScope | undefined;
  /** When the proof ends, ISO. */
  readonly expiresAt?: string | undefined;
  /** Id of a managed token. */
  readonly tokenId?: string | undefined;
}

/** SHA-256 of a token, as files and buckets hold it: hex. */
export const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex');

/** Constant-time; both are hashes in hex. */
export const sameHash = (one: string, other: string): boolean =>
  one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other));

/** True when one of the roles is among those of the row. Pure. */
export const allows = (roles: readonly Role[], { access, roles: enough }: Pick<Permission, 'access' | 'roles'>): boolean =>
  access === 'open' || roles.some((role) => enough.includes(role));

/** @throws Fault `unauthenticated` or `forbidden`, saying what is missing */
export function demand(caller: Caller | undefined, permission: Permission, proofGiven: boolean): void {
  if (permission.access === 'open') return;
  if (!caller) {
    throw new Fault(
      'unauthenticated',
      proofGiven
        ? 'the token is not known here, has expired or was revoked'
        : 'expected the header "Authorization: Bearer <token>", found none',
    );
  }
  if (!allows(caller.roles, permission))
    throw new Fault(
      'forbidden',
      `"${caller.name}" has ${caller.roles.join(', ')}; this needs ${permission.roles.join(' or ')}`,
    );
  if (permission.scope === 'unscoped' && caller.scope !== undefined)
    throw new Fault('forbidden', `"${caller.name}" is good for a part of the fleet only; this needs a token without a scope`);
}

/** @throws Fault `forbidden` naming what lies outside the caller's scope */
export function demandScope({ name, scope }: Pick<Caller, 'name' | 'scope'>, touched: Touched): void {
  const outside = outsideScope(scope, touched);
  if (outside !== undefined) throw new Fault('forbidden', `"${name}" is not good for ${outside}`);
}

/** True when the caller may know of it. */
export const withinScope = (caller: Pick<Caller, 'scope'> | undefined, touched: Touched): boolean =>
  outsideScope(caller?.scope, touched) === undefined;
