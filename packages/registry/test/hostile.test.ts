/** Clients that mean harm, byte by byte: slow ones, smugglers, floods, guessers. Each is answered or cut, and the next is served. */
import { Problem } from '@cim/contracts';
import { temporaryDirectory, testBundle, waitFor } from '@cim/testkit';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { addressGroup, penaltyMs } from '../src/http/failures.ts';
import { askFrom, lastBody, statuses, wire } from './raw.ts';
import { outcome, publishHeaders, type RegistryProcess, tokenOf, type World, world } from './support.ts';

let hub: World;
let registry: RegistryProcess;
beforeAll(async () => {
  hub = await world();
  registry = await hub.registry({
    http: { port: 0, bodyTimeout: '1s', maxConnections: 40 },
    limits: { requestsPerMinute: 1_000_000, failuresPerMinute: 6 },
  });
});
afterAll(async () => hub?.[Symbol.asyncDispose]());
/** Whatever was done to it: it lives, is well, and said nothing of an unexpected error. */
afterEach(async () => {
  await waitFor(
    async () => (await registry.ask('GET', '/api/v1/whoami').catch(() => undefined))?.status === 200,
    10_000,
    'the next client to be served',
  );
  expect(registry.log.filter((line) => /a request failed|unexpected error|unhandled/i.test(line))).toEqual([]);
});

