/** The audit log: every change is in it before it is made, whoever writes, whoever dies; and nobody can change what it says. */
import {
  AUDIT_CHAIN,
  AUDIT_HEADER,
  type AuditBody,
  AuditEntry,
  type AuditIntent,
  auditVerifier,
  type ChainHead,
  decodeJson,
  digestOf,
  headOf,
  link,
  newId,
} from '@cim/contracts';
import { testBundle, waitFor } from '@cim/testkit';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, headers } from '@nats-io/transport-node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { desiredFor, desiredPath, outcome, type RegistryProcess, type World, world } from './support.ts';

let hub: World;
beforeEach(async () => {
  hub = await world();
});
afterEach(async () => hub?.[Symbol.asyncDispose]());

const entriesOf = (text: unknown): AuditEntry[] =>
  (typeof text === 'string' ? text : text === undefined ? '' : JSON.stringify(text))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => decodeJson(AuditEntry, line, 'entry') as AuditEntry);

/** The whole log as the API tells it, verified. */
async function logOf(registry: RegistryProcess, limit = 1000): Promise<AuditEntry[]> {
  const all: AuditEntry[] = [];
  const verifier = auditVerifier();
  for (;;) {
    const { body } = await registry.ask('GET', `/api/v1/audit?after=${all.length}&limit=${limit}`);
    const page = entriesOf(body);
    for (const entry of page) {
      expect(verifier.push(entry)).toBeUndefined();
      all.push(entry);
    }
    if (page.length < limit) return all;
  }
}

const intents = (log: readonly AuditEntry[]) => log.flatMap(({ body }) => (body.phase === 'intent' ? [body] : []));
const outcomes = (log: readonly AuditEntry[]) =>
  new Map(log.flatMap(({ body }) => (body.phase === 'outcome' ? [[body.id, body] as const] : [])));

const BUCKETS = ['CIM_CATALOG', 'CIM_DESIRED', 'CIM_TOKENS'];

/** No state without audit: each stored value names its intent, which says its hash, and whose outcome says its revision. */
async function everyValueIsAudited(log: readonly AuditEntry[]): Promise<number> {
  const jsm = await jetstreamManager(hub.admin);
  const byId = new Map(intents(log).map((intent) => [intent.id, intent]));
  const ended = outcomes(log);
  const stored = new Set<string>();
  for (const bucket of BUCKETS) {
    const { state } = await jsm.streams.info(`KV_${bucket}`);
    for (let seq = state.first_seq; seq <= state.last_seq && seq > 0; seq++) {
      const message = await jsm.streams.getMessage(`KV_${bucket}`, { seq });
      if (!message) continue;
      const id = message.header.get(AUDIT_HEADER);
      const key = message.subject.slice(`$KV.${bucket}.`.length);
      stored.add(id);
      expect([key, byId.get(id)]).toMatchObject([key, { bucket, key, after: digestOf(message.data) }]);
      expect([key, ended.get(id)]).toMatchObject([
        key,
        { outcome: expect.stringMatching(/^(recovered-)?applied$/), revision: seq },
      ]);
    }
  }
  for (const [id, { outcome: how }] of ended)
    if (!how.endsWith('-applied') && how !== 'applied') expect(stored.has(id)).toBe(false);
  for (const [id, { outcome: how }] of ended) if (how === 'recovered-not-applied') expect(stored.has(id)).toBe(false);
  return stored.size;
}

const settled = (registry: RegistryProcess) =>
  waitFor(async () => (await registry.ask('GET', '/api/v1/audit/head')).body.open === 0, 30_000, 'open changes to be closed');

