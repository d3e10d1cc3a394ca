/** Managed tokens across registries: made at one, good at the other; revoked at one, worthless at both, at once. */
import { createHash } from 'node:crypto';
import { testBundle, waitFor } from '@cim/testkit';
import { Kvm } from '@nats-io/kv';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hashOf, sameHash } from '../src/auth.ts';
import { askFrom } from './raw.ts';
import { outcome, type RegistryProcess, type World, world } from './support.ts';

let hub: World;
let one: RegistryProcess;
let two: RegistryProcess;
beforeAll(async () => {
  hub = await world();
  [one, two] = await Promise.all([hub.registry(), hub.registry()]);
  expect(outcome(await one.publish(await testBundle({ name: 'mine' })))).toBe('201');
});
afterAll(async () => hub?.[Symbol.asyncDispose]());

let count = 0;
/** From an address nobody used before: who shows wrong tokens is answered later and later. */
const as = (registry: RegistryProcess, token: string, path = '/api/v1/whoami', method = 'GET', body?: string) =>
  askFrom(`127.11.0.${++count % 250}`, `${registry.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body }),
  });
const make = async (request: object = {}) =>
  (await one.ask('POST', '/api/v1/tokens', { body: { name: 'some', roles: ['publisher'], ...request } })).body;
const change = (registry: RegistryProcess, token: string) =>
  as(registry, token, '/api/v1/catalog/mine/channels/edge', 'PUT', '{"version":"1.0.0"}');

test('a token made at one registry is good at the other from its first use', async () => {
  for (let i = 0; i < 5; i++) {
    const { token } = await make();
    expect((await as(two, token)).body).toEqual({ name: 'some', roles: ['publisher'] });
  }
});

test('a revoked one changes nothing at any registry from the moment it was revoked, and soon reads nothing', async () => {
  for (let i = 0; i < 5; i++) {
    const { token, id } = await make();
    expect((await change(two, token)).status).toBe(200);
    const revoked = await one.ask('DELETE', `/api/v1/tokens/${id}`);
    expect([revoked.status, revoked.body.state, revoked.body.revokedBy]).toEqual([200, 'revoked', 'admin']);
    expect((await change(two, token)).body.code).toBe('unauthenticated');
    expect((await as(one, token)).body.code).toBe('unauthenticated');
    await waitFor(async () => (await as(two, token)).status === 401, 5_000, 'the other registry to hear of it');
    // Revoking again is no error and no second change.
    expect((await two.ask('DELETE', `/api/v1/tokens/${id}`)).body.revokedAt).toBe(revoked.body.revokedAt);
  }
});

test('two who revoke one token at once are both told that it is revoked', async () => {
  const { id } = await make();
  const answers = await Promise.all([one, two, one, two].map((registry) => registry.ask('DELETE', `/api/v1/tokens/${id}`)));
  expect(answers.map(({ status, body }) => [status, body.state])).toEqual(Array.from({ length: 4 }, () => [200, 'revoked']));
});

test('the hub holds hashes; half a token, another’s secret or a spelling of its own is none', async () => {
  const first = await make();
  const second = await make();
  const kv = await new Kvm(hub.admin).open('CIM_TOKENS');
  const stored = (await kv.get(first.id))!.string();
  expect(stored).not.toContain(first.token.split('_')[2]);
  expect(JSON.parse(stored).sha256).toBe(createHash('sha256').update(first.token).digest('hex'));
  const secret = (token: string) => token.slice('cim_'.length + 17);
  for (const wrong of [
    `cim_${first.id}_${secret(second.token)}`,
    first.token.slice(0, -1),
    `${first.token}a`,
    first.token.toUpperCase(),
    `cim_${first.id}_`,
    secret(first.token),
    JSON.parse(stored).sha256,
  ])
    expect([wrong, (await as(one, wrong)).status]).toEqual([wrong, 401]);
  const { body } = await one.ask('GET', '/api/v1/tokens');
  expect(JSON.stringify(body)).not.toMatch(/sha256|cim_/);
});

test('a bucket that somebody filled with garbage gives nobody a role', async () => {
  const kv = await new Kvm(hub.admin).open('CIM_TOKENS');
  const id = 'f'.repeat(16);
  const token = `cim_${id}_${'x'.repeat(43)}`;
  const entry = {
    id: 'e'.repeat(16),
    name: 'x',
    sha256: hashOf(token),
    roles: ['admin'],
    createdAt: new Date().toISOString(),
    createdBy: 'x',
  };
  for (const value of ['{', '{}', JSON.stringify(entry), JSON.stringify({ ...entry, id, roles: ['king'] })]) {
    await kv.put(id, value);
    expect((await as(one, token, '/api/v1/tokens')).status).toBe(401);
  }
  expect((await one.ask('GET', '/api/v1/tokens')).status).toBe(200);
});

test('hashes are compared whole', () => {
  const hash = hashOf('a');
  expect(sameHash(hash, hash)).toBe(true);
  for (const other of [hashOf('b'), hash.slice(1), '', `${hash}0`]) expect(sameHash(hash, other)).toBe(false);
});
