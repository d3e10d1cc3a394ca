/**
 * A leaf's credential is stolen. What can be done with it is tried against the whole of the channel and topology tables: each thing it may do
 * works, each other is refused by the hub or has no effect.
 *
 * Tried twice. The whole table by a client under the very template the credential's role has at the server: it then judges each
 * message and goes on. And the worst of it with the credential itself, by a leaf that heeds no limit on its own side (thief.ts): there a
 * refusal ends the connection. nats-server judges what a leaf sends from 2.11.16, 2.12.7 and 2.14.0 on; before, it trusted the leaf's own
 * nats-server to keep the limits, which the registry says in its health.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Channel,
  type ChannelName,
  channels,
  consumerNames,
  credsText,
  hubInboxPrefix,
  inboxPrefix,
  keyPairOf,
  leafLimitsKept,
  plainUserJwt,
  roleUserJwt,
  rowsAt,
  streamName,
  subjectOf,
  systemClock,
  topology,
  waitUntil,
} from '@cim/contracts';
import { type Fleet, instanceDirectory, startFleet } from '@cim/fleet';
import { type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { type Account, decode, encodeAccount, type SigningKey } from '@nats-io/jwt';
import { Kvm } from '@nats-io/kv';
import { createAccount, createUser, fromPublic } from '@nats-io/nkeys';
import { connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Heard, thief } from './thief.ts';

/** Whose credential is stolen, and who shall not suffer. */
const ME = 'cim-a';
const YOU = 'cim-b';
const SERVES = ['mine.*'];
let directory: string;
let fleet: Fleet;
let stolen: string;
/** Sees and does everything in the account: how effects are observed, and victims played. */
let eye: NatsConnection;
let jsm: JetStreamManager;
let robber: Robber;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cim-stolen-'));
  fleet = await startFleet({ directory, instances: [ME, YOU], identities: 'jwt', serves: () => SERVES });
  stolen = readFileSync(join(instanceDirectory(directory, ME), 'leaf.creds'), 'utf8');
  // The machine itself is gone; only its credential is left, in other hands. The victim's daemon sleeps, so that nothing moves but by us.
  await fleet.member(ME).agent.stop();
  await fleet.member(ME).leaf.stop();
  await fleet.member(YOU).agent.stop();
  eye = await allSeeing();
  jsm = await jetstreamManager(eye);
  const kvm = new Kvm(jetstream(eye));
  await (await kvm.open(topology.desired.name)).put(`${ME}.agent.x`, 'mine');
  await (await kvm.open(topology.desired.name)).put(`${YOU}.agent.x`, 'yours');
  await (await kvm.open(topology.nodes.name)).put(YOU, 'yours');
  await (await kvm.open(topology.catalog.name)).put('version.x.1', 'catalog');
  for (const row of rowsAt('hub').filter(({ readers }) => readers))
    await jsm.consumers.add(streamName(row), { name: consumerNames(row, YOU)[0]!, durable_name: consumerNames(row, YOU)[0]! });
}, 120_000);
afterAll(async () => {
  await eye?.close();
  await fleet?.stop();
  await rm(directory, { recursive: true, force: true });
}, 60_000);
beforeEach(async () => {
  robber = await robberOf(await asClient());
});
afterEach(() => robber?.connection.close());

const keyIn = (name: string) => keyPairOf(readFileSync(join(directory, 'identities', `${name}.seed`), 'utf8'), name);
const joined = (name: string, creds: string) =>
  connect({
    servers: fleet.hub.url,
    authenticator: credsAuthenticator(new TextEncoder().encode(creds)),
    inboxPrefix: `_INBOX.${name}`,
    reconnect: false,
  });

/** Sees and does all: only the account's own key can make such a one. */
async function allSeeing(): Promise<NatsConnection> {
  const account = keyIn('account');
  const key = createUser();
  const permissions = { publish: { allow: ['>'] }, subscribe: { allow: ['>'] } };
  const user = key.getPublicKey();
  const jwt = await plainUserJwt({ name: 'eye', user, account: account.getPublicKey(), signer: account, permissions });
  return joined('eye', credsText(jwt, new TextDecoder().decode(key.getSeed())));
}

