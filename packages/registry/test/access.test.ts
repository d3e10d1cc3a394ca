/** Who may ask what, and what holds for every request: roles, limits, ids, problems, the description of the API; garbage. */
import { connect } from 'node:net';
import { Problem } from '@cim/contracts';
import { testBundle, waitFor } from '@cim/testkit';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RouteRow } from '../src/http/route.ts';
import { routes } from '../src/http/routes.ts';
import { outcome, problemOf, publishHeaders, type RegistryProcess, roles, type World, world, writeTokens } from './support.ts';

let hub: World;
let registry: RegistryProcess;
const all = Object.entries(routes) as [string, RouteRow][];

beforeAll(async () => {
  hub = await world();
  registry = await hub.registry({ limits: { requestsPerMinute: 100_000 } });
});
afterAll(async () => hub?.[Symbol.asyncDispose]());

describe('who asks', () => {
  test('metrics that come through a proxy of this machine need a token', async () => {
    const forwarded = { 'x-forwarded-for': '203.0.113.9' };
    expect(outcome(await registry.ask('GET', '/metrics', { role: null, headers: forwarded }))).toBe('401 unauthenticated');
    expect((await registry.ask('GET', '/metrics', { role: 'viewer', headers: forwarded })).status).toBe(200);
  });

  test('who am I', async () => {
    expect((await registry.ask('GET', '/api/v1/whoami', { role: 'operator' })).body).toEqual({
      name: 'operator',
      roles: ['operator'],
    });
  });
});

test('a changed token file is in force within seconds; a broken one changes nothing and is said', async () => {
  const status = async (name: string) => (await registry.ask('GET', '/api/v1/whoami', { role: name })).status;
  const keep = roles.map((role) => [role, [role]] as const);
  expect(await status('newcomer')).toBe(401);
  writeTokens(hub.tokensFile, [...keep, ['newcomer', ['viewer']]]);
  await waitFor(async () => (await status('newcomer')) === 200, 10_000, 'the new token');
  const { writeFileSync } = await import('node:fs');
  writeFileSync(hub.tokensFile, '{"tokens":[{"name":"x"}]}');
  const conditions = async () => (await registry.ask('GET', '/health', { role: null })).body.conditions;
  const tokensTrouble = async () => (await conditions()).find(({ code }: { code: string }) => code === 'tokens-unreadable');
  await waitFor(async () => (await tokensTrouble()) !== undefined, 10_000, 'the condition');
  expect((await tokensTrouble()).detail).toContain('tokens[0].sha256');
  expect(await status('newcomer')).toBe(200);
  writeTokens(hub.tokensFile, keep);
  await waitFor(async () => (await status('newcomer')) === 401, 10_000, 'the token to be gone');
  expect((await conditions()).map(({ code }: { code: string }) => code)).not.toContain('tokens-unreadable');
});

