/** Permissions against real servers: what the channel and topology tables say must hold on a hub with two leaves. */
import {
  hubInboxPrefix,
  inboxPrefix,
  newId,
  type ReadableRow,
  readerConsumer,
  rowsAt,
  streamName,
  streamSubjects,
  topology,
} from '@cim/contracts';
import { AckPolicy, type ConsumerConfig, DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { Objm } from '@nats-io/obj';
import { createInbox, type Msg, type NatsConnection, nanos } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HubAndLeaf, hubAndLeaf, waitFor } from '../src/index.ts';

let world: HubAndLeaf;
let a: NatsConnection;
let b: NatsConnection;
let registry: NatsConnection;
let alchemist: NatsConnection;

/** The hub's streams and buckets, made by the registry's user as the registry makes them. */
async function applyTopology(connection: NatsConnection): Promise<void> {
  const jsm = await jetstreamManager(connection, { timeout: 5_000 });
  for (const row of rowsAt('hub')) {
    if (row.type === 'kv') {
      await new Kvm(connection).create(row.name, { history: row.history, ttl: row.ttlMs, allow_direct: true });
    } else if (row.type === 'object') await new Objm(connection).create(row.name);
    else {
      await jsm.streams.add({
        name: row.name,
        subjects: [...streamSubjects(row)],
        ...('transform' in row ? { subject_transform: row.transform } : {}),
        max_age: nanos(row.maxAgeMs),
        duplicate_window: nanos(row.duplicateWindowMs),
      });
    }
    await jsm.streams.info(streamName(row));
  }
}

beforeAll(async () => {
  world = await hubAndLeaf(['cim-a', 'cim-b']);
  registry = await world.asHub('registry');
  alchemist = await world.asHub('alchemist');
  await applyTopology(registry);
  a = await world.leaves[0]!.asAgent();
  b = await world.leaves[1]!.asAgent();
}, 60_000);
afterAll(() => world[Symbol.asyncDispose]());

const kvThroughLeaf = (connection: NatsConnection, bucket: string) =>
  new Kvm(jetstream(connection, { domain: 'hub', timeout: 1_500 })).open(bucket, { bindOnly: true, allow_direct: true });

/** Follows what a node may follow: the registry's user makes the consumer, the node pulls from it. */
async function follow(connection: NatsConnection, instance: string, row: ReadableRow, each: (message: Msg) => void) {
  const { stream, config } = readerConsumer(instance, { row, slot: 0, from: 'last' });
  const jsm = await jetstreamManager(registry, { timeout: 2_000 });
  await jsm.consumers.add(stream, config as Partial<ConsumerConfig>);
  const inbox = createInbox(hubInboxPrefix('node', instance));
  connection.subscribe(inbox, { callback: (_, message) => void (message.headers?.code ? undefined : each(message)) });
  connection.publish(
    `$JS.hub.API.CONSUMER.MSG.NEXT.${stream}.${config.name}`,
    JSON.stringify({ batch: 100, expires: nanos(20_000) }),
    { reply: inbox },
  );
}