/** A client under the very template the credential's role has at the server; only that it may connect as a client is added. */
async function asClient(): Promise<NatsConnection> {
  const account = keyIn('account').getPublicKey();
  const { nats } = decode<Account>(fleet.identities!.operator.accounts[account]!);
  const own = nats.signing_keys!.find((one): one is SigningKey => typeof one !== 'string' && one.role === 'node')!;
  const signer = createAccount();
  const likeNode = {
    ...own,
    key: signer.getPublicKey(),
    template: { ...own.template, allowed_connection_types: ['STANDARD' as const] },
  };
  const changed = { ...nats, signing_keys: [...nats.signing_keys!, likeNode] };
  const jwt = await encodeAccount('CIM', fromPublic(account), changed, { signer: keyIn('operator-signing') });
  const system = await joined('system', readFileSync(fleet.identities!.creds('system'), 'utf8'));
  expect((await system.request('$SYS.REQ.CLAIMS.UPDATE', jwt, { timeout: 5_000 })).json()).toMatchObject({
    data: { code: 200 },
  });
  await system.close();
  const key = createUser();
  const user = await roleUserJwt({ role: 'node', name: ME, user: key.getPublicKey(), account, signer, serves: SERVES });
  return joined('robber', credsText(user, new TextDecoder().decode(key.getSeed())));
}

interface Robber {
  readonly connection: NatsConnection;
  readonly heard: readonly Heard[];
  readonly refusals: readonly string[];
  listen(subject: string, queue?: string): void;
  say(subject: string, payload: string, reply?: string): void;
  settled(): Promise<void>;
}

async function robberOf(connection: NatsConnection): Promise<Robber> {
  const heard: Heard[] = [];
  const refusals: string[] = [];
  void (async () => {
    for await (const status of connection.status()) if (status.type === 'error') refusals.push(String(status.error));
  })();
  return {
    connection,
    heard,
    refusals,
    listen: (subject, queue) =>
      void connection.subscribe(subject, {
        ...(queue === undefined ? {} : { queue }),
        callback: (error, message) => {
          if (!error) heard.push({ subject: message.subject, payload: message.string() });
        },
      }),
    say: (subject, payload, reply) => connection.publish(subject, payload, reply === undefined ? {} : { reply }),
    settled: () => connection.flush(),
  };
}

const until = (check: () => boolean | Promise<boolean>, ms = 10_000) => waitUntil(systemClock, ms, check, 10);
const fill = (name: ChannelName, instance: string) =>
  subjectOf(name, {
    instance,
    entity: 'agent',
    id: 'x',
    event: 'said',
    workload: 'x',
    level: 'info',
    capability: 'not.mine',
    phase: 'intent',
    type: 'bundle',
  } as never);
const rows = Object.keys(channels) as ChannelName[];
const ofNode = (row: ChannelName, side: 'from' | 'to') => (channels[row][side] as readonly string[]).includes('node');
const perInstance = (row: ChannelName) => channels[row].template.includes('{instance}');

/** What the streams hold and who reads them: two looks alike mean that nothing changed. */
async function look(): Promise<string> {
  const found: unknown[] = [];
  for await (const { config, state } of jsm.streams.list())
    found.push({
      config,
      messages: state.messages,
      first: state.first_seq,
      last: state.last_seq,
      consumers: state.consumer_count,
    });
  return JSON.stringify(found.sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))));
}

test('it is no credential of a client, and worth nothing without its seed or with another', async () => {
  const asClient = connect({
    servers: fleet.hub.url,
    reconnect: false,
    authenticator: credsAuthenticator(new TextEncoder().encode(stolen)),
  });
  await expect(asClient).rejects.toThrow(/authorization/i);
  const jwt = /BEGIN NATS USER JWT-+\n(\S+)/.exec(stolen)![1]!;
  const other = new TextDecoder().decode(createUser().getSeed());
  // A file whose seed is not its own cannot be made through our door, so it is written by hand.
  expect(() => credsText(jwt, other)).not.toThrow();
  await expect(thief(fleet.hub.leafPort!, credsText(jwt, other))).rejects.toThrow('the seed is not that');
});

