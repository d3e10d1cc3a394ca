import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { bytesOf, decode, Fault, milliCpuOf, msOf, NodeAgentConfig, RegistryConfig, TokenFile } from '../src/index.ts';

const key = `A${'B'.repeat(55)}`;
const node = (more: Record<string, unknown> = {}) => ({
  instance: { id: 'cim-prod-001' },
  nats: { url: 'nats://127.0.0.1:4222' },
  ...more,
});
const registry = (more: Record<string, unknown> = {}) => ({
  nats: { url: 'nats://127.0.0.1:4222' },
  tokensFile: '/etc/cim/tokens.json',
  ...more,
});

function lines(schema: z.ZodType, value: unknown): string[] {
  try {
    decode(schema, value, 'configuration', 'configuration-invalid');
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    expect((error as Fault).code).toBe('configuration-invalid');
    return (error as Fault).issues.map(({ path, message }) => `${path}: ${message}`);
  }
}

describe('the smallest configuration is a whole one', () => {
  it('of a node-agent', () => {
    expect(decode(NodeAgentConfig, node(), 'configuration')).toEqual({
      instance: { id: 'cim-prod-001', capabilities: [] },
      nats: { url: 'nats://127.0.0.1:4222', hubDomain: 'hub' },
      http: { host: '127.0.0.1', port: 9090 },
      stateDirectory: '/var/lib/cim-agent',
      trust: { publishers: [], operators: [], operatorThreshold: 1, logs: [] },
      sandbox: {
        maxWorkloads: 1000,
        spareCells: 1,
        cellMemoryAllowance: '96Mi',
        maxReply: '1Mi',
        maxQueue: 1024,
        startTimeout: '20s',
        cgroup: 'auto',
        isolation: 'auto',
        requireLayers: [],
        jitless: 'off',
        jitlessPublishers: [],
        allow: [],
        rates: { kv: 5000, publish: 2000, emit: 200, call: 5000, fetch: 50, other: 1000, log: 100 },
        maxFetches: 8,
        maxValue: '1MB',
        metricNames: 50,
        debug: false,
      },
      policy: {},
      cache: { maxBytes: '8Gi' },
      timing: { heartbeat: '10s', resync: '30s', drain: '20s', probe: '10s' },
      domains: {},
      log: { level: 'info' },
    });
  });

  it('of a registry', () => {
    expect(decode(RegistryConfig, registry(), 'configuration')).toEqual({
      nats: { url: 'nats://127.0.0.1:4222', domain: 'hub' },
      http: { host: '127.0.0.1', port: 8484, maxConnections: 4096, bodyTimeout: '20s' },
      tokensFile: '/etc/cim/tokens.json',
      trust: { publishers: [], operators: [], operatorThreshold: 1 },
      transparency: {},
      topology: { replicas: 1, storage: 'file' },
      limits: { maxBundle: '256Mi', maxBody: '1Mi', requestsPerMinute: 6000, failuresPerMinute: 30 },
      log: { level: 'info' },
    });
  });

  it('a threshold that nobody could meet is refused, with the path', () => {
    const key = (prefix: string) => ({ name: 'ann', key: `${prefix}${'A'.repeat(55)}` });
    const with_ = (trust: object) => NodeAgentConfig.safeParse(node({ trust }));
    expect(with_({ operators: [key('O')], operatorThreshold: 1 }).success).toBe(true);
    const found = with_({ operators: [key('O')], operatorThreshold: 2 });
    expect(found.error?.issues.map(({ path }) => path.join('.'))).toEqual(['trust.operatorThreshold']);
    expect(RegistryConfig.safeParse(registry({ trust: { operatorThreshold: 2 } })).success).toBe(false);
  });

  it('an empty section is the same as none', () => {
    const sections = { http: {}, trust: {}, sandbox: {}, cache: {}, timing: {}, domains: {}, log: {} };
    expect(NodeAgentConfig.parse(node(sections))).toEqual(NodeAgentConfig.parse(node()));
    expect(RegistryConfig.parse(registry({ http: {}, trust: {}, topology: {}, limits: {}, log: {} }))).toEqual(
      RegistryConfig.parse(registry()),
    );
  });

  it('a decoded configuration decodes to itself', () => {
    const once = NodeAgentConfig.parse(node({ domains: { graph: {} } }));
    expect(NodeAgentConfig.parse(once)).toEqual(once);
    expect(once.domains).toEqual({ graph: { enable: true, config: {} } });
  });

  it('a heartbeat fits into the time after which a silent node is unknown, three times over', () => {
    expect(3 * msOf(NodeAgentConfig.parse(node()).timing.heartbeat)).toBeLessThanOrEqual(45_000);
  });

  it('every default is a quantity its reader can read', () => {
    const { sandbox, cache, timing } = NodeAgentConfig.parse(node({ sandbox: { memory: '4Gi', cpu: '1.5' } }));
    expect(bytesOf(cache.maxBytes)).toBe(8 * 2 ** 30);
    expect(bytesOf(sandbox.cellMemoryAllowance)).toBe(96 * 2 ** 20);
    expect([milliCpuOf(sandbox.cpu!), bytesOf(sandbox.memory!)]).toEqual([1500, 4 * 2 ** 30]);
    for (const one of [...Object.values(timing), sandbox.startTimeout]) expect(msOf(one)).toBeGreaterThan(0);
  });
});

