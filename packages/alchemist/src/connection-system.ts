/**
 * The system account over NATS: reading and pushing accounts. A person's credential for it lies in the directory of the hub.
 */
import { readFileSync } from 'node:fs';
import { type AccountClaims, Fault, readAccountJwt } from '@cim/contracts';
import { connect } from '@cim/contracts/wire';
import { credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { readText } from './hub/files.ts';
import { SYSTEM_INBOX } from './hub/init.ts';

const DEADLINE_MS = 5_000;

/** @throws Fault `hub-unreachable`, `unauthenticated`, `not-found` where there is no such file */
export async function openSystem(url: string, credsFile: string, caFile: string | undefined) {
  const connection = await join(url, credsFile, caFile);
  return {
    /** The account as the servers have it, or undefined where none has it. */
    lookUp: (account: string) => lookUp(connection, account),
    /** @returns names of the servers that took it. @throws Fault */
    push: (jwt: string) => push(connection, jwt),
    close: () => connection.close(),
  };
}

async function join(url: string, credsFile: string, caFile: string | undefined): Promise<NatsConnection> {
  const creds = readText(credsFile, 'system credential');
  try {
    return await connect({
      servers: url,
      name: 'alchemist hub',
      timeout: DEADLINE_MS,
      reconnect: false,
      inboxPrefix: SYSTEM_INBOX,
      authenticator: credsAuthenticator(new TextEncoder().encode(`${creds}\n`)),
      ...(caFile === undefined ? {} : { tls: { ca: readFileSync(caFile, 'utf8') } }),
    });
  } catch (cause) {
    const { name, message } = cause as Error;
    const refused = name === 'AuthorizationError' || name === 'UserAuthenticationExpiredError';
    throw new Fault(refused ? 'unauthenticated' : 'hub-unreachable', `NATS at ${url}: ${message} (as ${credsFile})`, { cause });
  }
}

async function lookUp(connection: NatsConnection, account: string): Promise<AccountClaims | undefined> {
  const answer = await connection
    .request(`$SYS.REQ.ACCOUNT.${account}.CLAIMS.LOOKUP`, '', { timeout: DEADLINE_MS })
    .catch(() => undefined);
  const jwt = answer?.string();
  return jwt?.startsWith('ey') ? readAccountJwt(jwt) : undefined;
}

interface UpdateAnswer {
  readonly server?: { readonly name?: string };
  readonly data?: { readonly code?: number; readonly message?: string };
  readonly error?: { readonly description?: string; readonly code?: number };
}

async function push(connection: NatsConnection, jwt: string): Promise<string[]> {
  const taken: string[] = [];
  const answers = await connection.requestMany('$SYS.REQ.CLAIMS.UPDATE', jwt, { maxWait: 1_500, noMux: true });
  for await (const answer of answers) {
    if (answer.headers?.code === 503) break;
    const said = answer.json<UpdateAnswer>();
    const name = said.server?.name ?? 'a server';
    if (said.error || said.data?.code !== 200)
      throw new Fault('internal', `${name} refused the account: ${said.error?.description ?? JSON.stringify(said.data)}`);
    taken.push(name);
  }
  if (taken.length === 0) throw new Fault('hub-unreachable', 'no server took the account within 1.5 s');
  return taken;
}
