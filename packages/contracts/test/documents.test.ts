import { describe, expect, it } from 'vitest';
import {
  BundleStatement,
  CatalogEntry,
  ChannelEntry,
  Desired,
  DesiredRecord,
  decode,
  defaults,
  Envelope,
  Fault,
  LogLine,
  Manifest,
  manifestDigest,
  milliCpuOf,
  msOf,
  NodeStatus,
  Signature,
} from '../src/index.ts';
import { desired, desiredInput, envelope, manifest, statement } from './samples.ts';

const at = '2026-01-31T12:00:00Z';
function paths(schema: Parameters<typeof decode>[0], value: unknown): string[] {
  try {
    decode(schema, value, 'document');
    return [];
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    return (error as Fault).issues.map(({ path }) => path);
  }
}
const base = { api: 1, name: 'hello', version: '1.0.0', kind: 'agent', capabilities: {} };

describe('a manifest', () => {
  it('is filled up with its defaults', () => {
    expect(decode(Manifest, base, 'manifest')).toEqual({
      ...base,
      runtime: 'nodejs',
      subscribe: [],
      schedule: {},
      config: {},
      configuration: {},
      resources: {},
      grants: { publish: [], subscribe: [], call: [], kv: false, secrets: [] },
      requires: { capabilities: [], gpu: false },
      hooks: { start: false, stop: false, health: false },
    });
  });

  it('filled up once is full: its digest stays the same when it is read again', () => {
    const once = manifest();
    expect(Manifest.parse(JSON.parse(JSON.stringify(once)))).toEqual(once);
    expect(manifestDigest(Manifest.parse(once))).toBe(manifestDigest(once));
  });

  it('takes all there is', () => {
    const full = {
      ...base,
      description: 'Says hello.',
      runtime: 'nodejs',
      capabilities: { 'hello.say': { description: 'Says it.', input: { type: 'object' }, output: true } },
      subscribe: ['orders.*.created', 'orders.>'],
      schedule: { nightly: { cron: '0 3 * * *' }, often: { every: '30s' } },
      config: { greeting: 'hi' },
      configSchema: { type: 'object' },
      configuration: { maxConcurrent: 4, timeout: '5s', turn: '1s' },
      resources: { cpu: '500m', memory: '256Mi', storage: '64Mi', gpu: 1 },
      grants: { publish: ['a.b'], subscribe: ['a.>'], call: ['document.*'], kv: true, secrets: ['smtp-password'] },
      requires: { capabilities: ['gpu'], gpu: true },
      hooks: { start: true, stop: true, health: true },
    };
    expect(decode(Manifest, full, 'manifest')).toEqual(full);
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ['a key it does not know', { limits: {} }, ['limits']],
    ['a newer format', { api: 2 }, ['api']],
    ['another runtime', { runtime: 'python' }, ['runtime']],
    ['a version with build metadata', { version: '1.0.0+1' }, ['version']],
    ['a kind that is none', { kind: 'job' }, ['kind']],
    ['a capability that is no name', { capabilities: { 'Hello World': {} } }, ['capabilities["Hello World"]']],
    ['a key in a capability', { capabilities: { a: { inputs: {} } } }, ['capabilities.a.inputs']],
    ['a schema that is none', { capabilities: { a: { input: 'string' } } }, ['capabilities.a.input']],
    [
      'too many capabilities',
      { capabilities: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`c${i}`, {}])) },
      ['capabilities'],
    ],
    ['a schedule with both', { schedule: { a: { every: '1s', cron: '* * * * *' } } }, ['schedule.a']],
    ['a schedule with neither', { schedule: { a: {} } }, ['schedule.a']],
    ['a schedule that is no name', { schedule: { 'A b': { every: '1s' } } }, ['schedule["A b"]']],
    ['a subject that is none', { subscribe: ['a..b'] }, ['subscribe[0]']],
    [
      'a grant that is none',
      { grants: { publish: ['a b'], call: ['X'], kv: 'yes', secrets: ['../x'] } },
      ['grants.publish[0]', 'grants.call[0]', 'grants.kv', 'grants.secrets[0]'],
    ],
    [
      'resources that are none',
      { resources: { cpu: 'all', memory: '-1', gpu: true } },
      ['resources.cpu', 'resources.memory', 'resources.gpu'],
    ],
    [
      'a configuration out of bounds',
      { configuration: { maxConcurrent: 0, timeout: 30 } },
      ['configuration.maxConcurrent', 'configuration.timeout'],
    ],
    ['a hook that is none', { hooks: { start: 1, reload: true } }, ['hooks.start', 'hooks.reload']],
  ])('refuses %s', (_, more, expected) => {
    expect(paths(Manifest, { ...base, ...more })).toEqual(expected);
  });

  it('what applies where it is silent is what its own texts say', () => {
    expect(Manifest.shape.configuration.unwrap().shape.maxConcurrent.description).toContain(
      `Default ${defaults.maxConcurrent}`,
    );
    expect(defaults).toMatchObject({ timeoutMs: msOf('30s'), turnMs: msOf('2s'), milliCpu: milliCpuOf('1') });
  });
});

