/**
 * THE permission table: which role may use which route, and how the scope of a token bounds it. The checks, the security of the OpenAPI
 * document, docs/api.md and the tests of all of them derive from here.
 *
 * Promises:
 * P1. Every route has exactly one row; a route without one does not compile.
 * P2. What changes something needs a role that says so; a viewer changes nothing.
 */
import type { Role } from '@cim/contracts';

/**
 * How a scope bounds a route.
 * - `nothing`: it tells nothing of any workload or instance.
 * - `path`: the name or instance in the path lies within it.
 * - `written`: so does what is written, with the capabilities of the bundle.
 * - `answer`: the answer holds only what lies within it.
 * - `unscoped`: only tokens without a scope.
 */
export type ScopeRule = 'nothing' | 'path' | 'written' | 'answer' | 'unscoped';

export interface Permission {
  /** `open`: anyone. `here`: anyone on this machine, from elsewhere by role. `role`: a token or certificate with one of the roles. */
  readonly access: 'open' | 'here' | 'role';
  readonly roles: readonly Role[];
  readonly scope: ScopeRule;
}

const everyone = ['viewer', 'publisher', 'operator', 'admin'] as const;
const may = (roles: readonly Role[], scope: ScopeRule): Permission => ({ access: 'role', roles, scope });
const open: Permission = { access: 'open', roles: everyone, scope: 'nothing' };

export const permissions = {
  publish: may(['publisher', 'admin'], 'written'),
  bytes: may(everyone, 'answer'),
  catalog: may(everyone, 'answer'),
  catalogItem: may(everyone, 'path'),
  resolve: may(everyone, 'path'),
  setChannel: may(['publisher', 'admin'], 'path'),
  desiredList: may(everyone, 'answer'),
  desired: may(everyone, 'path'),
  putDesired: may(['operator', 'admin'], 'written'),
  nodes: may(everyone, 'answer'),
  node: may(everyone, 'path'),
  workloads: may(everyone, 'answer'),
  events: may(everyone, 'answer'),
  eventStream: may(everyone, 'answer'),
  tokens: may(['admin'], 'unscoped'),
  createToken: may(['admin'], 'unscoped'),
  revokeToken: may(['admin'], 'unscoped'),
  audit: may(['admin'], 'unscoped'),
  auditHead: may(['admin'], 'unscoped'),
  orderEnrolment: may(['operator', 'admin'], 'unscoped'),
  enrol: open,
  renewCredential: open,
  identity: may(['operator', 'admin'], 'unscoped'),
  revokeIdentity: may(['operator', 'admin'], 'unscoped'),
  trust: may(everyone, 'nothing'),
  putTrust: may(['operator', 'admin'], 'unscoped'),
  log: may(everyone, 'unscoped'),
  logHead: may(everyone, 'nothing'),
  provenance: may(everyone, 'path'),
  putProvenance: may(['publisher', 'admin'], 'path'),
  whoami: may(everyone, 'nothing'),
  health: open,
  live: open,
  ready: open,
  metrics: { access: 'here', roles: everyone, scope: 'unscoped' },
  openapi: open,
} as const satisfies Record<string, Permission>;

/** `viewer, publisher…` of a row, for people. */
export const whoMay = ({ access, roles }: Permission): string =>
  access === 'open' ? 'anyone' : `${roles.join(', ')}${access === 'here' ? ', anyone on this machine' : ''}`;
