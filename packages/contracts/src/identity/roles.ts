/**
 * What a signing key may make: one key of the hub's account per role, each bound by the server to a template derived from the channel and
 * topology tables. Whoever holds the key of a role can make users of that role and of no other.
 *
 * Promises:
 * R1. No template is typed by hand: each is `permissionsOf` with the server's own placeholders where name and capabilities stand.
 * R2. A node's credential joins as a leaf and as nothing else; the others connect as clients and never as a leaf.
 * Placeholders: nats-server 2.10 `{{name()}}` is the user's name, `{{tag(serves)}}` each value of its tags `serves:<value>`.
 */
import { accountOf, type HubAccount } from '../accounts.ts';
import type { Party } from '../channels.ts';
import { channels, patternOf } from '../channels.ts';
import { permissionsOf, type SubjectPermissions } from '../permissions.ts';
import { consumerNames, topology } from '../topology.ts';

/** `monitoring` hears events and log lines, and may do nothing. */
export type IdentityRole = Party | 'monitoring';
export const identityRoles: readonly IdentityRole[] = ['node', 'registry', 'alchemist', 'monitoring'];

/** The account of the hub whose users are of a role. */
export const accountOfRole = (role: IdentityRole): HubAccount => (role === 'monitoring' ? 'CIM' : accountOf(role));

/** How a user of a role may connect, in the server's words. */
export type ConnectionKind = 'STANDARD' | 'WEBSOCKET' | 'LEAFNODE' | 'LEAFNODE_WS';

/** Tag that names a capability pattern a node serves. */
export const SERVES_TAG = 'serves:';
/** Tag that names a consumer a node may pull from at the hub. */
const READER_TAG = 'reader:';

/** Tags of a user of a role: what its template is filled with beyond the name. */
export function roleTags(role: IdentityRole, name: string, serves: readonly string[]): string[] {
  if (role !== 'node') return [];
  return [
    ...serves.map((pattern) => `${SERVES_TAG}${pattern}`),
    ...consumerNames(topology.desired, name).map((reader) => `${READER_TAG}${reader}`),
  ];
}

/** Stands for the name while a template is derived: no table has it. */
const NAME = 'NAMEPLACEHOLDER';

/** What one user of a role may do: the template with the name and the capability patterns filled in. */
export function rolePermissions(role: IdentityRole, name: string, serves?: readonly string[]): SubjectPermissions {
  if (role === 'monitoring') return monitoring(name);
  return permissionsOf(role, name, serves === undefined ? {} : { serves });
}

/** What the users of a role may do, with the server's placeholders. */
export function roleTemplate(role: IdentityRole): SubjectPermissions {
  const { publish, subscribe } = rolePermissions(role, NAME, role === 'node' ? ['{{tag(serves)}}'] : undefined);
  const filled = ({ allow }: { readonly allow: readonly string[] }) => ({
    allow: [...new Set(allow.map((subject) => subject.split('.').map(placeholder).join('.')))],
  });
  return { publish: filled(publish), subscribe: filled(subscribe) };
}

const readers: ReadonlySet<string> = new Set(consumerNames(topology.desired, NAME));
const placeholder = (token: string): string => (token === NAME ? '{{name()}}' : readers.has(token) ? '{{tag(reader)}}' : token);

export const connectionsOf = (role: IdentityRole): readonly ConnectionKind[] =>
  role === 'node' ? ['LEAFNODE', 'LEAFNODE_WS'] : ['STANDARD', 'WEBSOCKET'];

/** Hears what an operator may hear, and asks nothing. */
function monitoring(name: string): SubjectPermissions {
  const heard = (Object.keys(channels) as (keyof typeof channels)[])
    .filter((row) => channels[row].kind === 'event' && (channels[row].to as readonly Party[]).includes('alchemist'))
    .map((row) => patternOf(row).replace(/(?:\.\*)+$/, '.>'));
  return {
    publish: { allow: [`_INBOX.monitoring.${name}.nothing`] },
    subscribe: { allow: [...heard, `_INBOX.monitoring.${name}.>`] },
  };
}
