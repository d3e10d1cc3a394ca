/**
 * Accounts, brought to the hub's servers over the system account: how a revocation, a new signing key or a changed permission gets there.
 *
 * Promises:
 * A1. The account the servers have now is read first; what is pushed goes on from its revocations, so two administrators lose nothing.
 * A2. It is done only when every server that answered has said so; what none answered is `hub-unreachable`.
 * A3. What was pushed is kept in the hub's directory too.
 */
import { hubAccountJwt, readAccountJwt } from '@cim/contracts';
import { openSystem } from '../connection-system.ts';
import { type HubDirectory, hubPaths } from './directory.ts';
import { readText, replaceWhole } from './files.ts';

export interface Pushed {
  readonly account: string;
  readonly servers: readonly string[];
  readonly revocations: Readonly<Record<string, number>>;
}

/**
 * Signs the accounts anew, with these revocations added, and pushes them. Also brings the templates of this version of CIM.
 * @param revoke user key, or `*`, to the second since 1970 up to which what was issued is void
 * @throws Fault `hub-unreachable`, `unauthenticated`, `not-found` when a key is not at hand
 */
export async function pushAccount(
  hub: HubDirectory,
  revoke: Readonly<Record<string, number>>,
  url = hub.hub.url,
  caFile?: string,
): Promise<Pushed> {
  const paths = hubPaths(hub.directory);
  const { account, hubAccount, roles } = hub.hub;
  const accounts = { HUB: hubAccount, CIM: account };
  const operatorSigner = hub.key('operator-signing');
  const system = await openSystem(url, paths.creds('system'), caFile);
  try {
    const all: Record<string, number> = {};
    const servers = new Set<string>();
    // What gives before what takes from it.
    for (const which of ['HUB', 'CIM'] as const) {
      const held = await system.lookUp(accounts[which]);
      const own = readAccountJwt(readText(paths.account(which), 'account'));
      const revocations: Record<string, number> = { ...own.revocations };
      // A user's key is in one of the accounts; in the other a word about it does nothing.
      for (const [key, at] of [...Object.entries(held?.revocations ?? {}), ...Object.entries(revoke)])
        revocations[key] = Math.max(revocations[key] ?? 0, at);
      const jwt = await hubAccountJwt(which, { accounts, operatorSigner, roles, revocations });
      for (const server of await system.push(jwt)) servers.add(server);
      replaceWhole(paths.account(which), `${jwt}\n`);
      Object.assign(all, revocations);
    }
    return { account, servers: [...servers], revocations: all };
  } finally {
    await system.close();
  }
}
