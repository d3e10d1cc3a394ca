/** What a guest may ask for: every operation against its grant, garbage of every shape, floods. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, Fault, GuestRates, Manifest, systemClock } from '@cim/contracts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { reserved } from '../../src/core/reserved.ts';
import { createHostDoor, type HostPorts, type WorkloadKv } from '../../src/host/host-door.ts';
import { createRate } from '../../src/host/rate.ts';
import type { HostOperation } from '../../src/sandbox/sandbox.ts';

const grants = { publish: ['orders.>'], subscribe: [], call: ['text.*'], kv: true, secrets: ['smtp'] };
const manifestWith = (given: object) =>
  Manifest.parse({ api: 1, name: 'probe', version: '1.0.0', kind: 'agent', capabilities: {}, grants: given });

function door(given: object = grants, clock: Clock = systemClock) {
  const done: unknown[][] = [];
  const limits: unknown[][] = [];
  const store = new Map<string, string>();
  const kv: WorkloadKv = {
    entry: async (key) => (store.has(key) ? { value: JSON.parse(store.get(key)!), revision: 1 } : undefined),
    put: async (key, json) => {
      store.set(key, json);
      return 1;
    },
    create: async () => undefined,
    update: async () => 2,
    delete: async () => null,
    keys: async () => [...store.keys()],
  };
  const ports: HostPorts = {
    clock,
    call: async (...args) => {
      done.push(['call', ...args]);
      return '{"ok":true}';
    },
    publish: async (...args) => void done.push(['publish', ...args]),
    emit: (...args) => void done.push(['emit', ...args]),
    secret: async (_, name) => `secret of ${name}`,
    log: (...args) => void done.push(['log', ...args.slice(1)]),
    metric: () => {},
    limit: (_, limit, detail, hits) => void limits.push([limit, detail, hits]),
    rates: GuestRates.parse({}),
    maxValue: 1_000_000,
    maxFetches: 1,
  };
  const made = createHostDoor({
    id: { instance: 'cim-a', kind: 'agent', name: 'probe', version: '1.0.0', replica: 0 },
    manifest: manifestWith(given),
    ports,
    kv,
    asset: async (path) => (path === 'a.txt' ? new TextEncoder().encode('hi') : undefined),
  });
  return { door: made, ask: (operation: HostOperation, ...args: unknown[]) => made.ask(operation, args, {}), done, limits };
}
const code = (expected: string) => ({ code: expected });

test('what is granted is done', async () => {
  const { ask, done } = door();
  await ask('kv.put', 'a.b', { n: 1 });
  expect(await ask('kv.get', 'a.b')).toEqual({ n: 1 });
  expect(await ask('kv.get', 'none')).toBeUndefined();
  await ask('publish', 'orders.new.eu', { id: 7 });
  expect(await ask('call', 'text.upper', 'x', { timeout: '2s' }, { budgetMs: 900 })).toEqual({ ok: true });
  expect(done).toEqual([
    ['publish', 'orders.new.eu', '{"id":7}'],
    ['call', 'text.upper', '"x"', { instance: undefined, timeoutMs: 900, correlationId: undefined }],
  ]);
  expect(await ask('secret', 'smtp')).toBe('secret of smtp');
  expect(Buffer.from(String(await ask('asset', 'a.txt')), 'base64').toString()).toBe('hi');
  await ask('emit', 'invoice.accepted', { id: 1 });
});

test('what is not granted is refused by name', async () => {
  const bare = door({});
  await expect(bare.ask('kv.get', 'a')).rejects.toMatchObject(code('grant-refused'));
  await expect(bare.ask('publish', 'orders.new', 1)).rejects.toMatchObject({
    ...code('grant-refused'),
    detail: expect.stringContaining('orders.new'),
  });
  await expect(bare.ask('call', 'text.upper', 1)).rejects.toMatchObject(code('grant-refused'));
  await expect(bare.ask('secret', 'smtp')).rejects.toMatchObject(code('grant-refused'));
  const { ask } = door();
  await expect(ask('call', 'text.upper.more', 1)).rejects.toMatchObject(code('grant-refused'));
  await expect(ask('emit', 'agent.deployed', 1)).rejects.toMatchObject(code('grant-refused'));
  await expect(ask('asset', 'other.txt')).rejects.toMatchObject(code('not-found'));
});

test('reserved subjects stay reserved even when the manifest names them', async () => {
  const { ask } = door({ ...grants, publish: ['>'] });
  for (const subject of ['$JS.API.STREAM.DELETE.X', '_INBOX.a.b', 'cim.v1.cmd.cim-a.drain', '_INBOX_node_cim-a.x']) {
    await expect(ask('publish', subject, 1)).rejects.toMatchObject(code('grant-refused'));
  }
  for (const subject of ['orders.*', 'orders..x', '', ' ', 'a b', '>']) {
    await expect(ask('publish', subject, 1)).rejects.toMatchObject(code('invalid-input'));
  }
  for (const pattern of ['>', '*.x', '$SYS.>', '_INBOX.>', '_INBOX_HUB.node.a', 'cim.v1.call.>', 'cim.>'])
    expect(reserved(pattern, true)).toBeDefined();
  for (const pattern of ['orders.>', 'cim.v1.evt.cim-a.>']) expect(reserved(pattern, true)).toBeUndefined();
  expect(reserved('cim.v1.evt.x.y.z.w', false)).toBeDefined();
});

test('a value too large is refused, and names its limit', async () => {
  const { ask, limits } = door();
  await expect(ask('kv.put', 'a', 'x'.repeat(1_000_000))).rejects.toMatchObject({ code: 'too-large' });
  expect(limits).toEqual([['value-size', expect.stringContaining('sandbox.maxValue'), 1]]);
});

test('a flood is refused, not queued, and passes with time', async () => {
  let now = 0;
  const clock = { ...systemClock, monotonic: () => now };
  const { ask, limits } = door(grants, clock);
  let refused = 0;
  for (let i = 0; i < 1500; i++)
    await ask('emit', 'invoice.accepted', {}).catch((fault: Fault) => fault.code === 'rate-limited' && refused++);
  expect(refused).toBe(500);
  expect(limits.length).toBe(500);
  expect(limits[0]).toEqual(['emit-rate', 'ctx.emit: more than 200 a second (sandbox.rates.emit)', 1]);
  now += 1000;
  await ask('emit', 'invoice.accepted', {});
  const rate = createRate(clock, 10, 2);
  expect([rate.take(), rate.take(), rate.take()]).toEqual([true, true, false]);
});

test('whatever a guest sends, the answer is a value or a Fault', async () => {
  const { ask } = door();
  const operations = [
    'kv.get',
    'kv.put',
    'kv.update',
    'kv.keys',
    'publish',
    'emit',
    'call',
    'secret',
    'asset',
    'kv.constructor',
    '__proto__',
  ];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...operations), fc.array(fc.jsonValue(), { maxLength: 5 }), async (operation, args) => {
      try {
        await ask(operation as HostOperation, ...args);
      } catch (error) {
        expect(error).toBeInstanceOf(Fault);
        expect((error as Fault).code).not.toBe('internal');
      }
    }),
    { numRuns: 500 },
  );
});

test('a secret that was handed over is taken out of logs, events and faults', async () => {
  const { door: made, ask, done } = door();
  made.log('info', 'before: secret of smtp', {});
  await ask('secret', 'smtp');
  made.log('error', 'login with secret of smtp failed', { nested: [{ password: 'secret of smtp' }] });
  await ask('emit', 'mail.failed', { why: 'secret of smtp' }, { subject: 'secret of smtp' });
  expect(made.redact!('Error: secret of smtp')).toBe('Error: [secret]');
  expect(done.map((entry) => JSON.stringify(entry))).toEqual([
    '["log","info","before: secret of smtp",{}]',
    '["log","error","login with [secret] failed",{"nested":[{"password":"[secret]"}]}]',
    expect.stringContaining('"mail.failed",{"why":"[secret]"},"[secret]"'),
  ]);
});

test('of requests to other hosts no more than the configuration allows are under way', async () => {
  const waiting = Promise.withResolvers<void>();
  const server = createServer((_, response) => {
    waiting.promise.then(() => response.end('late'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const { ask } = door({ http: [{ host: '127.0.0.1', scheme: 'http', port, private: true }] });
    const asked = { url: `http://127.0.0.1:${port}/`, method: 'GET', headers: [], redirect: 'follow' };
    const first = ask('fetch', asked);
    await expect(ask('fetch', asked)).rejects.toMatchObject(code('overloaded'));
    waiting.resolve();
    expect(await first).toMatchObject({ status: 200 });
  } finally {
    server.close();
  }
});