test('it speaks as this instance and as no other, on no channel', async () => {
  const seen = new Set<string>();
  const watching = eye.subscribe('cim.v1.>', { callback: (error, message) => void (error ?? seen.add(message.string())) });
  await eye.flush();
  const wanted = new Set<string>();
  const tried: string[] = [];
  for (const row of rows)
    for (const instance of perInstance(row) ? [ME, YOU] : [ME]) {
      const mark = `${row} as ${instance}`;
      const may =
        ofNode(row, 'from') && (!perInstance(row) || instance === ME || (channels[row] as Channel).anyInstance === true);
      if (may) wanted.add(mark);
      tried.push(mark);
      robber.say(fill(row, instance), mark);
    }
  await robber.settled();
  // Last of all something it may: when that is seen, so was all before it.
  robber.say(fill('event', ME), 'last');
  expect(await until(() => seen.has('last'))).toBe(true);
  seen.delete('last');
  expect([...seen].sort()).toEqual([...wanted].sort());
  expect(tried.length - wanted.size).toBeGreaterThan(8);
  watching.unsubscribe();
});

test('it hears what is said to this instance and nothing else: no command, call, event, log, inbox or system subject of others', async () => {
  const subjects = [
    ...rows.flatMap((row) => (perInstance(row) ? [fill(row, YOU)] : [fill(row, ME)])),
    `${inboxPrefix('node', YOU)}.x`,
    `${inboxPrefix('alchemist', 'alchemist')}.x`,
    `${inboxPrefix('registry', 'registry')}.x`,
    `${hubInboxPrefix('node', YOU)}.x`,
    `${hubInboxPrefix('registry', 'registry')}.x`,
    `$KV.${topology.desired.name}.${YOU}.agent.y`,
    '$JS.API.STREAM.NAMES',
    '$JS.EVENT.ADVISORY.x',
    'anything.at.all',
  ];
  for (const wide of [
    '>',
    '*.>',
    'cim.>',
    'cim.v1.>',
    'cim.v1.call.>',
    'cim.v1.evt.>',
    'cim.v1.cmd.>',
    'cim.v1.log.>',
    'cim.v1.fwd.>',
  ])
    robber.listen(wide);
  for (const wide of ['_INBOX.>', '_INBOX_HUB.>', '$KV.>', '$O.>', '$JS.>', '$JS.API.>', '$JS.ACK.>', '$SYS.>', '_R_.>'])
    robber.listen(wide);
  for (const subject of subjects) {
    robber.listen(subject);
    robber.listen(subject, 'q');
  }
  const own = [
    subjectOf('call', { capability: 'mine.say' }),
    subjectOf('drain', { instance: ME }),
    `${inboxPrefix('node', ME)}.x`,
  ];
  for (const subject of own) robber.listen(subject);
  await robber.settled();
  for (const subject of subjects) eye.publish(subject, `secret of ${subject}`);
  for (const subject of own) eye.publish(subject, 'for me');
  await eye.flush();
  expect(await until(() => robber.heard.filter(({ payload }) => payload === 'for me').length >= own.length)).toBe(true);
  await robber.settled();
  expect(robber.heard.filter(({ payload }) => payload !== 'for me')).toEqual([]);
  expect(robber.refusals.length).toBeGreaterThan(10);
  // A call to a capability it was not enrolled for finds nobody, though it listens for it.
  await expect(eye.request(fill('call', ME), '', { timeout: 2_000 })).rejects.toThrow(/no responders/i);
});