describe('each wrong field is named', () => {
  it.each<[string, z.ZodType, unknown, string[]]>([
    [
      'nothing at all',
      NodeAgentConfig,
      {},
      ['instance: expected an object, found nothing', 'nats: expected an object, found nothing'],
    ],
    [
      'an id',
      NodeAgentConfig,
      node({ instance: { id: 'Prod 1' } }),
      [
        'instance.id: expected an instance id: 1 to 63 of a-z, 0-9 and "-", not at the ends, e.g. "cim-prod-001", found "Prod 1"',
      ],
    ],
    [
      'the hub’s own id',
      NodeAgentConfig,
      node({ instance: { id: 'hub' } }),
      ['instance.id: the instance id "hub" is reserved for the hub, found "hub"'],
    ],
    [
      'a capability',
      NodeAgentConfig,
      node({ instance: { id: 'a', capabilities: ['gpu', 'G P U'] } }),
      ['instance.capabilities[1]: expected a capability of the machine such as "gpu", found "G P U"'],
    ],
    ['an address', NodeAgentConfig, node({ nats: { url: [] } }), ['nats.url: expected at least 1 entry, found a list of 0']],
    ['a slip of a key', NodeAgentConfig, node({ htpp: {} }), ['htpp: unknown key; remove it or check its spelling']],
    [
      'a slip further down',
      NodeAgentConfig,
      node({ sandbox: { maxWorkload: 3 } }),
      ['sandbox.maxWorkload: unknown key; remove it or check its spelling'],
    ],
    ['a port', NodeAgentConfig, node({ http: { port: 70_000 } }), ['http.port: expected at most 65535, found 70000']],
    [
      'a size',
      NodeAgentConfig,
      node({ cache: { maxBytes: '8 gigs' } }),
      ['cache.maxBytes: expected an amount of bytes such as "4Gi", "512Mi" or "64GB", found "8 gigs"'],
    ],
    ['a time', NodeAgentConfig, node({ timing: { drain: 20 } }), ['timing.drain: expected a string, found 20']],
    [
      'a key that is trusted',
      NodeAgentConfig,
      node({
        trust: {
          publishers: [
            { name: 'a', key },
            { name: 'b', key: 'SAsecret' },
          ],
        },
      }),
      [
        'trust.publishers[1].key: expected a public nkey: 56 characters that start with "A" (publisher) or "O" (operator), found "SAsecret"',
      ],
    ],
    [
      'a domain',
      NodeAgentConfig,
      node({ domains: { 'my.graph': {} } }),
      [
        'domains["my.graph"]: the key is not allowed: expected a domain name: 1 to 63 of a-z, 0-9 and "-", not at the ends, e.g. "cim-prod-001"',
      ],
    ],
    [
      'a domain’s switch',
      NodeAgentConfig,
      node({ domains: { graph: { enable: 'yes' } } }),
      ['domains.graph.enable: expected true or false, found "yes"'],
    ],
    ['a word', NodeAgentConfig, node({ sandbox: { cgroup: 'on' } }), ['sandbox.cgroup: expected "auto" or "off", found "on"']],
    [
      'a registry’s file',
      RegistryConfig,
      registry({ tokensFile: '' }),
      ['tokensFile: expected at least 1 character, found a text of 0 characters'],
    ],
    [
      'a registry’s copies',
      RegistryConfig,
      registry({ topology: { replicas: 1.5 } }),
      ['topology.replicas: expected a whole number, found 1.5'],
    ],
    [
      'a registry’s level',
      RegistryConfig,
      registry({ log: { level: 'trace' } }),
      ['log.level: expected "debug" or "info" or "warn" or "error" or "silent", found "trace"'],
    ],
  ])('%s', (_, schema, value, expected) => {
    expect(lines(schema, value)).toEqual(expected);
  });

  it('several at once, so that one start finds all', () => {
    const value = {
      instance: { id: '' },
      nats: { url: 1, tls: { ca: 'x' } },
      http: { port: -1 },
      log: { level: 1 },
      extra: true,
    };
    expect(
      lines(NodeAgentConfig, value)
        .map((line) => line.slice(0, line.indexOf(':')))
        .sort(),
    ).toEqual(['extra', 'http.port', 'instance.id', 'log.level', 'nats.tls.ca', 'nats.url']);
  });

  /** Every key of a JSON Schema by its path, those of lists and of names a person chooses included. */
  const keys = (node: any, path: string): [string, any][] => [
    ...Object.entries<any>(node.properties ?? {}).flatMap(([name, child]): [string, any][] => [
      [`${path}${name}`, child],
      ...keys(child, `${path}${name}.`),
    ]),
    ...(node.items ? keys(node.items, `${path}[].`) : []),
    ...(node.additionalProperties ? keys(node.additionalProperties, `${path}<name>.`) : []),
  ];
  const described = [
    ...keys(z.toJSONSchema(NodeAgentConfig, { io: 'input', unrepresentable: 'any' }), ''),
    ...keys(z.toJSONSchema(RegistryConfig, { io: 'input', unrepresentable: 'any' }), ''),
  ];

  it('every key there is has a description: the docs and the Nix options are made of it', () => {
    expect(described.length).toBeGreaterThan(50);
    expect(described.filter(([, child]) => !child.description).map(([path]) => path)).toEqual([]);
  });
});