describe('a desired document', () => {
  it('is filled up with its defaults', () => {
    const input = desiredInput();
    expect(decode(Desired, input, 'desired')).toEqual({
      ...input,
      replicas: 1,
      isolation: 'shared',
      resources: {},
      configuration: {},
      config: {},
      rollback: false,
    });
    expect(decode(DesiredRecord, { document: input }, 'record').signatures).toEqual([]);
  });

  it('carries what a node needs to fetch and to verify, and cannot be without it (D1)', () => {
    for (const key of ['version', 'digest', 'size', 'envelope']) {
      const { [key]: _, ...rest } = desired().bundle as Record<string, unknown>;
      expect(paths(Desired, desiredInput({ bundle: rest }))).toEqual([`bundle.${key}`]);
    }
  });

  it('says removal in so many words (D2)', () => {
    expect(desired({ state: 'removed' }).state).toBe('removed');
    expect(paths(Desired, desiredInput({ state: 'absent' }))).toEqual(['state']);
    expect(paths(Desired, desiredInput({ state: undefined }))).toEqual(['state']);
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ['a key it does not know', { nodeSelector: {} }, ['nodeSelector']],
    ['the hub as instance', { instance: 'hub' }, ['instance']],
    ['generation 0 (D3)', { generation: 0 }, ['generation']],
    ['generation 1.5', { generation: 1.5 }, ['generation']],
    ['too many replicas', { replicas: 65 }, ['replicas']],
    ['a time that is none', { issuedAt: 'now' }, ['issuedAt']],
    ['an isolation that is none', { isolation: 'vm' }, ['isolation']],
    ['a digest that is none', { bundle: { ...desired().bundle, digest: 'sha256:x' } }, ['bundle.digest']],
    [
      'an envelope without signature',
      { bundle: { ...desired().bundle, envelope: { ...envelope(), signatures: [] } } },
      ['bundle.envelope.signatures'],
    ],
    [
      'a signer that is none',
      { bundle: { ...desired().bundle, envelope: { ...envelope(), signatures: [{ keyid: 'me', sig: 'AAAA' }] } } },
      ['bundle.envelope.signatures[0].keyid'],
    ],
  ])('refuses %s', (_, more, expected) => {
    expect(paths(Desired, desiredInput(more))).toEqual(expected);
  });

  it('may ask for no replicas, and for 64', () => {
    expect([desired({ replicas: 0 }).replicas, desired({ replicas: 64 }).replicas]).toEqual([0, 64]);
  });
});