describe('a node', () => {
  test('reads and follows its own desired documents through the leaf', async () => {
    const hub = await new Kvm(registry).open(topology.desired.name);
    await hub.put('cim-a.agent.hello', '"a"');
    const kv = await kvThroughLeaf(a, topology.desired.name);
    expect((await kv.get('cim-a.agent.hello'))?.string()).toBe('"a"');
    const seen: string[] = [];
    await follow(a, 'cim-a', 'desired', (message) => void seen.push(message.string()));
    await waitFor(() => seen.length === 1, 5_000, 'the document that was there');
    await hub.put('cim-a.agent.hello', '"b"');
    await waitFor(() => seen.length === 2, 5_000, 'the changed document');
    expect(seen).toEqual(['"a"', '"b"']);
  });

  test('is refused the desired documents of another instance', async () => {
    await (await new Kvm(registry).open(topology.desired.name)).put('cim-b.agent.hello', '"b"');
    const kv = await kvThroughLeaf(a, topology.desired.name);
    await expect(kv.get('cim-b.agent.hello')).rejects.toThrow();
    const jsm = await jetstreamManager(a, { domain: 'hub', checkAPI: false, timeout: 1_000 });
    for (const filter of ['$KV.CIM_DESIRED.cim-b.>', '$KV.CIM_DESIRED.>']) {
      await expect(
        jsm.consumers.add('KV_CIM_DESIRED', {
          name: newId(),
          filter_subject: filter,
          deliver_subject: createInbox('_INBOX.node.cim-a'),
          ack_policy: AckPolicy.None,
          deliver_policy: DeliverPolicy.All,
        }),
      ).rejects.toThrow();
    }
    await expect(kv.put('cim-a.agent.hello', '"mine"')).rejects.toThrow();
    await expect(jsm.streams.getMessage('KV_CIM_DESIRED', { last_by_subj: '$KV.CIM_DESIRED.cim-b.>' })).rejects.toThrow();
  });

  test('writes its own status and no other', async () => {
    const kv = await kvThroughLeaf(a, topology.nodes.name);
    await kv.put('cim-a', '{"own":1}');
    await expect(kv.put('cim-b', '{"forged":1}')).rejects.toThrow();
    const hub = await new Kvm(registry).open(topology.nodes.name);
    expect((await hub.get('cim-a'))?.string()).toBe('{"own":1}');
    expect(await hub.get('cim-b')).toBeNull();
  });

  test('gets an object of many chunks in batches, with no consumer', async () => {
    const bytes = new Uint8Array(12 * 2 ** 20).map((_, index) => index * 7 + (index >> 13));
    const hub = await new Objm(registry).open(topology.bundles.name);
    await hub.putBlob({ name: 'deadbeef' }, bytes);
    const { nuid } = (await hub.info('deadbeef'))!;
    const chunks: Uint8Array[] = [];
    const inbox = createInbox(hubInboxPrefix('node', 'cim-a'));
    let ended = 0;
    a.subscribe(inbox, {
      callback: (_, message) => void (message.headers?.code === 204 ? ended++ : chunks.push(message.data.slice())),
    });
    a.publish(
      '$JS.hub.API.DIRECT.GET.OBJ_CIM_BUNDLES',
      JSON.stringify({ seq: 1, next_by_subj: `$O.CIM_BUNDLES.C.${nuid}`, batch: 1000 }),
      { reply: inbox },
    );
    await waitFor(() => ended === 1, 20_000, 'the end of the batch');
    expect(Buffer.compare(Buffer.concat(chunks), Buffer.from(bytes))).toBe(0);
    const js = jetstream(a, { domain: 'hub', timeout: 1_500 });
    await expect(js.publish('$O.CIM_BUNDLES.C.forged', new Uint8Array(10))).rejects.toThrow();
  });

  test("forwards its events, stored under the name the leaf's stream has, and none as another", async () => {
    const js = jetstream(a, { domain: 'hub', timeout: 1_500 });
    const id = newId();
    await js.publish('cim.v1.fwd.cim-a.agent.hello.deployed', '{}', { msgID: id, expect: { streamName: 'CIM_EVENTS' } });
    const again = await js.publish('cim.v1.fwd.cim-a.agent.hello.deployed', '{}', { msgID: id });
    expect(again.duplicate).toBe(true);
    await expect(js.publish('cim.v1.fwd.cim-b.agent.hello.deployed', '{}')).rejects.toThrow();
    const jsm = await jetstreamManager(registry);
    const stream = await jsm.streams.info('CIM_EVENTS', { subjects_filter: '>' });
    expect(stream.state.subjects).toEqual({ 'cim.v1.evt.cim-a.agent.hello.deployed': 1 });
  });

  test('cannot pull or acknowledge for a consumer it did not make, nor touch a stream', async () => {
    const jsm = await jetstreamManager(a, { domain: 'hub', checkAPI: false, timeout: 800 });
    await expect(jsm.streams.purge('KV_CIM_DESIRED')).rejects.toThrow();
    await expect(jsm.streams.delete('CIM_EVENTS')).rejects.toThrow();
    await expect(jsm.streams.info('KV_CIM_CATALOG')).rejects.toThrow();
  });
});

