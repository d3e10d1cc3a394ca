/** Policy: each bound, both sides of it; and the set arithmetic under it against the decisions of a real nats-server. */
import { connect, type NatsConnection } from '@nats-io/transport-node';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { type Ask, hostWithin, Manifest, Policy, policyIssues, subjectsOverlap, subjectWithin } from '../src/index.ts';
import { natsServer, startNats } from './nats-server.ts';

const MiB = 2 ** 20;
const ask = (manifest: object = {}, rest: Partial<Ask> = {}): Ask => ({
  manifest: Manifest.parse({ api: 1, name: 'hello', version: '1.0.0', kind: 'agent', capabilities: {}, ...manifest }),
  memoryBytes: 64 * MiB,
  milliCpu: 500,
  storageBytes: 8 * MiB,
  replicas: 1,
  ...rest,
});
const issues = (asked: Ask, policy: object, publisher = 'acme') =>
  policyIssues(asked, Policy.parse(policy), publisher).map(({ path, message }) => `${path}: ${message}`);

test('a policy that says nothing bounds nothing', () => {
  const wide = ask(
    { grants: { publish: ['a.>'], subscribe: ['>'], call: ['>'], kv: true, secrets: ['x'] } },
    { memoryBytes: 2 ** 40 },
  );
  expect(issues(wide, {})).toEqual([]);
});

describe('each bound, inside and out', () => {
  test.each<[string, object, object, string]>([
    [
      'publish',
      { grants: { publish: ['orders.>'] } },
      { publish: ['orders.*'] },
      'grants.publish[0]: "orders.>" is not within policy.publish [orders.*]',
    ],
    [
      'subscribe',
      { grants: { subscribe: ['a', 'b'] } },
      { subscribe: ['a'] },
      'grants.subscribe[1]: "b" is not within policy.subscribe [a]',
    ],
    [
      'own subscriptions',
      { subscribe: ['b.*'] },
      { subscribe: ['b.c'] },
      'subscribe[0]: "b.*" is not within policy.subscribe [b.c]',
    ],
    [
      'call',
      { grants: { call: ['bank.pay'] } },
      { call: ['text.>'] },
      'grants.call[0]: "bank.pay" is not within policy.call [text.>]',
    ],
    [
      'offer',
      { capabilities: { 'bank.pay': {} } },
      { offer: ['text.>'] },
      'capabilities[0]: "bank.pay" is not within policy.offer [text.>]',
    ],
    [
      'secrets',
      { grants: { secrets: ['smtp', 'root'] } },
      { secrets: ['smtp'] },
      'grants.secrets[1]: "root" is not in policy.secrets [smtp]',
    ],
    ['kv', { grants: { kv: true } }, { kv: false }, 'grants.kv: policy.kv is false here'],
    [
      'deny',
      { grants: { publish: ['a.*'] } },
      { deny: { publish: ['a.secret'] } },
      'grants.publish[0]: "a.*" can reach "a.secret" of policy.deny.publish',
    ],
    ['memory', {}, { memory: '32Mi' }, 'resources.memory: asks for 64Mi, policy.memory allows 32Mi'],
    ['cpu', {}, { cpu: '100m' }, 'resources.cpu: asks for 500m, policy.cpu allows 100m'],
    ['storage', { grants: { kv: true } }, { storage: '1Mi' }, 'resources.storage: asks for 8Mi, policy.storage allows 1Mi'],
    ['replicas', {}, { replicas: 0 }, 'replicas: asks for 1, policy.replicas allows 0'],
  ])('%s', (_, manifest, policy, expected) => {
    expect(issues(ask(manifest), policy)).toEqual([expected]);
  });

  test('at the bound is within', () => {
    const policy = {
      publish: ['a.>'],
      call: ['x.*'],
      memory: '64Mi',
      cpu: '500m',
      storage: '8Mi',
      replicas: 1,
      secrets: ['s'],
      kv: true,
    };
    expect(issues(ask({ grants: { publish: ['a.*.c'], call: ['x.y'], kv: true, secrets: ['s'] } }), policy)).toEqual([]);
  });

  test('a bucket nobody asks for has no size', () => {
    expect(issues(ask(), { storage: '1Mi', kv: false })).toEqual([]);
  });
});

test("a publisher's own bounds hold for it alone, and beside the general ones", () => {
  const policy = { publish: ['a.>', 'b.>'], publishers: { acme: { publish: ['a.>'], memory: '16Mi' } } };
  const asked = ask({ grants: { publish: ['b.c', 'c.d'] } });
  expect(issues(asked, policy)).toEqual([
    'grants.publish[1]: "c.d" is not within policy.publish [a.>, b.>]',
    'grants.publish[0]: "b.c" is not within policy.publishers.acme.publish [a.>]',
    'grants.publish[1]: "c.d" is not within policy.publishers.acme.publish [a.>]',
    'resources.memory: asks for 64Mi, policy.publishers.acme.memory allows 16Mi',
  ]);
  expect(issues(asked, policy, 'other')).toEqual(['grants.publish[1]: "c.d" is not within policy.publish [a.>, b.>]']);
  expect(issues(asked, policy, 'constructor')).toHaveLength(1);
});

