/** Enrolment over HTTP, with a real registry and hub: what a token is good for, and all the ways it is not. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { enrolmentToken, enrolRequest, readUserJwt, renewRequest } from '@cim/contracts';
import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { createAccount, createUser, type KeyPair } from '@nats-io/nkeys';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RegistryProcess, type World, world } from './support.ts';

let here: World;
let registry: RegistryProcess;
const account = createAccount();
const signer = createAccount();
const seconds = () => Math.floor(Date.now() / 1000);
const identity = (more: Record<string, unknown> = {}) => ({
  identity: { account: account.getPublicKey(), signingSeedFile: '../node.seed', validity: '1h', perMinute: 1000, ...more },
});

beforeAll(async () => {
  here = await world();
  writeFileSync(join(here.directory, 'node.seed'), new TextDecoder().decode(signer.getSeed()), { mode: 0o600 });
  registry = await here.registry(identity());
});
afterAll(() => here?.[Symbol.asyncDispose]());

const order = async (instance: string, more: Record<string, unknown> = {}, role = 'operator') =>
  registry.ask('POST', '/api/v1/enrolments', { role, body: { instance, serves: ['a.*'], ...more } });
const token = async (instance: string, more: Record<string, unknown> = {}) =>
  (await order(instance, more)).body.token as string;
const enrol = (body: unknown, at = registry) => at.ask('POST', '/api/v1/enrol', { role: null, body });
const renew = (body: unknown) => registry.ask('POST', '/api/v1/enrol/renewal', { role: null, body });
async function enrolled(instance: string): Promise<KeyPair> {
  const key = createUser();
  expect(await enrol(enrolRequest(await token(instance), instance, key, seconds()))).toMatchObject({ status: 200 });
  return key;
}

test('an operator orders a token, a machine trades it for a credential of its own key, serving what was ordered', async () => {
  const key = createUser();
  const ordered = await order('cim-a', { serves: ['document.*', 'b'] });
  expect(ordered).toMatchObject({ status: 201, body: { instance: 'cim-a', serves: ['document.*', 'b'] } });
  const { status, body } = await enrol(enrolRequest(ordered.body.token, 'cim-a', key, seconds()));
  expect(status).toBe(200);
  expect(readUserJwt(body.jwt)).toMatchObject({
    subject: key.getPublicKey(),
    name: 'cim-a',
    account: account.getPublicKey(),
    issuer: signer.getPublicKey(),
    serves: ['document.*', 'b'],
    permissions: undefined,
  });
  expect(Date.parse(body.expiresAt) - Date.now()).toBeLessThanOrEqual(3_600_000);
});

test('only operators and admins order tokens', async () => {
  for (const [role, status] of [
    ['viewer', 403],
    ['publisher', 403],
    ['operator', 201],
    ['admin', 201],
  ] as const)
    expect([role, (await order('cim-x', {}, role)).status]).toEqual([role, status]);
  const nobody = await registry.ask('POST', '/api/v1/enrolments', { role: null, body: { instance: 'cim-x', serves: [] } });
  expect(nobody.status).toBe(401);
});

test('a token is good once: the same key is answered again, another never', async () => {
  const key = createUser();
  const good = enrolRequest(await token('cim-b'), 'cim-b', key, seconds());
  expect((await enrol(good)).status).toBe(200);
  expect((await enrol(good)).status).toBe(200);
  const thief = enrolRequest(good.token, 'cim-b', createUser(), seconds());
  expect(await enrol(thief)).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
});

test('of two that use a token at once, at two registries, one wins', async () => {
  const other = await here.registry(identity());
  const shared = await token('cim-race');
  const [one, two] = await Promise.all([
    enrol(enrolRequest(shared, 'cim-race', createUser(), seconds())),
    enrol(enrolRequest(shared, 'cim-race', createUser(), seconds()), other),
  ]);
  expect([one.status, two.status].sort()).toEqual([200, 401]);
});

test('a token of another instance, an unknown or an expired one, all look the same', async () => {
  const said = new Set<string>();
  const tries = [
    enrolRequest(await token('cim-c'), 'cim-d', createUser(), seconds()),
    enrolRequest(enrolmentToken(randomBytes(32)), 'cim-d', createUser(), seconds()),
  ];
  const late = await token('cim-d', { validSeconds: 60 });
  // What the hub keeps of it is made older, since nobody waits a minute.
  const kv = await new Kvm(jetstream(here.admin)).open('CIM_IDENTITIES');
  const keys: string[] = [];
  for await (const key of await kv.keys()) keys.push(key);
  for (const key of keys.filter((one) => one.startsWith('token.'))) {
    const record = (await kv.get(key))!.json<Record<string, unknown>>();
    // Not one of them is kept as it was given.
    expect(JSON.stringify(record)).not.toContain('cim-enrol-');
    if (record['instance'] === 'cim-d') await kv.put(key, JSON.stringify({ ...record, expiresAt: '2020-01-01T00:00:00Z' }));
  }
  tries.push(enrolRequest(late, 'cim-d', createUser(), seconds()));
  for (const body of tries) {
    const answer = await enrol(body);
    expect(answer.status).toBe(401);
    said.add(answer.body.detail);
  }
  expect(said.size).toBe(1);
});

test('what was changed on the way, or signed by another, is refused', async () => {
  const key = createUser();
  const good = enrolRequest(await token('cim-e'), 'cim-e', key, seconds());
  const other = enrolRequest(good.token, 'cim-e', createUser(), seconds());
  for (const body of [
    { ...good, publicKey: other.publicKey },
    { ...good, signature: other.signature },
    { ...good, at: good.at + 1 },
    { ...good, instance: 'cim-f' },
  ])
    expect([body, (await enrol(body)).body.code]).toEqual([body, 'signature-invalid']);
  for (const body of [{}, { ...good, extra: 1 }, { ...good, token: 'x' }, { ...good, serves: ['>'] }])
    expect((await enrol(body)).status).toBe(400);
  expect((await enrol(good)).status).toBe(200);
});

test('a renewal is given to the key in force, with its new key’s consent, for what was ordered and nothing more', async () => {
  const key = await enrolled('cim-g');
  const next = createUser();
  const good = await renew(renewRequest('cim-g', key, next, seconds()));
  expect(good.status).toBe(200);
  expect(readUserJwt(good.body.jwt)).toMatchObject({ subject: next.getPublicKey(), name: 'cim-g', serves: ['a.*'] });
  // The old one may still ask for a while: an answer that was lost can be asked for again.
  expect((await renew(renewRequest('cim-g', key, next, seconds()))).status).toBe(200);
  const { newSignature: _, ...unsigned } = renewRequest('cim-g', key, next, seconds());
  for (const [body, status] of [
    [renewRequest('cim-g', createUser(), next, seconds()), 401],
    [renewRequest('cim-a', next, undefined, seconds()), 401],
    [renewRequest('cim-none', next, undefined, seconds()), 401],
    [renewRequest('cim-g', next, undefined, seconds() - 3600), 401],
    [unsigned, 422],
  ] as const) {
    const answer = await renew(body);
    expect(answer.status, JSON.stringify(answer.body)).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    if (status === 401) expect(answer.status).toBe(401);
  }
});

test('who is revoked is given nothing more, not for an old token either, until a new one is ordered', async () => {
  const key = await enrolled('cim-h');
  const waiting = await token('cim-h');
  const revoked = await registry.ask('POST', '/api/v1/identities/cim-h/revocation', { role: 'operator' });
  expect(revoked).toMatchObject({ status: 200, body: { keys: [{ key: key.getPublicKey() }] } });
  expect((await renew(renewRequest('cim-h', key, undefined, seconds()))).status).toBe(401);
  expect((await enrol(enrolRequest(waiting, 'cim-h', createUser(), seconds()))).status).toBe(401);
  expect((await enrol(enrolRequest(await token('cim-h'), 'cim-h', createUser(), seconds()))).status).toBe(200);
});

test('every step is in the audit log, and no token is in it, nor in the log of the process', async () => {
  const ordered = await token('cim-i');
  const key = createUser();
  await enrol(enrolRequest(ordered, 'cim-i', key, seconds()));
  const text = (await registry.ask('GET', '/api/v1/audit')).body as string;
  const actions = text
    .split('\n')
    .filter((line) => line.includes('"subject":"cim-i"'))
    .map((line) => /"action":"([^"]+)"/.exec(line)?.[1]);
  expect(actions).toEqual(['instance.enrolment-ordered', 'instance.token-used', 'instance.enrolled']);
  expect(text).not.toContain('cim-enrol-');
  expect(registry.log.join('\n')).not.toContain('cim-enrol-');
  expect(registry.log.join('\n')).not.toContain(new TextDecoder().decode(signer.getSeed()));
});

test('one address asks a bounded number of times a minute', async () => {
  const strict = await here.registry(identity({ perMinute: 3 }));
  const body = enrolRequest(enrolmentToken(randomBytes(32)), 'cim-j', createUser(), seconds());
  const answers = [];
  for (let i = 0; i < 5; i++) answers.push((await enrol(body, strict)).status);
  expect(answers).toEqual([401, 401, 401, 429, 429]);
});

test('a registry without the signing key says so, and one with the account’s own seed does not start', async () => {
  const plain = await here.registry();
  const answer = await plain.ask('POST', '/api/v1/enrolments', { body: { instance: 'cim-k', serves: [] } });
  expect(answer.body.code).toBe('unsupported');
  writeFileSync(join(here.directory, 'account.seed'), new TextDecoder().decode(account.getSeed()));
  await expect(here.registry(identity({ signingSeedFile: '../account.seed' }))).rejects.toThrow(/signing key of the role node/);
});