test('it touches nothing of the hub’s JetStream beyond its own: no stream, key, consumer, message, account or server', async () => {
  const before = await look();
  const tries = new Map<string, string>();
  for (const prefix of ['$JS.API', '$JS.hub.API']) {
    for (const row of rowsAt('hub')) {
      const stream = streamName(row);
      for (const verb of [
        'CREATE',
        'UPDATE',
        'DELETE',
        'PURGE',
        'INFO',
        'MSG.GET',
        'MSG.DELETE',
        'SNAPSHOT',
        'RESTORE',
        'LEADER.STEPDOWN',
      ])
        tries.set(`${prefix}.STREAM.${verb}.${stream}`, verb === 'MSG.GET' ? '{"seq":1}' : '');
      for (const consumer of [...consumerNames(row, YOU), 'x']) {
        for (const verb of ['INFO', 'DELETE', 'MSG.NEXT', 'PAUSE', 'LEADER.STEPDOWN'])
          tries.set(`${prefix}.CONSUMER.${verb}.${stream}.${consumer}`, '');
        const config = {
          stream_name: stream,
          config: { name: consumer, deliver_subject: `${hubInboxPrefix('node', ME)}.d`, ack_policy: 'none' },
        };
        tries.set(`${prefix}.CONSUMER.CREATE.${stream}.${consumer}`, JSON.stringify(config));
        tries.set(`${prefix}.CONSUMER.DURABLE.CREATE.${stream}.${consumer}`, JSON.stringify(config));
        tries.set(`${prefix}.CONSUMER.CREATE.${stream}.${consumer}.>`, JSON.stringify(config));
      }
      tries.set(
        `${prefix}.CONSUMER.CREATE.${stream}`,
        JSON.stringify({ stream_name: stream, config: { deliver_subject: 'x' } }),
      );
      tries.set(`${prefix}.CONSUMER.NAMES.${stream}`, '');
      tries.set(`${prefix}.CONSUMER.LIST.${stream}`, '');
      if (!row.readers || row.access.node === 'read-own') tries.set(`${prefix}.DIRECT.GET.${stream}`, '{"seq":1}');
    }
    const desired = streamName(topology.desired);
    const nodes = streamName(topology.nodes);
    tries.set(`${prefix}.DIRECT.GET.${desired}.$KV.${topology.desired.name}.${YOU}.agent.x`, '');
    tries.set(`${prefix}.DIRECT.GET.${nodes}.$KV.${topology.nodes.name}.${YOU}`, '');
    tries.set(`${prefix}.DIRECT.GET.${streamName(topology.fleetEvents)}.cim.v1.evt.${YOU}.agent.x.y`, '');
    tries.set(`${prefix}.DIRECT.GET.${streamName(topology.catalog)}.$KV.${topology.catalog.name}.version.x.1`, '');
    tries.set(`${prefix}.CONSUMER.CREATE.${desired}.${ME}_0.$KV.${topology.desired.name}.${YOU}.>`, '{}');
    tries.set(`${prefix}.CONSUMER.CREATE.${desired}.${ME}_0.$KV.${topology.desired.name}.>`, '{}');
    tries.set(`${prefix}.$KV.${topology.desired.name}.${ME}.agent.x`, 'forged');
    tries.set(`${prefix}.$KV.${topology.nodes.name}.${YOU}`, 'forged');
    for (const subject of [
      'STREAM.NAMES',
      'STREAM.LIST',
      'META.LEADER.STEPDOWN',
      'SERVER.REMOVE',
      'ACCOUNT.PURGE.CIM',
      'STREAM.CREATE.MINE',
    ])
      tries.set(`${prefix}.${subject}`, subject === 'STREAM.CREATE.MINE' ? '{"name":"MINE","subjects":["m"]}' : '');
  }
  for (const row of rowsAt('hub')) {
    if (row.type === 'kv')
      for (const key of [`${YOU}.agent.x`, YOU, `${ME}.agent.x`, 'version.x.1'].filter(
        (key) => !(row === topology.nodes && key === ME),
      ))
        tries.set(`$KV.${row.name}.${key}`, 'forged');
    if (row.type === 'object') for (const part of ['C.x', 'M.x']) tries.set(`$O.${row.name}.${part}`, 'forged');
    tries.set(`$JS.ACK.${streamName(row)}.${YOU}_0.1.1.1.1.0`, '+TERM');
    tries.set(`$JS.FC.${streamName(row)}.${YOU}_0.x`, '');
  }
  for (const subject of [
    'ACCOUNT.PING.CONNZ',
    'SERVER.PING',
    'SERVER.PING.VARZ',
    'CLAIMS.UPDATE',
    'CLAIMS.LIST',
    'USER.INFO',
    'SERVER.x.KICK',
    'SERVER.x.RELOAD',
  ])
    tries.set(`$SYS.REQ.${subject}`, '');
  let number = 0;
  const inboxes = new Map<string, string>();
  robber.listen(`${hubInboxPrefix('node', ME)}.>`);
  for (const [subject, payload] of tries) {
    const inbox = `${hubInboxPrefix('node', ME)}.try${number++}`;
    inboxes.set(inbox, subject);
    robber.say(subject, payload, inbox);
  }
  // What it may: read its own desired document, its own consumer, say its own status.
  const good = new Map([
    [`$JS.hub.API.DIRECT.GET.${streamName(topology.desired)}.$KV.${topology.desired.name}.${ME}.agent.x`, 'own document'],
    ['$JS.hub.API.INFO', 'the account'],
    [`$KV.${topology.nodes.name}.${ME}`, 'own status'],
  ]);
  for (const [subject, name] of good) {
    const inbox = `${hubInboxPrefix('node', ME)}.good.${name.replaceAll(' ', '-')}`;
    robber.say(subject, subject.startsWith('$KV') ? 'me' : '', inbox);
  }
  const answered = (part: string) => robber.heard.filter(({ subject }) => subject.includes(part));
  expect(await until(() => answered('.good.').length >= good.size)).toBe(true);
  expect(answered('.try').map(({ subject, payload }) => [inboxes.get(subject), payload.slice(0, 80)])).toEqual([]);
  expect(tries.size).toBeGreaterThan(500);
  await jsm.streams.info(streamName(topology.nodes));
  const kvm = new Kvm(jetstream(eye));
  // Its own status is the one thing that changed: it is taken away again, and all is as it was but for that.
  expect((await (await kvm.open(topology.nodes.name)).get(ME))?.string()).toBe('me');
  const without = (text: string) =>
    JSON.stringify(
      (JSON.parse(text) as { config: { name: string } }[]).filter(({ config }) => config.name !== streamName(topology.nodes)),
    );
  expect(without(await look())).toBe(without(before));
  expect((await (await kvm.open(topology.desired.name)).get(`${YOU}.agent.x`))?.string()).toBe('yours');
  expect((await (await kvm.open(topology.nodes.name)).get(YOU))?.string()).toBe('yours');
}, 60_000);

