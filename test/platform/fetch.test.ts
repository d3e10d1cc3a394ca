/** `fetch` from a handler through the real door of the daemon to a real server. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Manifest, systemClock } from '@cim/contracts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEgress } from '../../packages/node-agent/src/host/egress.ts';
import { doorOf } from '../../packages/node-agent/test/sandbox/fixture.ts';
import { inside, NAME_OF, withSandbox } from './inside.ts';

withSandbox();

let port = 0;
const server = createServer((request, response) => {
  const pieces: Buffer[] = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    if (request.url === '/slow') return;
    if (request.url === '/empty') return void response.writeHead(204).end();
    if (request.url === '/bytes') return void response.end(Buffer.alloc(200_000, 7));
    if (request.url === '/away') return void response.writeHead(302, { location: 'http://elsewhere.test/' }).end();
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({ method: request.method, body: Buffer.concat(pieces).toString(), type: request.headers['content-type'] }),
    );
  });
});
beforeAll(async () => {
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', up));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

/** A door whose `fetch` is the daemon's egress for a manifest with these grants. */
function door() {
  const { grants } = Manifest.parse({
    api: 1,
    name: 'probe',
    version: '1.0.0',
    kind: 'agent',
    capabilities: {},
    grants: { http: [{ host: 'api.test', scheme: 'http', port, methods: ['GET', 'POST'], private: true, timeout: '2s' }] },
  });
  const egress = createEgress({ grants: grants.http!, clock: systemClock, lookup: async () => ['127.0.0.1'] });
  return doorOf({ fetch: ([asked]) => egress.send(asked) }).door;
}
const run = (body: string) =>
  inside(`const at = (path) => 'http://api.test:' + input + path; ${NAME_OF} ${body}`, port, door());

test('a request and its answer', async () => {
  expect(
    await run(`const r = await fetch(at('/x#h'), { method: 'POST', body: JSON.stringify({ a: 'ü' }), headers: { 'content-type': 'application/json' } });
      return [r.status, r.ok, r.type, r.redirected, r.url.endsWith('/x'), r.headers.get('content-type'), await r.json(), r.bodyUsed]`),
  ).toEqual([
    200,
    true,
    'basic',
    false,
    true,
    'application/json',
    { method: 'POST', body: '{"a":"ü"}', type: 'application/json' },
    true,
  ]);
});

test('an answer as a stream, as bytes, and none', async () => {
  expect(
    await run(`let n = 0; for await (const piece of (await fetch(at('/bytes'))).body) n += piece.length;
      const none = await fetch(at('/empty')); return [n, (await (await fetch(at('/bytes'))).bytes())[199_999], none.status, none.body]`),
  ).toEqual([200_000, 7, 204, null]);
});

test('a form and a stream as the body', async () => {
  const [form, stream] =
    await run(`const f = new FormData(); f.set('a', new Blob(['x']), 'n'); const body = ReadableStream.from([new TextEncoder().encode('streamed')]);
    return [await (await fetch(at('/'), { method: 'POST', body: f })).json(), await (await fetch(at('/'), { method: 'POST', body, duplex: 'half' })).json()]`);
  expect(form.type).toMatch(/^multipart\/form-data; boundary=/);
  expect(form.body).toContain('filename="n"');
  expect(stream.body).toBe('streamed');
});

test('what is refused arrives as a TypeError with the code', async () => {
  expect(
    await run(`const codeOf = async (work) => { try { await work(); } catch (e) { return [e.name, e.code, e.message.slice(0, 12)]; } };
      return [await codeOf(() => fetch('https://other.test/')), await codeOf(() => fetch(at('/'), { method: 'DELETE' })), await codeOf(() => fetch(at('/away'))), await nameOf(() => fetch('nothing'))]`),
  ).toEqual([...Array(3).fill(['TypeError', 'grant-refused', 'fetch failed']), 'TypeError']);
});

test('a signal ends it', async () => {
  expect(
    await run(`const c = new AbortController(); setTimeout(() => c.abort(), 30); const t = new TypeError('mine');
      return [await nameOf(() => fetch(at('/slow'), { signal: c.signal })), await nameOf(() => fetch(at('/slow'), { signal: AbortSignal.timeout(30) })), await nameOf(() => fetch(at('/'), { signal: AbortSignal.abort(t) }))]`),
  ).toEqual(['AbortError', 'TimeoutError', 'TypeError']);
});
