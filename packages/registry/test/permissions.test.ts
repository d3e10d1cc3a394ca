/** Each route, each role, each kind of token: what the permission table says is what the registry does. */
import type { Role } from '@cim/contracts';
import { testBundle, waitFor } from '@cim/testkit';
import { Kvm } from '@nats-io/kv';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Permission, permissions } from '../src/http/permissions.ts';
import type { RouteRow } from '../src/http/route.ts';
import { routes } from '../src/http/routes.ts';
import { askFrom } from './raw.ts';
import {
  desiredFor,
  desiredPath,
  emit,
  nodeStatus,
  outcome,
  publishHeaders,
  type RegistryProcess,
  roles,
  tokenOf,
  type World,
  world,
} from './support.ts';

let hub: World;
let registry: RegistryProcess;
const all = Object.entries(routes) as [string, RouteRow & { permission: Permission }][];
const wanted = await testBundle({ name: 'inside' });
const other = await testBundle({ name: 'outside' });
/** Tokens by what is the matter with them. */
const managed = new Map<string, { id: string; token: string }>();

const make = async (name: string, request: object) => {
  const { status, body } = await registry.ask('POST', '/api/v1/tokens', { body: { name, ...request } });
  expect([name, status]).toEqual([name, 201]);
  managed.set(name, body);
};
const SCOPE = { workloads: ['in*'], instances: ['cim-in-*'] };

beforeAll(async () => {
  hub = await world();
  registry = await hub.registry({ limits: { requestsPerMinute: 1_000_000 } });
  for (const role of roles) await make(`good-${role}`, { roles: [role] });
  for (const role of ['viewer', 'publisher', 'operator'] as const)
    await make(`scoped-${role}`, { roles: [role], scope: SCOPE });
  for (const role of roles) await make(`revoked-${role}`, { roles: [role] });
  for (const role of roles)
    await make(`expired-${role}`, { roles: [role], expiresAt: new Date(Date.now() + 1_500).toISOString() });
  for (const role of roles) await registry.ask('DELETE', `/api/v1/tokens/${managed.get(`revoked-${role}`)!.id}`);
  const state = async () =>
    (await registry.ask('GET', '/api/v1/tokens')).body.tokens.filter((one: any) => one.state === 'expired').length;
  await waitFor(async () => (await state()) === roles.length, 10_000, 'the tokens to expire');
  for (const bundle of [wanted, other]) expect(outcome(await registry.publish(bundle))).toBe('201');
});
afterAll(async () => hub?.[Symbol.asyncDispose]());

const pathOf = ({ url }: RouteRow) =>
  url.replace(
    /:(\w+)/g,
    (_, name: string) =>
      ({ digest: `sha256:${'0'.repeat(64)}`, kind: 'agent', channel: 'edge', id: '0'.repeat(16), instance: 'cim-out' })[name] ??
      'outside',
  );

/** A body that gets past the schema, so that what is asked next is the scope. */
const bodies: Readonly<Record<string, unknown>> = {
  setChannel: { version: '1.0.0' },
  putDesired: desiredFor(other, { instance: 'cim-out' }),
};