test('it forges no answer of the hub: nothing it says reaches an inbox the hub answers into', async () => {
  const victim = `${hubInboxPrefix('node', YOU)}.answer`;
  const got: string[] = [];
  const watching = eye.subscribe('_INBOX_HUB.>', { callback: (error, message) => void (error ?? got.push(message.string())) });
  await eye.flush();
  robber.say(victim, 'forged');
  robber.say(`${hubInboxPrefix('registry', 'registry')}.answer`, 'forged');
  robber.say(fill('event', ME), 'last');
  await robber.settled();
  await eye.flush();
  expect(got).toEqual([]);
  watching.unsubscribe();
});

/** Each alone, since a refusal ends the connection. */
const worst: readonly (readonly [what: string, subject: string, payload: string])[] = [
  ['deletes the catalog', `$JS.API.STREAM.DELETE.${streamName(topology.catalog)}`, ''],
  ['deletes the catalog, under the domain', `$JS.hub.API.STREAM.DELETE.${streamName(topology.catalog)}`, ''],
  ['purges what is desired', `$JS.hub.API.STREAM.PURGE.${streamName(topology.desired)}`, ''],
  ['writes what another shall run', `$KV.${topology.desired.name}.${YOU}.agent.x`, 'forged'],
  ['writes what it shall run itself', `$KV.${topology.desired.name}.${ME}.agent.x`, 'forged'],
  ['writes the status of another', `$KV.${topology.nodes.name}.${YOU}`, 'forged'],
  ['writes into the catalog', `$KV.${topology.catalog.name}.version.x.1`, 'forged'],
  ['writes bundle bytes', `$O.${topology.bundles.name}.C.x`, 'forged'],
  ['deletes a consumer of another', `$JS.hub.API.CONSUMER.DELETE.${streamName(topology.desired)}.${YOU}_0`, ''],
  ['drains another node', `cim.v1.cmd.${YOU}.drain`, '{"drain":true}'],
  ['speaks as another', `cim.v1.fwd.${YOU}.agent.x.said`, 'forged'],
  ['answers for the hub', `${hubInboxPrefix('registry', 'registry')}.x`, 'forged'],
];