const auth = `authorization: Bearer ${tokenOf('admin')}\r\n`;
const get = (path: string, head = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${head}\r\n`;
const channel = '/api/v1/catalog/some/channels/edge';
const put = (head: string, body: string) =>
  `PUT ${channel} HTTP/1.1\r\nhost: x\r\n${auth}content-type: application/json\r\n${head}\r\n${body}`;

const LAST = get('/health/live');

/**
 * Says it all at once, with a request behind it whose answer is known: what is answered before that is all there is. Ends also when the
 * other side closes. @returns what was heard without the known answer
 */
async function say(text: string | Uint8Array): Promise<string> {
  const line = await wire(registry.url);
  try {
    line.write(Buffer.concat([Buffer.from(text as string), Buffer.from(LAST)]));
    const heard = await line.heard((so) => so.endsWith('{"live":true}') || line.socket.destroyed);
    return heard.endsWith('{"live":true}') ? heard.slice(0, heard.lastIndexOf('HTTP/1.1')) : heard;
  } finally {
    line.socket.destroy();
  }
}

describe('requests that two servers could read differently are refused, and nothing after them is read', () => {
  const json = '{"version":"1.0.0"}';
  const smuggled = get('/api/v1/tokens', auth);
  const forms: [string, string][] = [
    ['length and chunks', put(`content-length: 4\r\ntransfer-encoding: chunked\r\n`, `0\r\n\r\n${smuggled}`)],
    ['two lengths', put(`content-length: ${json.length}\r\ncontent-length: 0\r\n`, json + smuggled)],
    ['two lengths that agree', put(`content-length: ${json.length}\r\ncontent-length: ${json.length}\r\n`, json)],
    ['a list of lengths', put(`content-length: ${json.length}, ${json.length}\r\n`, json)],
    ['a length that is none', put('content-length: +5\r\n', json)],
    ['a length in hex', put('content-length: 0x13\r\n', json)],
    ['a negative length', put('content-length: -1\r\n', json)],
    ['a length beyond numbers', put('content-length: 99999999999999999999999\r\n', json)],
    ['chunks by another name', put('transfer-encoding: xchunked\r\n', `0\r\n\r\n${smuggled}`)],
    ['chunks and more', put('transfer-encoding: chunked, identity\r\n', `0\r\n\r\n${smuggled}`)],
    ['chunks twice', put('transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n', `0\r\n\r\n${smuggled}`)],
    ['a chunk of no size', put('transfer-encoding: chunked\r\n', `zz\r\n${json}\r\n0\r\n\r\n`)],
    ['a chunk beyond numbers', put('transfer-encoding: chunked\r\n', `fffffffffffffffff\r\n${json}\r\n0\r\n\r\n`)],
    ['a name with a blank', put(`content-length : ${json.length}\r\n`, json)],
    ['a folded header', put(`content-length: ${json.length}\r\nx-a: b\r\n c\r\n`, json)],
    ['bare line feeds', `GET /api/v1/tokens HTTP/1.1\nhost: x\n${auth.replace('\r', '')}\n`],
    ['a null in a header', get('/api/v1/tokens', `${auth}x-a: b\0c\r\n`)],
    ['no Host', `GET /api/v1/tokens HTTP/1.1\r\n${auth}\r\n`],
    ['two Hosts', get('/api/v1/tokens', `${auth}host: y\r\n`)],
    ['two tokens', get('/api/v1/tokens', `authorization: Bearer ${tokenOf('viewer')}\r\n${auth}`)],
    ['a whole address', get('http://elsewhere.example/api/v1/tokens', auth)],
    ['an authority', `CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: x\r\n${auth}\r\n`],
    ['a star', `OPTIONS * HTTP/1.1\r\nhost: x\r\n${auth}\r\n`],
    ['HTTP/2 out of the blue', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a future HTTP', `GET / HTTP/9.9\r\nhost: x\r\n\r\n`],
    ['TLS on a plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ];
  test.each(forms)('%s', async (_, text) => {
    const heard = await say(Buffer.from(text, 'latin1'));
    const found = statuses(heard);
    expect(found.filter((status) => status < 400 || status >= 500)).toEqual([]);
    expect(found.length).toBeLessThanOrEqual(1);
    expect(heard).not.toContain('"tokens"');
    if (found.length === 1 && heard.includes('problem+json')) expect(Problem.safeParse(lastBody(heard)).success).toBe(true);
  });

  test('while what only looks odd is served: any Host, pipelined requests in order', async () => {
    const whoami = (role: string) => get('/api/v1/whoami', `authorization: Bearer ${tokenOf(role)}\r\nhost2: y\r\n`);
    const heard = await say(['viewer', 'operator', 'publisher'].map(whoami).join(''));
    expect(statuses(heard)).toEqual([200, 200, 200]);
    expect([...heard.matchAll(/"name":"(\w+)"/g)].map(([, name]) => name)).toEqual(['viewer', 'operator', 'publisher']);
    for (const host of ['elsewhere.example', '127.0.0.1:1', '"><script>', 'a'.repeat(5_000)]) {
      const told = await say(`GET /docs HTTP/1.1\r\nhost: ${host}\r\nx-forwarded-host: ${host}\r\n\r\n`);
      // Nothing is built from the name the client gave.
      expect(told.split('\r\n\r\n')[0]).not.toContain(host);
      expect(statuses(told)[0]).toBeLessThan(500);
    }
  });

  test('and a refused pipeline ends there', async () => {
    const heard = await say(put('content-length: 1\r\ntransfer-encoding: chunked\r\n', `0\r\n\r\n${smuggled}${smuggled}`));
    expect(statuses(heard)).toEqual([400]);
  });
});

describe('floods', () => {
  test('of headers, of one header, of an address, are refused in words', async () => {
    const many = Array.from({ length: 300 }, (_, i) => `x-${i}: a\r\n`).join('');
    const cases: [string, number[]][] = [
      [get('/health', many), [413]],
      [get('/health', `x: ${'a'.repeat(100_000)}\r\n`), [413]],
      [get('/health', 'x: a\r\n'.repeat(5_000)), [413]],
      [get(`/${'a'.repeat(20_000)}`), [413]],
      [get(`/api/v1/catalog/${'a'.repeat(2_000)}`, auth), [404, 413, 400]],
      [get(`/api/v1/catalog?${'a=1&'.repeat(2_000)}`, auth), [200]],
      [get('/%00%ff%fe/../..//etc/passwd'), [404, 400]],
      [get('/api/v1/catalog/%E0%A4%A', auth), [400, 404]],
    ];
    for (const [text, expected] of cases) {
      const found = statuses(await say(text));
      expect([text.slice(0, 60), found.length === 1 && expected.includes(found[0]!)]).toEqual([text.slice(0, 60), true]);
    }
  });

  test('of connections: those beyond the limit are closed at once, and the others live', async () => {
    const lines = await Promise.all(Array.from({ length: 60 }, () => wire(registry.url).catch(() => undefined)));
    const open = lines.filter((line) => line !== undefined);
    const closed = await Promise.all(
      open.map((line) =>
        line.closed(1_500).then(
          () => true,
          () => false,
        ),
      ),
    );
    expect(closed.filter(Boolean).length).toBeGreaterThan(10);
    const living = open.filter((_, i) => !closed[i]);
    living[0]!.write(get('/health/live'));
    expect(statuses(await living[0]!.heard((text) => text.includes('true')))).toEqual([200]);
    for (const line of open) line.socket.destroy();
  });

  test('of JSON: deep, wide, of the wrong encoding, with a prototype: refused as input, and no prototype is touched', async () => {
    const send = (raw: string | Uint8Array, type = 'application/json', headers = {}) =>
      registry.ask('PUT', channel, { raw, headers: { 'content-type': type, ...headers } });
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    const cases: (string | Uint8Array)[] = [
      deep,
      `{"version":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}`,
      '{"version":"1.0.0","__proto__":{"polluted":1}}',
      '{"version":"1.0.0","constructor":{"prototype":{"polluted":1}}}',
      '{"version":"1.0.0","version":1}',
      Buffer.from('{"version":"1.0.0\xff"}', 'latin1'),
      Buffer.from('\ufeff{"version":"1.0.0","x":1}', 'utf16le'),
      '{"version":"1.0.0\\ud800"}',
      '{"version":1e999}',
      'NaN',
      '',
    ];
    for (const raw of cases)
      expect([String(raw).slice(0, 40), outcome(await send(raw))]).toEqual([String(raw).slice(0, 40), '400 invalid-input']);
    expect(outcome(await send('{"version":"9.9.9"}', 'application/json', { 'content-encoding': 'gzip' }))).toBe(
      '400 invalid-input',
    );
    const form = await send('version=1.0.0', 'application/x-www-form-urlencoded');
    expect(form.status).toBe(400);
    const desired = `{"document":${'{"config":'.repeat(5_000)}1${'}'.repeat(5_000)},"signatures":[]}`;
    const answer = await registry.ask('PUT', '/api/v1/desired/cim-a/agent/x', {
      raw: desired,
      headers: { 'content-type': 'application/json', 'if-none-match': '*' },
    });
    expect(outcome(answer)).toBe('400 invalid-input');
  });
});

describe('slow ones are cut', () => {
  test('a body that never comes, one byte at a time or not at all', async () => {
    const line = await wire(registry.url);
    line.write(put('content-length: 100\r\n', '{'));
    const heard = await line.closed(15_000);
    expect(statuses(heard)).toEqual([408]);
    expect(lastBody(heard).code).toBe('request-incomplete');
    const dripping = await wire(registry.url);
    dripping.write(put('transfer-encoding: chunked\r\n', ''));
    const drip = setInterval(() => dripping.write('1\r\n \r\n'), 100);
    try {
      expect(statuses(await dripping.closed(15_000))).toEqual([408]);
    } finally {
      clearInterval(drip);
    }
  });

  test('a body is not even waited for when the sender may not send it', async () => {
    const line = await wire(registry.url);
    line.write(`PUT ${channel} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{`);
    expect(statuses(await line.heard((text) => text.includes('unauthenticated'), 5_000))).toEqual([401]);
    line.socket.destroy();
  });

  test('many of them hold nobody up', async () => {
    const lines = await Promise.all(Array.from({ length: 25 }, () => wire(registry.url)));
    for (const line of lines) line.write('GET /health HTTP/1.1\r\nhost: x\r\nx-slow: ');
    const began = performance.now();
    for (let i = 0; i < 10; i++) expect((await registry.ask('GET', '/api/v1/whoami')).status).toBe(200);
    expect(performance.now() - began).toBeLessThan(5_000);
    for (const line of lines) line.socket.destroy();
  });

  test('headers that never end are cut after their time', async () => {
    const line = await wire(registry.url);
    line.write('GET /health HTTP/1.1\r\nhost: x\r\n');
    const drip = setInterval(() => line.write('x-a: b\r\n'), 500);
    try {
      const heard = await line.closed(28_000);
      expect(statuses(heard)).toEqual([408]);
    } finally {
      clearInterval(drip);
    }
  }, 40_000);
});

describe('guessers', () => {
  const guess = (address: string, token = 'wrong') =>
    askFrom(address, `${registry.url}/api/v1/whoami`, { headers: { authorization: `Bearer ${token}` } });

  test('are slowed and then refused; a good token from the same address is served all along', async () => {
    const found = [];
    for (let i = 0; i < 8; i++) found.push((await guess('127.3.0.1', `guess-${i}`)).status);
    expect(found).toEqual([401, 401, 401, 401, 401, 401, 429, 429]);
    const refused = await guess('127.3.0.1');
    expect(refused.body.code).toBe('rate-limited');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await guess('127.3.0.1', tokenOf('viewer'))).status).toBe(200);
    expect((await guess('127.3.0.2')).status).toBe(401);
  });

  test('wait longer each time, never beyond a bound', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), (n) => {
        expect(penaltyMs(n + 1)).toBeGreaterThanOrEqual(penaltyMs(n));
        expect(penaltyMs(n)).toBeLessThanOrEqual(2_000);
      }),
    );
    expect([1, 3, 4, 5].map(penaltyMs)).toEqual([0, 0, 50, 100]);
  });

  test('with a whole /64 to themselves are one', () => {
    expect(addressGroup('2001:db8:1:2:3:4:5:6')).toBe(addressGroup('2001:db8:1:2::9'));
    expect(addressGroup('2001:db8:1:2::9')).not.toBe(addressGroup('2001:db8:1:3::9'));
    expect(addressGroup('::ffff:10.0.0.1')).toBe('10.0.0.1');
    expect(addressGroup('fe80::1%eth0')).toBe('fe80:0:0:0');
  });
});

describe('what an answer gives away', () => {
  test('a fault of ours says no more than its request', async () => {
    using directory = temporaryDirectory('cim-away');
    expect(directory.path).not.toBe('');
    const lonely = await world();
    try {
      const alone = await lonely.registry();
      await lonely.nats.server.kill();
      const bundle = await testBundle({ name: 'away' });
      const answers = [
        await alone.ask('GET', '/api/v1/catalog', { headers: { 'x-request-id': 'look-1' } }),
        await alone.ask('POST', '/api/v1/bundles', { raw: bundle.bytes, headers: publishHeaders(bundle.envelope) }),
      ];
      for (const { status, body } of answers) {
        expect(status).toBe(503);
        expect(body.detail).not.toMatch(/CIM_|nats|127\.0|\$KV|timeout|\.ts|\//i);
      }
      expect(answers[0]!.body.detail).toContain('look-1');
      expect(alone.log.some((line) => line.includes('look-1') && line.includes('CIM_CATALOG'))).toBe(true);
      const health = await alone.ask('GET', '/health', { role: null, headers: { 'x-forwarded-for': '203.0.113.9' } });
      for (const { detail, title } of health.body.conditions) expect(detail).toBe(title);
    } finally {
      await lonely[Symbol.asyncDispose]();
    }
  });

  test('is never kept by anybody in between, never framed, never sniffed', async () => {
    for (const path of ['/api/v1/catalog', '/health', '/nowhere', '/openapi.json', '/docs/']) {
      const { headers } = await registry.ask('GET', path);
      expect([path, headers.get('cache-control')]).toEqual([path, 'no-store']);
      expect([path, headers.get('x-content-type-options')]).toEqual([path, 'nosniff']);
      expect([path, headers.get('content-security-policy')]).toEqual([path, expect.stringContaining("default-src 'none'")]);
      expect([path, headers.get('content-security-policy')]).toEqual([path, expect.stringContaining("frame-ancestors 'none'")]);
    }
    const preflight = await registry.ask('OPTIONS', '/api/v1/catalog', {
      headers: { origin: 'https://elsewhere.example', 'access-control-request-method': 'PUT' },
    });
    expect(preflight.status).toBe(404);
    for (const name of preflight.headers.keys()) expect(name).not.toMatch(/^access-control-/);
  });
});