let count = 0;
/** From an address nobody used before, so that wrong tokens of one test do not slow the next. */
async function statusOf(name: string, row: RouteRow, token: string | undefined, headers: Record<string, string> = {}) {
  count++;
  const body = bodies[name];
  const { status } = await askFrom(`127.9.${count >> 8}.${count & 255}`, `${registry.url}${pathOf(row)}`, {
    method: row.method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'if-none-match': '*' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return status;
}

const refused = (status: number) => status === 401 || status === 403;
const forwarded = { 'x-forwarded-for': '203.0.113.9' };

describe('each route', () => {
  test('has one row of the table, and each row a route', () => {
    expect(Object.keys(permissions).sort()).toEqual(Object.keys(routes).sort());
    for (const [name, { method, permission }] of all) {
      if (method === 'GET' || permission.access === 'open') continue;
      expect([name, permission.roles.includes('viewer')]).toEqual([name, false]);
      expect([name, permission.access]).toEqual([name, 'role']);
    }
  });

  test.each(all)('%s: no token, no such token, an expired one, a revoked one', async (name, row) => {
    const strangers = [undefined, 'nobody', `cim_${'0'.repeat(16)}_${'x'.repeat(43)}`];
    for (const role of roles) strangers.push(managed.get(`expired-${role}`)!.token, managed.get(`revoked-${role}`)!.token);
    for (const token of strangers) {
      const open = row.permission.access === 'open';
      expect([name, token, refused(await statusOf(name, row, token, forwarded))]).toEqual([name, token, !open]);
      if (row.permission.access === 'role') expect([name, token, await statusOf(name, row, token)]).toEqual([name, token, 401]);
      if (row.permission.access === 'here') expect([name, token, await statusOf(name, row, token)]).toEqual([name, token, 200]);
    }
  });

  test.each(all)('%s: each role, by file and by managed token', async (name, row) => {
    const { access, roles: enough } = row.permission;
    for (const role of roles)
      for (const token of [tokenOf(role), managed.get(`good-${role}`)!.token]) {
        const forbidden = access !== 'open' && !(enough as readonly Role[]).includes(role);
        const status = await statusOf(name, row, token, forwarded);
        expect([name, role, status === 403, status === 401]).toEqual([name, role, forbidden, false]);
      }
  });

  test.each(all)('%s: a token whose scope is elsewhere', async (name, row) => {
    const { access, roles: enough, scope } = row.permission;
    for (const role of ['viewer', 'publisher', 'operator'] as const) {
      const outside = scope === 'path' || scope === 'unscoped' || name === 'putDesired';
      const forbidden = access !== 'open' && (!(enough as readonly Role[]).includes(role) || outside);
      const status = await statusOf(name, row, managed.get(`scoped-${role}`)!.token, forwarded);
      expect([name, role, status === 403, status === 401]).toEqual([name, role, forbidden, false]);
    }
  });
});

describe('a scope', () => {
  const as = (role: string, method: string, path: string, options: object = {}) =>
    registry.ask(method, path, {
      role: null,
      ...options,
      headers: { authorization: `Bearer ${managed.get(role)!.token}`, ...((options as any).headers ?? {}) },
    });

  test('lets a publisher publish and move what is within, by name and by capability', async () => {
    const send = (who: string, bundle: typeof wanted) =>
      as(who, 'POST', '/api/v1/bundles', { raw: bundle.bytes, headers: publishHeaders(bundle.envelope) });
    expect(outcome(await send('scoped-publisher', await testBundle({ name: 'inner' })))).toBe('201');
    expect(outcome(await send('scoped-publisher', await testBundle({ name: 'strange' })))).toBe('403 forbidden');
    const channel = (name: string) =>
      as('scoped-publisher', 'PUT', `/api/v1/catalog/${name}/channels/edge`, { body: { version: '1.0.0' } });
    expect(outcome(await channel('inside'))).toBe('200');
    expect(outcome(await channel('outside'))).toBe('403 forbidden');
    await make('narrow', { roles: ['publisher', 'operator'], scope: { capabilities: ['greeting.*'] } });
    const speaks = (capability: string, name: string) => testBundle({ name, manifest: { capabilities: { [capability]: {} } } });
    expect(outcome(await send('narrow', await speaks('greeting.say', 'polite')))).toBe('201');
    const rude = await speaks('payment.take', 'rude');
    expect(outcome(await send('narrow', rude))).toBe('403 forbidden');
    expect(outcome(await registry.publish(rude))).toBe('201');
    const record = desiredFor(rude);
    expect(outcome(await as('narrow', 'PUT', desiredPath(record), { body: record, headers: { 'if-none-match': '*' } }))).toBe(
      '403 forbidden',
    );
  });

  test('lets an operator deploy within, and shows everybody only what lies within', async () => {
    const put = async (bundle: typeof wanted, instance: string, who = 'scoped-operator') => {
      const record = desiredFor(bundle, { instance });
      return outcome(await as(who, 'PUT', desiredPath(record), { body: record, headers: { 'if-none-match': '*' } }));
    };
    expect(await put(wanted, 'cim-in-a')).toBe('200');
    expect(await put(wanted, 'cim-out')).toBe('403 forbidden');
    expect(await put(other, 'cim-in-a')).toBe('403 forbidden');
    for (const [bundle, instance] of [
      [wanted, 'cim-out'],
      [other, 'cim-in-a'],
    ] as const)
      expect(await put(bundle, instance, 'good-operator')).toBe('200');
    const kv = await new Kvm(hub.admin).open('CIM_NODES');
    for (const instance of ['cim-in-a', 'cim-out']) await kv.put(instance, JSON.stringify(nodeStatus(instance)));
    await emit(hub.admin, 'cim-in-a', 'agent.deployed', 'inside');
    await emit(hub.admin, 'cim-in-a', 'agent.deployed', 'outside');
    await emit(hub.admin, 'cim-out', 'agent.deployed', 'inside');
    const see = async (path: string) => (await as('scoped-viewer', 'GET', path)).body;
    const names = (list: any[]) => [...new Set(list.map((one) => one.name ?? one.record.document.name))];
    expect(names((await see('/api/v1/catalog')).bundles).sort()).toEqual(['inner', 'inside']);
    const desired = (await see('/api/v1/desired')).desired;
    expect(desired.map(({ record: { document } }: any) => [document.instance, document.name])).toEqual([
      ['cim-in-a', 'inside'],
    ]);
    await waitFor(async () => (await see('/api/v1/nodes')).nodes.length > 0, 5_000, 'the nodes');
    expect((await see('/api/v1/nodes')).nodes.map((one: any) => one.instance)).toEqual(['cim-in-a']);
    expect(names((await see('/api/v1/workloads')).workloads)).toEqual(['inside']);
    const events = (await see('/api/v1/events?pattern=agent.*.deployed')).events;
    expect(events.map(({ event }: any) => [event.ciminstance, event.subject])).toEqual([['cim-in-a', 'inside']]);
    expect((await see(`/api/v1/bundles/${other.statement.digest}`)).code).toBe('not-found');
    expect((await as('scoped-viewer', 'GET', `/api/v1/bundles/${wanted.statement.digest}`)).status).toBe(200);
    expect((await see('/api/v1/whoami')).scope).toEqual(SCOPE);
  });

  test('is never an admin’s, and never reaches beyond the grammar', async () => {
    const tries = [
      { roles: ['admin'], scope: SCOPE },
      { roles: ['viewer'], scope: { workloads: ['a.b'] } },
      { roles: ['viewer'], scope: { workloads: [] } },
      { roles: ['viewer'], scope: { more: 1 } },
      { roles: [], scope: SCOPE },
      { roles: ['viewer'], expiresAt: '2020-01-01T00:00:00Z' },
    ];
    for (const one of tries)
      expect(outcome(await registry.ask('POST', '/api/v1/tokens', { body: { name: 'x', ...one } }))).toBe('400 invalid-input');
  });
});
