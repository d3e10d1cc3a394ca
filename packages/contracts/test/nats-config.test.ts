import { connect } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { hubInboxPrefix, inboxPrefix, type NatsServerOptions, permissionsOf, renderNatsConfig } from '../src/index.ts';
import { checkConfig, natsServer, startNats } from './nats-server.ts';

const base = (more: Partial<NatsServerOptions> = {}): NatsServerOptions => ({
  name: 'hub',
  host: '127.0.0.1',
  port: 4222,
  domain: 'hub',
  storeDirectory: '/tmp/never-made',
  users: [],
  ...more,
});
const users: NatsServerOptions['users'] = [
  { user: 'admin', password: 'a "quoted" \\ pass$word #{not} a comment' },
  { user: 'registry', password: 'b', party: { party: 'registry', id: 'registry' } },
  { user: 'alchemist', password: 'c', party: { party: 'alchemist', id: 'alchemist' } },
  { user: 'cim-prod-001', password: 'd', party: { party: 'node', id: 'cim-prod-001' } },
];
const hub = base({ users, leafPort: 7422, monitorPort: 8222, pidFile: '/tmp/hub.pid' });
const leaf = base({
  name: 'cim-prod-001',
  domain: 'cim-prod-001',
  port: -1,
  users: [{ user: 'node', password: 'x' }],
  remotes: [{ url: 'nats-leaf://cim-prod-001:d@127.0.0.1:7422' }],
});

describe('as data', () => {
  const parsed = (options: NatsServerOptions) => JSON.parse(renderNatsConfig(options));

  it('is the same for the same options, and ends in a line end', () => {
    expect(renderNatsConfig(hub)).toBe(renderNatsConfig({ ...hub }));
    expect(renderNatsConfig(hub)).toMatch(/\}\n$/);
  });

  it('gives each user the permissions of its party, and an administrator all', () => {
    const { HUB, CIM } = parsed(hub).accounts;
    const all = new Map([...HUB.users, ...CIM.users].map((one) => [one.user, one]));
    expect(all.get('admin')).toEqual({ user: 'admin', password: users[0]!.password });
    for (const { user, party } of users.slice(1)) {
      const { publish, subscribe } = permissionsOf(party!.party, party!.id);
      expect(all.get(user).permissions).toMatchObject({ publish, subscribe });
    }
  });

  it('has nothing in it that was not asked for', () => {
    expect(Object.keys(parsed(base())).sort()).toEqual(['host', 'jetstream', 'max_payload', 'port', 'server_name']);
    expect(parsed(base()).jetstream).toMatchObject({ domain: 'hub', max_memory_store: 256e6, max_file_store: 16e9 });
    expect(parsed(base({ jetstreamMaxFile: '1Gi' })).jetstream.max_file_store).toBe(2 ** 30);
  });
});

describe.skipIf(natsServer === undefined)('as nats-server reads it', () => {
  it.each<[string, NatsServerOptions]>([
    ['the smallest', base()],
    ['a hub with users, leaves, a monitor and a pid file', hub],
    ['a leaf that joins a hub', leaf],
    ['a leaf that joins two hubs', { ...leaf, remotes: [...leaf.remotes!, { url: 'nats-leaf://127.0.0.1:7423' }] }],
    ['one with limits of its own', base({ jetstreamMaxMemory: '64Mi', jetstreamMaxFile: '1.5GB', maxPayloadBytes: 2 ** 20 })],
    ['a path and a name with odd characters', base({ name: 'a_b#c', storeDirectory: '/tmp/with space/$HOME "q" \\ #x' })],
  ])('%s is good', (_, options) => {
    const { good, output } = checkConfig(renderNatsConfig(options));
    expect([good, output]).toEqual([true, expect.any(String)]);
    expect(output).not.toMatch(/error|unknown field/i);
  });

  it('a bad file is seen as bad, so the tests above can fail', () => {
    expect(checkConfig(renderNatsConfig(base()).replace('"port"', '"prot"')).good).toBe(false);
  });

  it('holds each party to its permissions, passwords as they were written', async () => {
    const server = await startNats((directory) => renderNatsConfig(base({ port: -1, users, storeDirectory: directory })));
    const denied = async (user: string, work: (nc: Awaited<ReturnType<typeof connect>>) => void) => {
      const password = users.find((one) => one.user === user)!.password;
      const nc = await connect({ servers: server.url, user, pass: password, reconnect: false });
      const seen: string[] = [];
      const reading = (async () => {
        for await (const status of nc.status()) if (status.type === 'error') seen.push(String(status.error));
      })();
      work(nc);
      await nc.flush();
      await nc.flush();
      await nc.close();
      await reading;
      return seen.length;
    };
    try {
      const silent = (subject: string) => (nc: Awaited<ReturnType<typeof connect>>) => nc.publish(subject, '');
      const listening = (subject: string) => (nc: Awaited<ReturnType<typeof connect>>) =>
        void nc.subscribe(subject, { callback: () => {} });
      expect(await denied('admin', silent('anything.at.all'))).toBe(0);
      expect(await denied('cim-prod-001', silent('cim.v1.fwd.cim-prod-001.agent.hello.deployed'))).toBe(0);
      expect(await denied('cim-prod-001', silent('cim.v1.fwd.cim-prod-002.agent.hello.deployed'))).toBe(1);
      expect(await denied('cim-prod-001', silent('$KV.CIM_DESIRED.cim-prod-001.agent.hello'))).toBe(1);
      expect(await denied('cim-prod-001', listening(`${inboxPrefix('node', 'cim-prod-001')}.>`))).toBe(0);
      expect(await denied('cim-prod-001', listening(`${inboxPrefix('alchemist', 'alchemist')}.>`))).toBe(1);
      expect(await denied('cim-prod-001', silent(`${hubInboxPrefix('node', 'cim-prod-002')}.x`))).toBe(1);
      expect(await denied('cim-prod-001', listening('>'))).toBe(1);
      expect(await denied('alchemist', silent('cim.v1.cmd.cim-prod-001.status'))).toBe(0);
      expect(await denied('alchemist', listening('cim.v1.evt.>'))).toBe(0);
      expect(await denied('alchemist', silent('$KV.CIM_DESIRED.a.agent.b'))).toBe(1);
      expect(await denied('registry', silent('$KV.CIM_DESIRED.a.agent.b'))).toBe(0);
    } finally {
      await server.stop();
    }
  });
});