const kept = () => leafLimitsKept(fleet.hub.version);

test('with the credential itself, by a leaf that heeds no limit: refused, and the connection is ended', async ({ skip }) => {
  skip(!kept(), `nats-server ${fleet.hub.version} does not judge what a leaf sends`);
  const before = await look();
  const heard: string[] = [];
  const watching = eye.subscribe('>', { callback: (error, message) => void (error ?? heard.push(message.string())) });
  for (const [what, subject, payload] of worst) {
    await using robber = (await thief(fleet.hub.leafPort!, stolen))!;
    robber.say(subject, payload === '' ? '' : payload, `${hubInboxPrefix('node', ME)}.x`);
    expect([what, await until(() => !robber.alive())]).toEqual([what, true]);
  }
  for (const subject of [
    '>',
    '_INBOX.>',
    '$SYS.>',
    'cim.v1.cmd.>',
    `cim.v1.evt.${YOU}.>`,
    '$JS.API.>',
    'cim.v1.call.not.mine',
  ]) {
    await using robber = (await thief(fleet.hub.leafPort!, stolen))!;
    robber.listen(subject);
    await robber.settled();
    eye.publish(subject.replace('>', 'agent.x.y'), 'secret');
    await eye.flush();
    await robber.settled();
    expect([subject, robber.heard]).toEqual([subject, []]);
  }
  await eye.flush();
  expect(heard.filter((payload) => payload === 'forged')).toEqual([]);
  watching.unsubscribe();
  expect(await look()).toBe(before);
  // What it may do works with it.
  await using good = (await thief(fleet.hub.leafPort!, stolen))!;
  good.listen(`${hubInboxPrefix('node', ME)}.x`);
  good.say(
    `$JS.hub.API.DIRECT.GET.${streamName(topology.desired)}.$KV.${topology.desired.name}.${ME}.agent.x`,
    '',
    `${hubInboxPrefix('node', ME)}.x`,
  );
  expect(await until(() => good.heard.length > 0 || !good.alive())).toBe(true);
  expect(good.alive()).toBe(true);
}, 60_000);

test('a hub that does not judge what a leaf sends is said in the health of the registry', async () => {
  const { conditions } = (await (await fetch(`${fleet.registry.url}/health`)).json()) as { conditions: { code: string }[] };
  expect(conditions.some(({ code }) => code === 'leaf-limits-unkept')).toBe(!kept());
});

/**
 * Not closed yet, and said in docs/security.md: nats-server judges the subject of a message and not the address it wants its answer sent to, so
 * the hub's own JetStream can be made to send an answer anywhere in the account. This test turns red on the day that is closed.
 */
test.fails('it cannot have the hub’s own answers sent where it may not speak', async () => {
  const kv = await new Kvm(jetstream(eye)).open(topology.desired.name);
  const { revision } = (await kv.get(`${YOU}.agent.x`))!;
  robber.say(`$KV.${topology.nodes.name}.${ME}`, 'x', `$KV.${topology.desired.name}.${YOU}.agent.x`);
  await robber.settled();
  await eye.flush();
  expect((await kv.get(`${YOU}.agent.x`))?.revision).toBe(revision);
});