describe('what is signed', () => {
  it('a statement is strict and has no size or sequence of nothing', () => {
    expect(paths(BundleStatement, { ...statement(), size: 0, sequence: 0, extra: 1 }).sort()).toEqual([
      'extra',
      'sequence',
      'size',
    ]);
  });
  it('an envelope holds 1 to 16 signatures and a payload of at most 64 KiB', () => {
    const one = envelope();
    expect(paths(Envelope, { ...one, signatures: Array.from({ length: 17 }, () => one.signatures[0]) })).toEqual([
      'signatures',
    ]);
    expect(paths(Envelope, { ...one, payload: 'AAAA'.repeat(16_385) })).toEqual(['payload']);
    expect(paths(Signature, { ...one.signatures[0], sig: 'not base64!' })).toEqual(['sig']);
  });
});

describe('the catalog', () => {
  const entry = () => ({
    name: 'hello',
    version: '1.0.0',
    kind: 'agent',
    digest: statement().digest,
    size: 3,
    sequence: 7,
    manifest: manifest(),
    envelope: envelope(),
    publishedAt: at,
    publishedBy: 'ci',
  });
  it('takes an entry and a channel', () => {
    expect(decode(CatalogEntry, entry(), 'entry')).toEqual(entry() && expect.objectContaining({ name: 'hello', sequence: 7 }));
    const channel = { name: 'hello', channel: 'stable', version: '1.0.0', setAt: at, setBy: 'ci' };
    expect(decode(ChannelEntry, channel, 'channel')).toEqual(channel);
  });
  it('refuses an entry whose manifest is none, by its path', () => {
    expect(paths(CatalogEntry, { ...entry(), manifest: { ...manifest(), api: 2 } })).toEqual(['manifest.api']);
    expect(paths(ChannelEntry, { name: 'hello', channel: 'Stable!', version: '1.0.0', setAt: at, setBy: 'ci' })).toEqual([
      'channel',
    ]);
  });
});

describe('what nodes say', () => {
  const status = {
    api: 1,
    instance: 'cim-a',
    name: 'a',
    capabilities: [],
    offers: [],
    machine: {
      arch: 'x64',
      kernel: '6',
      os: 'NixOS',
      cores: 4,
      memoryBytes: 1,
      memoryFreeBytes: 1,
      diskBytes: 1,
      diskFreeBytes: 1,
      loadAverage: 0.5,
      gpus: [],
      versions: {},
    },
    phase: 'running',
    health: 'healthy',
    conditions: [],
    workloads: [],
    limits: 'cgroup',
    startedAt: at,
    at,
    heartbeatSeconds: 10,
  };
  it('a status of a newer node is read: what is not known is left out, what is known is checked', () => {
    expect(decode(NodeStatus, { ...status, weather: 'fine' }, 'status')).toEqual(status);
    expect(paths(NodeStatus, { ...status, phase: 'asleep', machine: { ...status.machine, cores: '4' } })).toEqual([
      'machine.cores',
      'phase',
    ]);
  });
  it('a reason is a code of the error table', () => {
    const workload = {
      kind: 'agent',
      name: 'hello',
      state: 'failed',
      generation: 1,
      converged: false,
      replicas: { desired: 1, ready: 0 },
      restarts: 3,
      isolation: 'shared',
      capabilities: [],
      calls: { total: 0, failed: 0, inFlight: 0 },
      since: at,
    };
    const reason = (code: string) => ({ ...status, workloads: [{ ...workload, reason: { code, detail: 'x' } }] });
    expect(paths(NodeStatus, reason('start-failed'))).toEqual([]);
    expect(paths(NodeStatus, reason('bad-luck'))).toEqual(['workloads[0].reason.code']);
  });
  it('a line of log has fields, if only none', () => {
    const line = {
      time: at,
      instance: 'a',
      kind: 'agent',
      workload: 'hello',
      version: '1.0.0',
      replica: 0,
      level: 'info',
      message: 'hi',
    };
    expect(decode(LogLine, line, 'line').fields).toEqual({});
    expect(paths(LogLine, { ...line, level: 'trace' })).toEqual(['level']);
  });
});