describe('every answer', () => {
  test('carries a request id, the own one where it is sensible', async () => {
    const { headers } = await registry.ask('GET', '/health', { headers: { 'x-request-id': 'mine-1' } });
    expect(headers.get('x-request-id')).toBe('mine-1');
    const other = await registry.ask('GET', '/nowhere', { headers: { 'x-request-id': 'no good id!' } });
    expect(other.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    expect(problemOf(other)).toMatchObject({ code: 'not-found', requestId: other.headers.get('x-request-id') });
  });

  test('is closed to other origins and sniffers', async () => {
    const { headers } = await registry.ask('GET', '/api/v1/catalog', { headers: { origin: 'https://elsewhere.example' } });
    expect(headers.get('access-control-allow-origin')).toBeNull();
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  test('to a body too large, a wrong type or no JSON names what is wrong', async () => {
    const path = '/api/v1/catalog/some/channels/edge';
    const send = (raw: string, type: string) => registry.ask('PUT', path, { raw, headers: { 'content-type': type } });
    expect(outcome(await send(`{"version":"${'1'.repeat(2 ** 20)}"}`, 'application/json'))).toBe('413 too-large');
    expect(problemOf(await send('<a/>', 'text/xml')).errors?.[0]?.path).toBe('header.content-type');
    expect(outcome(await send('{"version":', 'application/json'))).toBe('400 invalid-input');
    expect(outcome(await send('{"__proto__":{"a":1},"version":"1.0.0"}', 'application/json'))).toBe('400 invalid-input');
    expect(problemOf(await send('{"version":"one"}', 'application/json')).errors?.[0]?.path).toBe('version');
    expect(problemOf(await send('{"version":"1.0.0","more":1}', 'application/json')).errors?.[0]?.path).toBe('more');
  });

  test('to broken HTTP is a problem too', async () => {
    const { hostname, port } = new URL(registry.url);
    const speak = (text: string) =>
      new Promise<string>((resolve, reject) => {
        const socket = connect(Number(port), hostname, () => socket.write(text));
        let answer = '';
        socket.on('data', (chunk) => {
          answer += chunk;
        });
        socket.on('close', () => resolve(answer));
        socket.on('error', reject);
      });
    for (const [text, code] of [
      ['NONSENSE\r\n\r\n', 'invalid-input'],
      [`GET / HTTP/1.1\r\nhost: x\r\nx-long: ${'a'.repeat(80_000)}\r\n\r\n`, 'too-large'],
    ] as const) {
      const answer = await speak(text);
      expect(Problem.parse(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))).code).toBe(code);
    }
  });
});

test('more than requestsPerMinute of one token are refused with Retry-After, others are not', async () => {
  const small = await hub.registry({ limits: { requestsPerMinute: 5 } });
  const outcomes = [];
  for (let i = 0; i < 7; i++) outcomes.push(await small.ask('GET', '/api/v1/whoami', { role: 'viewer' }));
  expect(outcomes.map(outcome)).toEqual([...Array.from({ length: 5 }, () => '200'), '429 rate-limited', '429 rate-limited']);
  expect(Number(outcomes.at(-1)!.headers.get('retry-after'))).toBeGreaterThan(0);
  expect(outcome(await small.ask('GET', '/api/v1/whoami', { role: 'operator' }))).toBe('200');
});

describe('the description of the API', () => {
  test('names every route, its answers and what it needs', async () => {
    const { body } = await registry.ask('GET', '/openapi.json', { role: null });
    expect(body.openapi).toBe('3.1.0');
    for (const [name, { url, method, permission }] of all) {
      const operation = body.paths[url.replace(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()];
      expect([name, operation !== undefined]).toEqual([name, true]);
      const known = [{ token: [] }, { certificate: [] }];
      const expected = { open: [{}], here: [...known, {}], role: known }[permission.access];
      expect([name, operation.security]).toEqual([name, expected]);
      expect([name, operation['x-cim-roles']]).toEqual([name, permission.access === 'open' ? [] : [...permission.roles]]);
      expect([name, operation['x-cim-scope']]).toEqual([name, permission.scope]);
      expect(Object.keys(operation.responses)).toContain('default');
    }
    expect(body.paths['/api/v1/bundles'].post.requestBody.content).toHaveProperty(['application/vnd.cim.bundle']);
  });

  test('is shown by a page that loads nothing from elsewhere', async () => {
    const page = await fetch(`${registry.url}/docs`);
    const html = await page.text();
    expect(page.status).toBe(200);
    expect(html).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
    expect(page.headers.get('content-security-policy')).toMatch(/script-src 'self' 'sha256-/);
    const script = await fetch(new URL('js/scalar.js', page.url));
    expect(script.status).toBe(200);
    expect((await script.text()).length).toBeGreaterThan(100_000);
  });
});

describe('garbage', () => {
  const texts = fc.oneof(
    fc.string({ maxLength: 200 }),
    fc.json({ maxDepth: 5 }),
    fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    fc.constantFrom('', '{', 'null', '[]', '"x"', '{"document":null}', '{"document":{"config":{"__proto__":1}}}'),
  );
  const token = fc.string({ unit: fc.constantFrom(...'abz019.-_~%2e/ü*>'), minLength: 1, maxLength: 80 });
  const answered = (answer: { status: number; body: unknown }) => {
    expect(answer.status).toBeLessThan(500);
    if (answer.status >= 400) expect(Problem.safeParse(answer.body).success).toBe(true);
  };

  test('as a body never fails the registry', async () => {
    await fc.assert(
      fc.asyncProperty(
        texts,
        fc.constantFrom('application/json', 'application/vnd.cim.bundle', 'text/plain', 'application/json; charset=latin1'),
        fc.constantFrom<[string, string]>(
          ['PUT', '/api/v1/desired/cim-a/agent/some'],
          ['PUT', '/api/v1/catalog/some/channels/edge'],
          ['POST', '/api/v1/bundles'],
        ),
        async (raw, type, [method, path]) => {
          const headers = { 'content-type': type, 'if-none-match': '*', 'cim-envelope': 'e30=' };
          answered(await registry.ask(method, path, { raw: Buffer.from(raw, 'latin1'), headers }));
        },
      ),
      { numRuns: 150 },
    );
  });

  test('in paths, queries and headers never fails the registry', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...all.map(([, row]) => row)), token, token, async (row, part, text) => {
        if (row.url.endsWith('/stream') && !text.includes(' ')) return;
        const path = row.url.replace(/:\w+/g, () => encodeURIComponent(part));
        const query = new URLSearchParams({ ref: text, since: text, pattern: text, limit: text, instance: text, kind: text });
        const headers = { 'if-match': `"${text.replace(/[^ -~]/g, '')}"`, 'x-request-id': part.replace(/[^ -~]/g, '') };
        const answer = await registry.ask(row.method, `${path}?${query}`, { headers });
        if (answer.status !== 503 || row.tag !== 'process') answered(answer);
      }),
      { numRuns: 200 },
    );
  });

  test('as an upload with a good envelope never fails the registry', async () => {
    const good = await testBundle({ name: 'garbled' });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 4096 }), async (bytes) => {
        const headers = publishHeaders(good.envelope);
        answered(await registry.ask('POST', '/api/v1/bundles', { raw: Buffer.from(bytes), headers }));
      }),
      { numRuns: 30 },
    );
    expect(outcome(await registry.ask('GET', '/api/v1/catalog/garbled'))).toBe('404 not-found');
  });
});
