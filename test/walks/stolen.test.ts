/**
 * A leaf's credential is stolen. What can be done with it is tried against the whole of the channel and topology tables: each thing it may do
 * works, each other is refused by the hub or has no effect.
 *
 * Tried twice. The whole table by a client under the very template the credential's role has at the server: it then judges each
 * message and goes on. And the worst of it with the credential itself, by a leaf that heeds no limit on its own side (thief.ts): there a
 * refusal ends the connection. nats-server judges what a leaf sends from 2.11.16, 2.12.7 and 2.14.0 on; before, it trusted the leaf's own
 * nats-server to keep the limits, which the registry says in its health: on such a server the second half fails, and is never skipped.
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
  domainMappings,
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
/** Sees and does everything in the account of the leaves: how effects are observed, and victims played. */
let eye: NatsConnection;
/** Likewise in the account of the hub's state. */
let state: NatsConnection;
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
  eye = await allSeeing('account');
  state = await allSeeing('hub');
  jsm = await jetstreamManager(state);
  const kvm = new Kvm(jetstream(state));
  await (await kvm.open(topology.desired.name)).put(`${ME}.agent.x`, 'mine');
  await (await kvm.open(topology.desired.name)).put(`${YOU}.agent.x`, 'yours');
  await (await kvm.open(topology.nodes.name)).put(YOU, 'yours');
  await (await kvm.open(topology.catalog.name)).put('version.x.1', 'catalog');
  for (const row of rowsAt('hub').filter(({ readers }) => readers)) {
    // What the daemons left would be forgotten by the hub in the midst of the tests.
    for (const left of [...consumerNames(row, ME), ...consumerNames(row, YOU)])
      await jsm.consumers.delete(streamName(row), left).catch(() => {});
    await jsm.consumers.add(streamName(row), { name: consumerNames(row, YOU)[1]!, durable_name: consumerNames(row, YOU)[1]! });
  }
}, 120_000);
afterAll(async () => {
  await eye?.close();
  await state?.close();
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

/** Sees and does all of an account: only its own key can make such a one. */
async function allSeeing(name: 'account' | 'hub'): Promise<NatsConnection> {
  const account = keyIn(name);
  const key = createUser();
  const permissions = { publish: { allow: ['>'] }, subscribe: { allow: ['>'] } };
  const user = key.getPublicKey();
  const jwt = await plainUserJwt({ name: 'eye', user, account: account.getPublicKey(), signer: account, permissions });
  return joined('eye', credsText(jwt, new TextDecoder().decode(key.getSeed())));
}

/**
 * A client under the very template the credential's role has at the server; only that it may connect as a client is added, and that it may
 * say what its words are mapped to: a client's are judged after the account's mapping, a leaf's before.
 */
async function asClient(): Promise<NatsConnection> {
  const account = keyIn('account').getPublicKey();
  const { nats } = decode<Account>(fleet.identities!.operator.accounts[account]!);
  const own = nats.signing_keys!.find((one): one is SigningKey => typeof one !== 'string' && one.role === 'node')!;
  const signer = createAccount();
  const said = own.template.pub?.allow ?? [];
  const mapped = said.flatMap((subject) =>
    Object.entries(domainMappings)
      .filter(([from]) => subject.startsWith(from.slice(0, -1)))
      .map(([from, to]) => to.slice(0, -1) + subject.slice(from.length - 1)),
  );
  expect(mapped.length).toBeGreaterThan(10);
  const likeNode = {
    ...own,
    key: signer.getPublicKey(),
    template: { ...own.template, pub: { allow: [...said, ...mapped] }, allowed_connection_types: ['STANDARD' as const] },
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
  for (const subject of subjects) for (const account of [eye, state]) account.publish(subject, `secret of ${subject}`);
  for (const subject of own) eye.publish(subject, 'for me');
  await state.flush();
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
        tries.set(`${prefix}.CONSUMER.RESET.${stream}.${consumer}`, '');
        tries.set(`${prefix}.CONSUMER.DURABLE.CREATE.${stream}.${consumer}`, JSON.stringify(config));
        tries.set(`${prefix}.CONSUMER.CREATE.${stream}.${consumer}.>`, JSON.stringify(config));
      }
      tries.set(
        `${prefix}.CONSUMER.CREATE.${stream}`,
        JSON.stringify({ stream_name: stream, config: { deliver_subject: 'x' } }),
      );
      tries.set(`${prefix}.CONSUMER.NAMES.${stream}`, '');
      tries.set(`${prefix}.CONSUMER.LIST.${stream}`, '');
      if (row.access.node !== 'read') tries.set(`${prefix}.DIRECT.GET.${stream}`, '{"seq":1}');
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
    [`cim.v1.read.${ME}`, 'a reader of its own'],
    [`$JS.hub.API.$KV.${topology.nodes.name}.${ME}`, 'own status'],
  ]);
  for (const [subject, name] of good) {
    const inbox = `${hubInboxPrefix('node', ME)}.good.${name.replaceAll(' ', '-')}`;
    robber.say(subject, subject.includes('$KV.CIM_NODES') ? 'me' : subject.startsWith('cim') ? READ : '', inbox);
  }
  const answered = (part: string) => robber.heard.filter(({ subject }) => subject.includes(part));
  await until(() => answered('.good.').length >= good.size);
  expect(
    answered('.good.')
      .map(({ subject }) => subject.split('.').at(-1))
      .sort(),
  ).toEqual([...good.values()].map((name) => name.replaceAll(' ', '-')).sort());
  expect(answered('.try').map(({ subject, payload }) => [inboxes.get(subject), payload.slice(0, 80)])).toEqual([]);
  expect(tries.size).toBeGreaterThan(500);
  await jsm.streams.info(streamName(topology.nodes));
  const kvm = new Kvm(jetstream(state));
  // Its own status is the one thing that changed: it is taken away again, and all is as it was but for that.
  expect((await (await kvm.open(topology.nodes.name)).get(ME))?.string()).toBe('me');
  await jsm.consumers.delete(streamName(topology.desired), `${ME}_0`);
  const without = (text: string) =>
    JSON.stringify(
      (JSON.parse(text) as { config: { name: string } }[]).filter(({ config }) => config.name !== streamName(topology.nodes)),
    );
  expect(without(await look())).toBe(without(before));
  expect((await (await kvm.open(topology.desired.name)).get(`${YOU}.agent.x`))?.string()).toBe('yours');
  expect((await (await kvm.open(topology.nodes.name)).get(YOU))?.string()).toBe('yours');
}, 60_000);