describe('calls', () => {
  test('reach the other leaf and their answers come back, both ways, and from the hub', async () => {
    for (const [name, connection] of [['cim-a', a] as const, ['cim-b', b] as const]) {
      for (const subject of [`cim.v1.at.${name}.call.who.am-i`, `cim.v1.call.only.${name}`])
        connection.subscribe(subject, { queue: 'cim', callback: (_, message) => void message.respond(name) });
      await connection.flush();
    }
    const ask = async (from: NatsConnection, subject: string) =>
      (await waitFor(() => from.request(subject, '1', { timeout: 2_000 }), 10_000, `an answer on ${subject}`)).string();
    expect(await ask(a, 'cim.v1.at.cim-b.call.who.am-i')).toBe('cim-b');
    expect(await ask(b, 'cim.v1.at.cim-a.call.who.am-i')).toBe('cim-a');
    expect(await ask(a, 'cim.v1.call.only.cim-b')).toBe('cim-b');
    expect(await ask(b, 'cim.v1.call.only.cim-a')).toBe('cim-a');
    expect(await ask(alchemist, 'cim.v1.at.cim-a.call.who.am-i')).toBe('cim-a');
    expect(await ask(alchemist, 'cim.v1.call.only.cim-b')).toBe('cim-b');
  });

  test('are not stolen: a node hears nothing that is addressed to another', async () => {
    const heard: string[] = [];
    const foreign = [
      'cim.v1.at.cim-b.>',
      'cim.v1.cmd.cim-b.>',
      'cim.v1.evt.cim-b.>',
      '_INBOX.>',
      '_INBOX_HUB.>',
      '$KV.>',
      '$O.>',
      '>',
    ];
    // What the leaf itself says is heard on the leaf: the answer to the probe.
    const note = (message: Msg) => message.string() === 'own answer' || heard.push(message.subject);
    const listener = await world.leaves[0]!.asAgent();
    for (const subject of foreign) listener.subscribe(subject, { callback: (_, message) => void note(message) });
    await listener.flush();
    listener.subscribe('cim.v1.cmd.cim-a.probe', { callback: (_, message) => void message.respond('own answer') });
    await waitFor(() => alchemist.request('cim.v1.cmd.cim-a.probe', '', { timeout: 1_000 }), 10_000, 'the own probe');
    heard.length = 0;
    await alchemist.request('cim.v1.at.cim-b.call.who.am-i', 'secret', { timeout: 2_000 });
    b.publish('cim.v1.evt.cim-b.agent.x.started');
    await new Kvm(registry).open(topology.nodes.name).then((kv) => kv.put('cim-b', '{}'));
    await b.flush();
    // What was sent first would have arrived first.
    await alchemist.request('cim.v1.cmd.cim-a.probe', '', { timeout: 2_000 });
    await listener.close();
    expect(new Set(heard)).toEqual(new Set(['cim.v1.cmd.cim-a.probe']));
  });

  test("a forged answer cannot reach what another node asked the hub's JetStream", async () => {
    const heard: string[] = [];
    for (const prefix of [hubInboxPrefix('node', 'cim-b'), inboxPrefix('node', 'cim-b')])
      b.subscribe(`${prefix}.forged`, { callback: (_, message) => void heard.push(message.subject) });
    await b.flush();
    await waitFor(
      () => {
        a.publish(`${hubInboxPrefix('node', 'cim-b')}.forged`);
        a.publish(`${inboxPrefix('node', 'cim-b')}.forged`);
        return heard.length > 2;
      },
      5_000,
      'messages in the inbox for answers of other parties',
    );
    expect(heard).not.toContain(`${hubInboxPrefix('node', 'cim-b')}.forged`);
  });

  test('live events and logs are heard at the hub, only under the own name', async () => {
    const heard: string[] = [];
    for (const subject of ['cim.v1.evt.>', 'cim.v1.log.>'])
      alchemist.subscribe(subject, { callback: (error, message) => void (error ?? heard.push(message.subject)) });
    await alchemist.flush();
    await waitFor(
      () => {
        a.publish('cim.v1.evt.cim-b.agent.x.forged');
        a.publish('cim.v1.evt.cim-a.agent.x.started');
        a.publish('cim.v1.log.cim-a.x.info');
        return heard.some((s) => s.endsWith('started')) && heard.some((s) => s.endsWith('info'));
      },
      5_000,
      'an event and a log line',
    );
    expect(new Set(heard)).toEqual(new Set(['cim.v1.evt.cim-a.agent.x.started', 'cim.v1.log.cim-a.x.info']));
  });
});

test('a link that is cut leaves the leaf whole, and comes back by itself when healed', async () => {
  const [leaf] = world.leaves;
  leaf!.link.cut();
  await waitFor(async () => (await leaf!.server.links()) === 0, 5_000, 'the leaf to see the cut');
  expect(leaf!.link.open()).toBe(0);
  a.subscribe('local.echo', { callback: (_, message) => void message.respond('here') });
  expect((await a.request('local.echo', '', { timeout: 1_000 })).string()).toBe('here');
  leaf!.link.heal();
  await leaf!.linked();
  const kv = await kvThroughLeaf(a, topology.nodes.name);
  await waitFor(() => kv.put('cim-a', '{"again":1}'), 10_000, 'the status to be written again');
});
