/** The pure parts and the small rooms, each by itself. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import {
  type DesiredRecord,
  decode,
  Fault,
  type NodeStatus,
  RegistryConfig,
  rowsAt,
  systemClock,
  topology,
} from '@cim/contracts';
import { capturedLog, manualClock, temporaryDirectory } from '@cim/testkit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createAnnouncer } from '../src/announce.ts';
import { allows, demand } from '../src/auth.ts';
import { type CatalogItem, itemsOf, pickVersion } from '../src/catalog.ts';
import { readConfig, settingsOf } from '../src/config.ts';
import { nodeViews, workloadViews } from '../src/fleet.ts';
import { createHealth, findings, type HealthFacts } from '../src/health.ts';
import { permissions } from '../src/http/permissions.ts';
import { createLanes } from '../src/lanes.ts';
import { formFault } from '../src/nesting.ts';
import { spool } from '../src/spool.ts';
import { declaredConfig, driftOf } from '../src/store/topology-apply.ts';
import type { Held } from '../src/store/view.ts';
import { leftovers } from '../src/sweep.ts';
import { desiredFor, nodeStatus, runMain, workloadStatus } from './support.ts';

const DIGEST = `sha256:${'a'.repeat(64)}` as DesiredRecord['document']['bundle']['digest'];

describe('roles', () => {
  test('viewer below publisher and operator, which know nothing of each other; admin above all', () => {
    const { catalog: read, publish, putDesired: deploy, whoami, tokens: manage, health: open } = permissions;
    expect(allows(['viewer'], read)).toBe(true);
    expect(allows(['publisher'], read)).toBe(true);
    expect(allows(['publisher'], deploy)).toBe(false);
    expect(allows(['operator'], publish)).toBe(false);
    expect(allows(['publisher', 'operator'], deploy)).toBe(true);
    for (const one of [read, publish, deploy, whoami, manage]) expect(allows(['admin'], one)).toBe(true);
    for (const role of ['viewer', 'publisher', 'operator'] as const) expect(allows([role], manage)).toBe(false);
    expect(allows([], open)).toBe(true);
    expect(allows([], whoami)).toBe(false);
  });
  test('a refusal says what is missing', () => {
    expect(() => demand(undefined, permissions.catalog, false)).toThrow(/Authorization: Bearer/);
    expect(() => demand(undefined, permissions.catalog, true)).toThrow(/not known here/);
    expect(() => demand({ name: 'ann', roles: ['viewer'], via: 'token' }, permissions.putDesired, true)).toThrow(
      /"ann" has viewer; this needs operator or admin/,
    );
    expect(() => demand(undefined, permissions.health, false)).not.toThrow();
  });
});

describe('catalog', () => {
  const row = (version: string) => ({
    row: 'version' as const,
    name: 'a' as never,
    kind: 'agent' as const,
    version: version as never,
    digest: DIGEST,
    size: 1,
    publishedAt: '',
    publishedBy: '',
    description: version,
  });
  const item = (versions: readonly string[]): CatalogItem => itemsOf(versions.map(row))[0]!;

  test('an item shows the highest version first, with its description', () => {
    const { versions, description } = item(['1.2.0', '1.10.0', '1.10.0-rc.1']);
    expect(versions.map(({ version }) => version)).toEqual(['1.10.0', '1.10.0-rc.1', '1.2.0']);
    expect(description).toBe('1.10.0');
  });
  test('a channel without a version shows nothing', () => {
    const entry = { name: 'gone' as never, channel: 'stable' as never, version: '1.0.0' as never, setAt: '', setBy: '' };
    expect(itemsOf([{ row: 'channel', entry }])).toEqual([]);
  });
  test('without a reference a pre-release is never picked', () => {
    expect(pickVersion(item(['2.0.0-rc.1', '1.0.0']), undefined)).toBe('1.0.0');
    expect(() => pickVersion(item(['2.0.0-rc.1']), undefined)).toThrow(/e\.g\. 2\.0\.0-rc\.1/);
  });
  test('any text is answered with a version it has or a fault', () => {
    const known = ['1.0.0', '1.5.0', '2.0.0'];
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), (ref) => {
        try {
          expect(known).toContain(pickVersion(item(known), ref));
        } catch (error) {
          expect(error).toBeInstanceOf(Fault);
        }
      }),
    );
  });
});

describe('fleet', () => {
  const now = 1_000_000_000;
  const held = <T>(value: T, ageMs: number, revision = 1): Held<T> => ({ value, revision, storedAt: now - ageMs, gone: false });
  const views = (nodes: Record<string, Held<NodeStatus>>, desired: Record<string, Held<DesiredRecord>>) => {
    const wanted = new Map(Object.entries(desired));
    const seen = nodeViews(new Map(Object.entries(nodes)), wanted, now);
    return { seen, workloads: workloadViews(seen, wanted) };
  };
  const bundle = { statement: { name: 'w', kind: 'agent', version: '1.0.0', digest: DIGEST, size: 1 }, envelope: {} } as never;

  test('a node that is silent is unknown and keeps its last words', () => {
    const { seen } = views(
      { 'cim-a': held(nodeStatus('cim-a'), 10_000), 'cim-b': held(nodeStatus('cim-b'), topology.nodes.ttlMs + 1) },
      { 'cim-c.agent.w': held(desiredFor(bundle, { instance: 'cim-c' }), 0) },
    );
    expect(seen.map(({ instance, presence, ageSeconds }) => [instance, presence, ageSeconds])).toEqual([
      ['cim-a', 'online', 10],
      ['cim-b', 'unknown', 45],
      ['cim-c', 'unknown', null],
    ]);
    expect(seen[1]!.status?.instance).toBe('cim-b');
  });

  test('converged is said only of this generation by a node that is heard', () => {
    const converged = (ageMs: number, observed: NodeStatus['workloads'], over: Record<string, unknown> = {}) => {
      const { workloads } = views(
        { 'cim-a': held(nodeStatus('cim-a', { workloads: observed }), ageMs) },
        { 'cim-a.agent.w': held(desiredFor(bundle, { generation: 2, ...over }), 0) },
      );
      return workloads.find(({ name }) => name === 'w')!.converged;
    };
    expect(converged(0, [workloadStatus('w', DIGEST, 2)])).toBe(true);
    expect(converged(0, [workloadStatus('w', DIGEST, 1)])).toBe(false);
    expect(converged(0, [workloadStatus('w', DIGEST, 2, false)])).toBe(false);
    expect(converged(60_000, [workloadStatus('w', DIGEST, 2)])).toBe(false);
    expect(converged(0, [])).toBe(false);
    expect(converged(0, [], { state: 'removed' })).toBe(true);
  });

  test('what runs without being asked for is shown and is not converged', () => {
    const { workloads } = views(
      { 'cim-a': held(nodeStatus('cim-a', { workloads: [workloadStatus('stray', DIGEST, 1)] }), 0) },
      {},
    );
    expect(workloads).toMatchObject([{ name: 'stray', desired: null, converged: false, presence: 'online' }]);
  });
});

describe('topology', () => {
  const settings = { replicas: 1, storage: 'file' } as const;
  test('what is declared is no drift of itself, whatever the server leaves out or adds', () => {
    for (const row of rowsAt('hub')) {
      const declared = declaredConfig(row, settings);
      const answer = Object.fromEntries(Object.entries(declared).filter(([, value]) => value !== 0 && value !== false));
      expect(driftOf(declared, { ...answer, max_msgs: -1, sealed: false })).toEqual([]);
      expect(declared.max_consumers).toBe(row.maxConsumers);
    }
  });
  test('a difference is named with both values', () => {
    const declared = declaredConfig(topology.nodes, settings);
    expect(driftOf(declared, { ...declared, max_age: 1, num_replicas: 3 })).toEqual([
      { stream: 'KV_CIM_NODES', field: 'num_replicas', expected: '1', found: '3' },
      { stream: 'KV_CIM_NODES', field: 'max_age', expected: '45000000000', found: '1' },
    ]);
  });
});

describe('health', () => {
  const good: HealthFacts = {
    hub: undefined,
    drift: [],
    failed: [],
    applied: true,
    tokens: undefined,
    tls: undefined,
    tlsEndsAt: undefined,
    audit: undefined,
    log: undefined,
    stale: [],
    eventsWaiting: 0,
  };
  test('nothing wrong is healthy; each wrong has its code and weight', () => {
    expect(findings(good, 0)).toEqual([]);
    const drift = [{ stream: 's', field: 'f', expected: '1', found: '2' }];
    const codes = (facts: Partial<HealthFacts>) =>
      findings({ ...good, ...facts }, 0).map(({ code, severity }) => `${code} ${severity}`);
    expect(codes({ hub: 'gone', stale: ['x'] })).toEqual(['hub-unreachable error']);
    expect(codes({ applied: false })).toEqual(['topology-pending error']);
    expect(codes({ drift })).toEqual(['topology-drift warning']);
    expect(codes({ tokens: 'no file' })).toEqual(['tokens-unreadable warning']);
    expect(codes({ stale: ['desired'] })).toEqual(['view-stale warning']);
    expect(codes({ tls: 'no file' })).toEqual(['tls-unusable warning']);
    expect(codes({ tlsEndsAt: 13 * 86_400_000 })).toEqual(['tls-ending warning']);
    expect(codes({ tlsEndsAt: 15 * 86_400_000 })).toEqual([]);
    expect(codes({ tlsEndsAt: 0 })).toEqual(['tls-ending error']);
    expect(codes({ audit: 'gone' })).toEqual(['audit-broken error']);
    expect(codes({ eventsWaiting: 3 })).toEqual(['events-waiting warning']);
    for (const hubVersion of ['2.10.27', '2.11.15', '2.12.6', '2.13.9', 'unheard of'])
      expect([hubVersion, codes({ hubVersion })]).toEqual([hubVersion, ['leaf-limits-unkept warning']]);
    for (const hubVersion of ['2.11.16', '2.12.7', '2.14.0', '2.15.1', '3.0.0'])
      expect([hubVersion, codes({ hubVersion })]).toEqual([hubVersion, []]);
  });
  test('a condition keeps the time it began', async () => {
    const clock = manualClock(0);
    let facts = good;
    const health = createHealth(clock, () => facts);
    expect(health().status).toBe('healthy');
    facts = { ...good, hub: 'away' };
    const first = health();
    await clock.advance(5_000);
    facts = { ...good, hub: 'still away' };
    const second = health();
    expect([first.status, first.hub, first.ready]).toEqual(['unhealthy', 'unreachable', false]);
    expect(second.conditions[0]!.since).toBe(first.conditions[0]!.since);
    facts = good;
    expect(health().ready).toBe(true);
  });
});

describe('lanes', () => {
  test('no more than allowed at a time, in order, and all in the end', async () => {
    const lanes = createLanes(systemClock, 3, 10_000, 'tests');
    let now = 0;
    let most = 0;
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        lanes(async () => {
          order.push(i);
          most = Math.max(most, ++now);
          await new Promise(setImmediate);
          now--;
          if (i % 5 === 0) throw new Error('one of them fails');
        }).catch(() => {}),
      ),
    );
    expect(most).toBe(3);
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });
  test('who waits too long is told so, and takes no lane', async () => {
    const clock = manualClock();
    const lanes = createLanes(clock, 1, 1_000, 'uploads');
    const hold = Promise.withResolvers<void>();
    const first = lanes(() => hold.promise);
    const second = lanes(async () => 'late');
    const refused = expect(second).rejects.toMatchObject({ code: 'overloaded' });
    await clock.advance(1_001);
    await refused;
    hold.resolve();
    await first;
    expect(await lanes(async () => 'now')).toBe('now');
  });
});

describe('spool', () => {
  const bytes = (...chunks: string[]) =>
    (async function* () {
      for (const chunk of chunks) yield Buffer.from(chunk);
    })();
  test('gives back what came, more than once', async () => {
    const held = await spool(bytes('ab', 'cd'), 4);
    for (let i = 0; i < 2; i++) expect(await text(held.read())).toBe('abcd');
    expect(held).toMatchObject({ size: 4, digest: expect.stringMatching(/^sha256:88d4266f/) });
    await held.close();
  });
  test('ends at the first byte too many, and when the sender goes away', async () => {
    await expect(spool(bytes('ab', 'cd', 'e'), 4)).rejects.toMatchObject({ code: 'digest-mismatch' });
    const broken = (async function* () {
      yield Buffer.from('a');
      throw new Error('reset');
    })();
    await expect(spool(broken, 4)).rejects.toMatchObject({ code: 'invalid-input' });
  });
});

describe('sweep', () => {
  test('only what nobody names and is older than a day goes', () => {
    const day = 86_400_000;
    const hex = (letter: string) => letter.repeat(64);
    const object = (letter: string, writtenAt: number) => ({ name: hex(letter), size: 1, revision: 1, writtenAt });
    const found = {
      objects: [object('a', 0), object('b', 0), object('c', 2 * day - 1)],
      loose: [
        { nuid: 'old', writtenAt: 0 },
        { nuid: 'new', writtenAt: 2 * day - 1 },
      ],
    };
    const go = leftovers(found, new Set([`sha256:${hex('a')}`]), 2 * day);
    expect(go.objects.map(({ name }) => name[0])).toEqual(['b']);
    expect(go.loose.map(({ nuid }) => nuid)).toEqual(['old']);
  });
});

describe('announcements', () => {
  const entry = {
    type: 'bundle.published',
    id: 'a',
    eventId: '01a2',
    by: 'ann',
    requestId: 'r1',
    reason: 'because',
    data: { version: '1.0.0' },
  };
  test('goes on when the hub is away, and sends the same event until it is kept', async () => {
    const clock = manualClock();
    const sent: string[] = [];
    let fails = 3;
    const announcer = createAnnouncer({
      clock,
      random: () => 0.5,
      log: capturedLog(),
      append: async (subject, event) => {
        sent.push(`${subject} ${event.id}`);
        if (fails-- > 0) throw new Error('away');
      },
    });
    const recorded = announcer.say(entry);
    await clock.advance(2_000);
    await recorded;
    await clock.advance(20_000);
    expect(sent).toHaveLength(4);
    expect(new Set(sent).size).toBe(1);
    expect(sent[0]).toMatch(/^cim\.v1\.fwd\.hub\.bundle\.a\.published /);
    expect(announcer.waiting()).toBe(0);
  });
  test('what is not kept at the end is in the log in full', async () => {
    const clock = manualClock();
    const log = capturedLog();
    const announcer = createAnnouncer({ clock, random: () => 0, log, append: () => Promise.reject(new Error('away')) });
    const recorded = announcer.say(entry);
    await clock.advance(2_000);
    await recorded;
    const stopped = announcer.stop(1_000);
    await clock.advance(2_000);
    await stopped;
    const line = log.entries.find(({ level }) => level === 'error');
    expect(line?.fields).toMatchObject({ event: { type: 'bundle.published', data: { by: 'ann', reason: 'because' } } });
    expect(clock.waiting()).toBe(0);
  });
});

test('nesting is bounded without recursion', () => {
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i++) deep = [deep];
  expect(formFault(deep)).toMatch(/deeper than/);
  expect(formFault({ a: [{ b: 1 }] })).toBeUndefined();
  expect(formFault({ a: Number.POSITIVE_INFINITY })).toMatch(/canonical/);
});

describe('the program', () => {
  test('names what is wrong in arguments and configuration, and ends with 2', async () => {
    using directory = temporaryDirectory('cim-config');
    const file = (name: string, config: unknown) => {
      const path = join(directory.path, name);
      writeFileSync(path, JSON.stringify(config));
      return path;
    };
    const nats = { url: 'nats://127.0.0.1:1', insecureDev: true };
    const limits = { maxBundle: 'much' };
    const wrong = file('wrong.json', { nats: { ...nats, colour: 1 }, tokensFile: 't', limits, http: { port: -1 } });
    await expect(readConfig(wrong)).rejects.toMatchObject({
      code: 'configuration-invalid',
      issues: expect.arrayContaining(
        ['nats.colour', 'limits.maxBundle', 'http.port'].map((path) => expect.objectContaining({ path })),
      ),
    });
    await expect(readConfig('/no/such/file')).rejects.toThrow('/no/such/file');
    const tokenless = file('tokenless.json', { nats, tokensFile: 'none.json' });
    expect(await readConfig(tokenless)).toMatchObject({ tokensFile: join(directory.path, 'none.json') });
    const tried = await Promise.all(
      [
        ['--port', '1'],
        ['--config', wrong],
        ['--config', tokenless],
      ].map(runMain),
    );
    expect(tried.map(({ code, stdout }) => [code, stdout])).toEqual(Array.from({ length: 3 }, () => [2, '']));
    for (const [i, text] of ['--port', 'limits.maxBundle', 'none.json'].entries()) expect(tried[i]!.stderr).toContain(text);
  });

  test('any configuration is taken whole or refused with fields', async () => {
    await fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        try {
          settingsOf(decode(RegistryConfig, value, 'configuration', 'configuration-invalid'), '/');
        } catch (error) {
          expect(error).toMatchObject({ code: 'configuration-invalid' });
          expect((error as Fault).issues.length).toBeGreaterThan(0);
        }
      }),
    );
  });
});
