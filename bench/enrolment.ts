/**
 * What identities cost: the permissions and the credential of a node compiled, and machines enrolled through one registry process, each with a
 * token of its own, 16 at a time. The floor of an enrolment is what any three changes cost at the same registry, since it makes three:
 * the token is ordered, used, and the identity is noted, each with its entry of the audit log before and after.
 */
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { enrolRequest, type KeyPair, newKeyPair, permissionsOf, readUserJwt, roleUserJwt } from '@cim/contracts';
import { type Fleet, startFleet } from '@cim/fleet';
import { atMostRow, median, percentile, type Row, ratioRow } from './row.ts';

const AT_ONCE = 16;
const SERVES = ['document.*', 'greeting.say'];

/** @param batch machines a round */
export async function enrolmentRows(rounds: number, batch: number): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'cim-bench-enrol-'));
  const fleet = await startFleet({ directory, instances: ['cim-first'], identities: 'jwt' });
  try {
    return [...(await compiled(batch)), ...(await enrolled(fleet, rounds, batch))];
  } finally {
    await fleet.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Both by the thousand, since nobody asks for one alone. */
async function compiled(count: number): Promise<Row[]> {
  const ids = Array.from({ length: count }, (_, i) => `cim-${i}`);
  const permissions = await perThousand(ids, (id) => void permissionsOf('node', id, { serves: SERVES }));
  const account = newKeyPair('account').getPublicKey();
  const signer = newKeyPair('account');
  const user = newKeyPair('user').getPublicKey();
  let size = 0;
  const credentials = await perThousand(ids, async (name) => {
    size = (await roleUserJwt({ role: 'node', name, user, account, signer, serves: SERVES })).length;
  });
  const { privateKey } = generateKeyPairSync('ed25519');
  const bytes = randomBytes(size);
  const bare = await perThousand(ids, () => void sign(null, bytes, privateKey));
  return [
    atMostRow('permissions compiled for 1,000 instances', 'ms', permissions, 2_000, 500),
    atMostRow('credentials made for 1,000 instances, over bare signatures', 'ms', credentials, 1_500, 400, bare),
  ];
}

async function perThousand(ids: readonly string[], work: (id: string) => void | Promise<void>): Promise<number> {
  for (const id of ids.slice(0, 20)) await work(id);
  const begun = performance.now();
  for (const id of ids) await work(id);
  return ((performance.now() - begun) * 1000) / ids.length;
}

async function enrolled(fleet: Fleet, rounds: number, batch: number): Promise<Row[]> {
  const admin = fleet.secrets.token('admin');
  const ask = async (path: string, body: unknown, token?: string): Promise<unknown> => {
    const answer = await fetch(`${fleet.registry.url}/api/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const took: number[] = [];
  const enrol = async (name: string, key: KeyPair) => {
    const begun = performance.now();
    const { token } = (await ask('enrolments', { instance: name, serves: SERVES }, admin)) as { token: string };
    const { jwt } = (await ask('enrol', enrolRequest(token, name, key, Math.floor(Date.now() / 1000)))) as { jwt: string };
    took.push(performance.now() - begun);
    if (readUserJwt(jwt).name !== name) throw new Error(`${name} was given another's`);
  };
  const three = async (name: string) => {
    for (const part of ['a', 'b', 'c']) await ask('tokens', { name: `${name}-${part}`, roles: ['viewer'] }, admin);
  };
  const rates: number[] = [];
  const floors: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const names = Array.from({ length: batch }, (_, i) => `cim-${round}-${i}`);
    const keys = names.map(() => newKeyPair('user'));
    floors.push(await rate(names, three));
    rates.push(await rate(names, (name, i) => enrol(name, keys[i]!)));
  }
  return [
    ratioRow('machines enrolled, 16 at a time, over three plain changes', '1/s', median(rates), median(floors), 0.5, 0.9),
    atMostRow('p99 of an enrolment among 16', 'ms', percentile(took, 0.99), 5_000, 500),
  ];
}

/** A second, {@link AT_ONCE} at a time. */
async function rate(names: readonly string[], work: (name: string, index: number) => Promise<void>): Promise<number> {
  const waiting = [...names.entries()];
  const begun = performance.now();
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await work(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return names.length / ((performance.now() - begun) / 1000);
}