describe('the token file', () => {
  const sha256 = 'a'.repeat(64);
  it('takes names, hashes and roles', () => {
    const file = { tokens: [{ name: 'ci', sha256, roles: ['publisher', 'viewer'], expiresAt: '2027-01-01T00:00:00Z' }] };
    expect(decode(TokenFile, file, 'tokens')).toEqual(file);
  });
  it.each([
    [{ tokens: [{ name: 'ci', sha256, roles: [] }] }, 'tokens[0].roles'],
    [{ tokens: [{ name: 'ci', sha256, roles: ['root'] }] }, 'tokens[0].roles[0]'],
    [{ tokens: [{ name: 'ci', sha256: 'hunter2', roles: ['admin'] }] }, 'tokens[0].sha256'],
    [{ tokens: [{ name: 'ci', token: 'hunter2', sha256, roles: ['admin'] }] }, 'tokens[0].token'],
    [{ tokens: [{ name: 'ci', sha256, roles: ['admin'], expiresAt: 'tomorrow' }] }, 'tokens[0].expiresAt'],
  ])('%j is refused at %s, and nothing in it is repeated', (file, path) => {
    const found = lines(TokenFile, file);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(new RegExp(`^${path.replace(/[[\]]/g, '\\$&')}: `));
    expect(found[0]).not.toContain('hunter2');
  });
});
