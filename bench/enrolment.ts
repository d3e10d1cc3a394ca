/**
 * What identities cost: permissions and credentials compiled for 1,000 instances, and 1,000 machines enrolled through one registry process, each
 * with a token of its own, 16 at a time. Run by itself: `node bench/enrolment.ts [count]`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { enrolRequest, newKeyPair, permissionsOf, readUserJwt, roleUserJwt, systemClock } from '@cim/contracts';
import { startFleet } from '@cim/fleet';

const count = Number(process.argv[2] ?? 1000);
const AT_ONCE = 16;
const { monotonic } = systemClock;
const took = async (work: () => unknown): Promise<number> => {
  const begun = monotonic();
  await work();
  return monotonic() - begun;
};
const ids = Array.from({ length: count }, (_, i) => `cim-${i}`);

const permissionsMs = await took(() => {
  for (const id of ids) permissionsOf('node', id, { serves: ['document.*', 'greeting.say'] });
});
const account = newKeyPair('account').getPublicKey();
const signer = newKeyPair('account');
const keys = ids.map(() => newKeyPair('user'));
const credentialsMs = await took(async () => {
  for (const [i, name] of ids.entries())
    await roleUserJwt({ role: 'node', name, user: keys[i]!.getPublicKey(), account, signer, serves: ['document.*'] });
});

const directory = mkdtempSync(join(tmpdir(), 'cim-bench-'));
const fleet = await startFleet({ directory, instances: ['cim-first'], identities: 'jwt' });
try {
  const ask = async (path: string, body: unknown, token?: string): Promise<any> => {
    const answer = await fetch(`${fleet.registry.url}/api/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const times: number[] = [];
  const waiting = [...ids.entries()];
  const enrolMs = await took(() =>
    Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let next = waiting.shift(); next; next = waiting.shift()) {
          const [i, instance] = next;
          const begun = monotonic();
          const { token } = await ask('enrolments', { instance, serves: ['document.*'] }, fleet.secrets.token('admin'));
          const given = await ask('enrol', enrolRequest(token, instance, keys[i]!, Math.floor(systemClock.now() / 1000)));
          if (readUserJwt(given.jwt).name !== instance) throw new Error(`${instance} was given another's`);
          times.push(monotonic() - begun);
        }
      }),
    ),
  );
  times.sort((a, b) => a - b);
  const report = {
    count,
    permissionsMs: Math.round(permissionsMs),
    credentialsMs: Math.round(credentialsMs),
    enrolMs: Math.round(enrolMs),
    perSecond: Math.round(count / (enrolMs / 1000)),
    p50Ms: Math.round(times[times.length >> 1]!),
    p99Ms: Math.round(times[Math.floor(times.length * 0.99)]!),
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
} finally {
  await fleet.stop();
  rmSync(directory, { recursive: true, force: true });
}