/** Asks for a reader of what is desired of it. */
const READ = JSON.stringify({ row: 'desired', slot: 0, from: 'last' });

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

test('with the credential itself, by a leaf that heeds no limit: refused, and the connection is ended', async () => {
  expect(kept(), `nats-server ${fleet.hub.version} does not judge what a leaf sends; npm run setup fetches one that does`).toBe(
    true,
  );
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
 * nats-server judges the subject of a message and not the address it wants its answer sent to. So the hub's JetStream and registry are asked
 * all the robber may ask, each time with the answer sent to a place where an answer would do harm.
 */
test('it cannot have answers of the hub sent where they would write, delete or ask', async () => {
  const own = `$KV.${topology.desired.name}.${ME}.agent.x`;
  const desired = streamName(topology.desired);
  // A reader of its own, so that there is something to pull from.
  robber.listen(`${hubInboxPrefix('node', ME)}.made`);
  robber.say(`cim.v1.read.${ME}`, READ, `${hubInboxPrefix('node', ME)}.made`);
  expect(await until(() => robber.heard.length > 0)).toBe(true);
  expect(JSON.parse(robber.heard[0]!.payload)).toMatchObject({ consumer: `${ME}_0`, pending: 1 });
  const questions: readonly (readonly [subject: string, payload: string])[] = [
    [`$JS.hub.API.DIRECT.GET.${desired}.${own}`, ''],
    [`$JS.hub.API.DIRECT.GET.${streamName(topology.bundles)}`, '{"seq":1,"batch":3}'],
    [`$JS.hub.API.DIRECT.GET.${streamName(topology.trust)}`, '{"seq":1}'],
    [`$JS.hub.API.CONSUMER.MSG.NEXT.${desired}.${ME}_0`, '{"batch":1,"expires":1000000000}'],
    [`$JS.hub.API.$KV.${topology.nodes.name}.${ME}`, 'x'],
    [fill('eventForward', ME), '{}'],
    [`cim.v1.read.${ME}`, JSON.stringify({ row: 'desired', slot: 3, from: 'last' })],
    [`cim.v1.read.${ME}`, 'no request'],
  ];
  const places = [
    `$KV.${topology.desired.name}.${YOU}.agent.x`,
    `$KV.${topology.desired.name}.${ME}.agent.x`,
    `$KV.${topology.nodes.name}.${YOU}`,
    `$KV.${topology.catalog.name}.version.x.1`,
    `$KV.${topology.trust.name}.document`,
    `$JS.API.$KV.${topology.nodes.name}.${YOU}`,
    `$JS.hub.API.$KV.${topology.nodes.name}.${YOU}`,
    `$O.${topology.bundles.name}.C.x`,
    fill('eventForward', YOU),
    `cim.v1.read.${YOU}`,
    'cim.v1.audit.intent',
    'cim.v1.transparency.bundle',
    ...['$JS.API', '$JS.hub.API'].flatMap((prefix) => [
      `${prefix}.STREAM.DELETE.${desired}`,
      `${prefix}.STREAM.PURGE.${desired}`,
      `${prefix}.CONSUMER.DELETE.${desired}.${YOU}_1`,
      `${prefix}.CONSUMER.MSG.NEXT.${desired}.${YOU}_1`,
      `${prefix}.STREAM.CREATE.MINE`,
    ]),
    '$SYS.REQ.SERVER.PING',
  ];
  // Each question is asked once before, so that what asking alone changes is in the first look.
  for (const [subject, payload] of questions) robber.say(subject, payload, `${hubInboxPrefix('node', ME)}.before`);
  await robber.settled();
  const kv = await new Kvm(jetstream(state)).open(topology.desired.name);
  const nodes = await new Kvm(jetstream(state)).open(topology.nodes.name);
  const held = async () => ({
    desired: (await kv.get(`${YOU}.agent.x`))?.revision,
    mine: (await kv.get(`${ME}.agent.x`))?.revision,
    status: (await nodes.get(YOU))?.revision,
    streams: (await jsm.streams.names().next()).sort(),
    counts: await Promise.all(
      rowsAt('hub')
        .filter((row) => row !== topology.nodes && row !== topology.fleetEvents)
        .map(async (row) => [row.name, (await jsm.streams.info(streamName(row))).state.last_seq]),
    ),
    others: (await jsm.consumers.list(desired).next())
      .filter(({ name }) => name === `${YOU}_1`)
      .map(({ num_pending }) => num_pending),
    events: (await jsm.streams.info(topology.fleetEvents.name, { subjects_filter: `cim.v1.evt.${YOU}.>` })).state.subjects,
  });
  const before = await held();
  expect(before.others).toEqual([expect.any(Number)]);
  expect(before.others[0]).toBeGreaterThan(0);
  for (const place of places) for (const [subject, payload] of questions) robber.say(subject, payload, place);
  await robber.settled();
  // Asked last and answered: so was all before it.
  robber.listen(`${hubInboxPrefix('node', ME)}.after`);
  for (const [subject] of questions.slice(0, 1)) robber.say(subject, '', `${hubInboxPrefix('node', ME)}.after`);
  expect(await until(() => robber.heard.some(({ subject }) => subject.endsWith('.after')))).toBe(true);
  await state.flush();
  await eye.flush();
  expect(await held()).toEqual(before);
}, 60_000);