describe('every change', () => {
  test('is in the log with who, why, what it was made on and what it made', async () => {
    const registry = await hub.registry();
    const bundle = await testBundle({ name: 'seen' });
    const why = { 'cim-reason': 'because', 'x-request-id': 'r-1' };
    expect(outcome(await registry.publish(bundle, { channel: 'edge' }))).toBe('201');
    const record = desiredFor(bundle);
    const first = await registry.ask('PUT', desiredPath(record), { body: record, headers: { 'if-none-match': '*', ...why } });
    const second = desiredFor(bundle, { generation: 2, replicas: 2 });
    const put = (revision: number) =>
      registry.ask('PUT', desiredPath(record), { body: second, headers: { 'if-match': `"${revision}"` }, role: 'operator' });
    expect(outcome(await put(first.body.revision))).toBe('200');
    const made = await registry.ask('POST', '/api/v1/tokens', { body: { name: 'ci', roles: ['viewer'] } });
    await registry.ask('DELETE', `/api/v1/tokens/${made.body.id}`);
    const log = await logOf(registry, 3);
    expect(intents(log).map(({ action, by, key }) => `${action} ${by.name} ${key}`)).toEqual([
      'bundle.published publisher version.seen.1_0_0',
      'bundle.channel-set publisher channel.seen.edge',
      'desired.changed admin cim-a.agent.seen',
      'desired.changed operator cim-a.agent.seen',
      `token.created admin ${made.body.id}`,
      `token.revoked admin ${made.body.id}`,
    ]);
    const [, , one, two, , last] = intents(log);
    expect(one).toMatchObject({ reason: 'because', requestId: 'r-1', before: null, revision: 0, by: { via: 'token-file' } });
    expect(two).toMatchObject({ before: one!.after, revision: first.body.revision, by: { address: '127.0.0.1' } });
    expect(last!.before).toBe(intents(log).at(-2)!.after);
    expect([...outcomes(log).values()].map((end) => end.outcome)).toEqual(Array.from({ length: 6 }, () => 'applied'));
    expect(await everyValueIsAudited(log)).toBe(6);
    expect(JSON.stringify(log)).not.toContain(made.body.token);
    const { head } = (await registry.ask('GET', '/api/v1/audit/head')).body;
    expect(head).toEqual(headOf(log.at(-1)!));
    // A request that is refused before it would change anything is no change.
    expect(outcome(await put(1))).toBe('409 revision-conflict');
    expect(await logOf(registry)).toHaveLength(log.length);
  });

  test('that loses its race says so, and of many at several registries all are one chain', async () => {
    const registries = await Promise.all([hub.registry(), hub.registry(), hub.registry()]);
    const bundle = await testBundle({ name: 'raced' });
    expect(outcome(await registries[0]!.publish(bundle))).toBe('201');
    const answers = await Promise.all(
      Array.from({ length: 24 }, (_, i) => {
        const record = desiredFor(bundle, { instance: `cim-${i % 4}`, replicas: i });
        return registries[i % 3]!.ask('PUT', desiredPath(record), { body: record, headers: { 'if-none-match': '*' } });
      }),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(4);
    for (const registry of registries) await settled(registry);
    const log = await logOf(registries[2]!);
    const ends = [...outcomes(log).values()].map((end) => end.outcome);
    expect(ends.filter((end) => end === 'applied')).toHaveLength(5);
    expect(ends.filter((end) => end !== 'applied' && end !== 'lost')).toEqual([]);
    await everyValueIsAudited(log);
  });

  test('is refused when its intent cannot be kept', async () => {
    const registry = await hub.registry();
    const bundle = await testBundle({ name: 'full' });
    expect(outcome(await registry.publish(bundle))).toBe('201');
    const jsm = await jetstreamManager(hub.admin);
    const { state, config } = await jsm.streams.info('CIM_AUDIT');
    await jsm.streams.update('CIM_AUDIT', { ...config, max_msgs: state.messages });
    const record = desiredFor(bundle);
    const put = () => registry.ask('PUT', desiredPath(record), { body: record, headers: { 'if-none-match': '*' } });
    const refused = await put();
    expect(refused.status).toBeGreaterThanOrEqual(500);
    expect(JSON.stringify(refused.body)).not.toContain('CIM_AUDIT');
    expect((await registry.ask('GET', '/api/v1/desired')).body.desired).toEqual([]);
    await jsm.streams.update('CIM_AUDIT', { ...config, max_msgs: -1 });
    expect(outcome(await put())).toBe('200');
    await everyValueIsAudited(await logOf(registry));
  });
});

describe('a registry that dies', () => {
  test('at any moment leaves no change without audit, and no intent without an end', async () => {
    const answered = new Set<string>();
    let chance = Number(process.env['CIM_SEED'] ?? Date.now() % 100_000);
    const seed = chance;
    const random = () => {
      chance = (chance * 48_271 + 11) % 2_147_483_647;
      return chance / 2_147_483_647;
    };
    const bundles = await Promise.all(Array.from({ length: 3 }, (_, i) => testBundle({ name: `killed-${i}` })));
    for (let round = 0; round < 5; round++) {
      const registry = await hub.registry();
      const change = async (i: number) => {
        const bundle = bundles[i % 3]!;
        const { name } = bundle.statement;
        const tries = [
          () => registry.publish(bundle),
          () => registry.ask('PUT', `/api/v1/catalog/${name}/channels/edge`, { body: { version: '1.0.0' } }),
          () => registry.ask('POST', '/api/v1/tokens', { body: { name: `t-${round}-${i}`, roles: ['viewer'] } }),
          () => {
            const record = desiredFor(bundle, { instance: `cim-${round}-${i}` });
            return registry.ask('PUT', desiredPath(record), { body: record, headers: { 'if-none-match': '*' } });
          },
        ];
        const headers = `kill-${round}-${i}`;
        const answer = await tries[Math.floor(random() * tries.length)]!().catch(() => undefined);
        // Who finds that somebody else has just published the very same bytes changes nothing, and is told so with 200.
        if (answer && answer.status < 300 && answer.body?.created !== false)
          answered.add(answer.headers.get('x-request-id') ?? headers);
      };
      const going = Promise.all(Array.from({ length: 30 }, (_, i) => change(i)));
      // On a slow machine nothing at all might have been changed by then.
      if (round === 0) await waitFor(() => answered.size > 0, 30_000, 'the first change');
      const until = performance.now() + random() * 250;
      while (performance.now() < until) await new Promise(setImmediate);
      await registry.kill('SIGKILL');
      await going;
    }
    const last = await hub.registry();
    await settled(last);
    const log = await logOf(last);
    const stored = await everyValueIsAudited(log);
    const ends = outcomes(log);
    const applied = new Set(
      intents(log).flatMap(({ id, requestId }) => (ends.get(id)!.outcome.endsWith('applied') ? [requestId] : [])),
    );
    const missed = intents(log).filter(({ requestId }) => answered.has(requestId) && !applied.has(requestId));
    expect([seed, missed.map(({ id, action, key }) => `${action} ${key}: ${ends.get(id)!.outcome}`)]).toEqual([seed, []]);
    expect(stored).toBeGreaterThan(0);
    expect(intents(log)).toHaveLength(ends.size);
  }, 180_000);

  test('is found out by what stands under the key: written, not written, written and written over', async () => {
    const first = await hub.registry();
    const bundle = await testBundle({ name: 'left' });
    expect(outcome(await first.publish(bundle))).toBe('201');
    const js = jetstream(hub.admin);
    let head: ChainHead = headOf((await logOf(first)).at(-1)!);
    await first.kill('SIGTERM');
    const append = async (body: AuditBody) => {
      const entry = link(AUDIT_CHAIN, head, body);
      await js.publish(`cim.v1.audit.${body.phase}`, JSON.stringify(entry));
      head = headOf(entry);
    };
    let open: number | undefined;
    const intend = async (key: string, value: string, over: Partial<AuditIntent> = {}) => {
      const id = newId();
      const at = head.sequence + 1;
      await append({
        phase: 'intent',
        id,
        at: new Date().toISOString(),
        ...(open === undefined ? {} : { open }),
        action: 'desired.changed' as never,
        subject: 'left',
        by: { name: 'a dead one', roles: ['operator'], via: 'token' },
        requestId: id,
        reason: null,
        bucket: 'CIM_DESIRED',
        key,
        revision: 0,
        before: null,
        after: digestOf(Buffer.from(value)),
        data: { instance: 'cim-x' },
        ...over,
      });
      open ??= at;
      return id;
    };
    const write = async (key: string, value: string, id: string) => {
      const mark = headers();
      mark.set(AUDIT_HEADER, id);
      return (await js.publish(`$KV.CIM_DESIRED.${key}`, value, { headers: mark })).seq;
    };
    const value = (instance: string, replicas = 1) => JSON.stringify(desiredFor(bundle, { instance, replicas }));
    const written = await intend('cim-w.agent.left', value('cim-w'));
    const seq = await write('cim-w.agent.left', value('cim-w'), written);
    const not = await intend('cim-n.agent.left', value('cim-n'));
    const over = await intend('cim-o.agent.left', value('cim-o'));
    const before = await write('cim-o.agent.left', value('cim-o'), over);
    const next = await intend('cim-o.agent.left', value('cim-o', 2), {
      revision: before,
      before: digestOf(Buffer.from(value('cim-o'))),
    });
    const after = await write('cim-o.agent.left', value('cim-o', 2), next);
    const elsewhere = await intend('x', 'y', { bucket: '', key: '', after: null });

    const second = await hub.registry();
    await settled(second);
    const log = await logOf(second);
    const ends = outcomes(log);
    expect([written, not, over, next, elsewhere].map((id) => [ends.get(id)?.outcome, ends.get(id)?.revision])).toEqual([
      ['recovered-applied', seq],
      ['recovered-not-applied', undefined],
      ['recovered-applied', before],
      ['recovered-applied', after],
      ['recovered-unknown', undefined],
    ]);
    await everyValueIsAudited(log);
    // What was done is told now, under the id it would have had.
    const told = await waitFor(
      async () => {
        const { events } = (await second.ask('GET', '/api/v1/events?pattern=desired.*')).body;
        return events.length >= 3 ? events : undefined;
      },
      10_000,
      'the events',
    );
    expect(told.map(({ event }: any) => event.id).sort()).toEqual([written, over, next].sort());
  }, 180_000);
});

describe('the log', () => {
  test('cannot be shortened or rewritten, by the registry’s own credential or by any message', async () => {
    const registry = await hub.registry();
    expect(outcome(await registry.publish(await testBundle({ name: 'kept' })))).toBe('201');
    const as = await connect({
      servers: hub.nats.url,
      user: 'registry',
      pass: 'a-password-of-tests',
      inboxPrefix: '_INBOX.registry.registry',
    });
    try {
      for (const verb of ['DELETE', 'PURGE', 'UPDATE', 'MSG.DELETE'])
        await expect(as.request(`$JS.API.STREAM.${verb}.CIM_AUDIT`, '{"seq":1}', { timeout: 1_000 })).rejects.toThrow();
      const config = (await (await jetstreamManager(hub.admin)).streams.info('CIM_AUDIT')).config;
      expect(config).toMatchObject({ deny_delete: true, deny_purge: true, max_age: 0, max_bytes: -1, discard: 'new' });
      await expect((await jetstreamManager(hub.admin)).streams.deleteMessage('CIM_AUDIT', 1)).rejects.toThrow();
      await expect((await jetstreamManager(hub.admin)).streams.purge('CIM_AUDIT')).rejects.toThrow();
    } finally {
      await as.close();
    }
  });

  test('that holds what is no entry is not continued: nothing can be changed, and health says why', async () => {
    const registry = await hub.registry();
    const bundle = await testBundle({ name: 'broken' });
    expect(outcome(await registry.publish(bundle))).toBe('201');
    await jetstream(hub.admin).publish('cim.v1.audit.intent', '{"no":"entry"}');
    const record = desiredFor(bundle);
    const put = await registry.ask('PUT', desiredPath(record), { body: record, headers: { 'if-none-match': '*' } });
    expect(outcome(put)).toBe('503 topology-drift');
    const health = await registry.ask('GET', '/health', { role: null });
    expect(health.body.conditions.map(({ code }: any) => code)).toContain('audit-broken');
    expect((await registry.ask('GET', '/api/v1/desired')).body.desired).toEqual([]);
  });
});