test.each([
  ['api.example.org', '*', true],
  ['api.example.org', 'api.example.org', true],
  ['api.example.org', '*.example.org', true],
  ['a.b.example.org', '*.example.org', true],
  ['example.org', '*.example.org', false],
  ['badexample.org', '*.example.org', false],
  ['api.example.org', 'example.org', false],
  ['*.example.org', '*.example.org', true],
  ['*.a.example.org', '*.example.org', true],
  ['*.example.org', 'api.example.org', false],
  ['*', '*.example.org', false],
])('hostWithin(%s, %s) is %s', (inner, outer, expected) => void expect(hostWithin(inner, outer)).toBe(expected));

/**
 * What nats-server (2.10.27 and 2.15.1) lets a user subscribe to: it looks the wanted pattern up as if its tokens were plain, so a grant
 * that ends in `*` also covers one that ends in `>` there, and delivers all below. Ours is the strict rule; no grant of
 * `permissionsOf` to subscribe ends in `*`.
 */
const serverLets = (inner: string, outer: string): boolean =>
  subjectWithin(inner, outer) || (inner.endsWith('>') && subjectWithin(`${inner.slice(0, -1)}plain`, outer));

describe.skipIf(natsServer === undefined)('subjects as sets, as a real nats-server decides', () => {
  /** Every subject of one to three tokens over three letters. */
  const world: string[] = [];
  for (let level = [''], depth = 0; depth < 3; depth++) {
    level = level.flatMap((head) => ['a', 'b', 'c'].map((part) => (head === '' ? part : `${head}.${part}`)));
    world.push(...level);
  }
  /** Every pattern of up to three tokens over two letters and wildcards: a hundred or so. */
  const patterns: string[] = ['>'];
  for (let level = [''], depth = 0; depth < 3; depth++) {
    level = level.flatMap((head) => ['a', 'b', '*'].map((part) => (head === '' ? part : `${head}.${part}`)));
    patterns.push(...level, ...(depth < 2 ? level.map((head) => `${head}.>`) : []));
  }
  let server: Awaited<ReturnType<typeof startNats>>;
  let wide: NatsConnection;
  const covers = new Map<string, Set<string>>();

  beforeAll(async () => {
    const users = patterns.map(
      (pattern, index) => `{ user: u${index}, password: p, permissions: { publish: "_none", subscribe: ["${pattern}"] } }`,
    );
    server = await startNats(
      () => `listen: "127.0.0.1:-1"\nauthorization { users: [ { user: all, password: p }, ${users.join(', ')} ] }\n`,
    );
    wide = await connect({ servers: server.url, user: 'all', pass: 'p' });
    for (const pattern of patterns) {
      const heard = new Set<string>();
      covers.set(pattern, heard);
      wide.subscribe(pattern, { callback: (_, message) => void heard.add(message.subject) });
    }
    await wide.flush();
    for (const subject of world) wide.publish(subject);
    await wide.flush();
  });
  afterAll(async () => {
    await wide?.close();
    await server?.stop();
  });

  it('within: what the server delivers to the inner it delivers to the outer', () => {
    for (const inner of patterns)
      for (const outer of patterns) {
        const subset = [...covers.get(inner)!].every((subject) => covers.get(outer)!.has(subject));
        // The world ends at three tokens; `a.b.c` against `a.b.>` and the like need no fourth, `>`-ended inners do: they are compared
        // by permission below.
        if (subjectWithin(inner, outer)) expect([inner, outer, subset]).toEqual([inner, outer, true]);
        else if (!inner.endsWith('>')) expect([inner, outer, subset]).toEqual([inner, outer, false]);
      }
  });

  it('overlap: some subject is delivered to both', () => {
    for (const one of patterns)
      for (const other of patterns) {
        const both = [...covers.get(one)!].some((subject) => covers.get(other)!.has(subject));
        expect([one, other, subjectsOverlap(one, other)]).toEqual([one, other, both]);
      }
  });

  it('within: a user who may subscribe to the outer may subscribe to the inner, and to nothing else but what the server is lax about', async () => {
    for (const [index, outer] of patterns.entries()) {
      const refused = new Set<string>();
      const user = await connect({ servers: server.url, user: `u${index}`, pass: 'p' });
      try {
        for (const inner of patterns) user.subscribe(inner, { callback: (error) => void (error && refused.add(inner)) });
        await user.flush();
        const wrong = patterns.filter((inner) => refused.has(inner) === serverLets(inner, outer));
        expect([outer, wrong]).toEqual([outer, []]);
      } finally {
        await user.close();
      }
    }
  });

  it('and on patterns nobody thought of: what is granted is delivered, what is not is refused', async () => {
    const token = fc.constantFrom('a', 'b', 'c', '*');
    const pattern = fc
      .tuple(fc.array(token, { minLength: 1, maxLength: 4 }), fc.boolean())
      .map(([tokens, open]) => [...tokens, ...(open ? ['>'] : [])].join('.'));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(patterns.length - 1),
        fc.array(pattern, { minLength: 20, maxLength: 20 }),
        async (index, inners) => {
          const refused = new Set<string>();
          const user = await connect({ servers: server.url, user: `u${index}`, pass: 'p' });
          try {
            for (const inner of inners) user.subscribe(inner, { callback: (error) => void (error && refused.add(inner)) });
            await user.flush();
            for (const inner of inners)
              expect([inner, patterns[index], !refused.has(inner)]).toEqual([
                inner,
                patterns[index],
                serverLets(inner, patterns[index]!),
              ]);
          } finally {
            await user.close();
          }
        },
      ),
      { numRuns: 20 },
    );
  });
});
