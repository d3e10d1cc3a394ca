import { describe, expect, it } from 'vitest';
import {
  accountOf,
  crossings,
  domainMappings,
  type Party,
  permissionsOf,
  readableRows,
  readerConsumer,
  renderNatsConfig,
  subjectsOverlap,
  subjectWithin,
} from '../src/index.ts';

const crossing = crossings().map(({ subject }) => subject);

describe("the hub's two accounts", () => {
  it('exchange these subjects and no others (reviewed by hand; a change here is a change of what a leaf can reach)', () => {
    expect(crossings()).toEqual([
      { subject: '$JS.API.CONSUMER.MSG.NEXT.CIM_LOG.>', answers: 'many' },
      { subject: '$JS.API.CONSUMER.MSG.NEXT.KV_CIM_DESIRED.>', answers: 'many' },
      { subject: '$JS.API.CONSUMER.MSG.NEXT.KV_CIM_TRUST.>', answers: 'many' },
      { subject: '$JS.API.DIRECT.GET.CIM_EVENTS.>', answers: 'one' },
      { subject: '$JS.API.DIRECT.GET.CIM_LOG', answers: 'many' },
      { subject: '$JS.API.DIRECT.GET.CIM_LOG.>', answers: 'many' },
      { subject: '$JS.API.DIRECT.GET.KV_CIM_DESIRED.>', answers: 'many' },
      { subject: '$JS.API.DIRECT.GET.KV_CIM_TRUST', answers: 'many' },
      { subject: '$JS.API.DIRECT.GET.KV_CIM_TRUST.>', answers: 'many' },
      { subject: '$JS.API.DIRECT.GET.OBJ_CIM_BUNDLES', answers: 'many' },
      { subject: '$JS.API.DIRECT.GET.OBJ_CIM_BUNDLES.>', answers: 'many' },
      { subject: '$KV.CIM_NODES.>', answers: 'one' },
      { subject: 'cim.v1.fwd.>', answers: 'one' },
      { subject: 'cim.v1.read.>', answers: 'one' },
    ]);
  });

  it('let nothing across by which a consumer or a stream is made, changed or ended, or what is desired is written (X2)', () => {
    for (const closed of [
      '$JS.API.CONSUMER.CREATE.>',
      '$JS.API.CONSUMER.DURABLE.>',
      '$JS.API.CONSUMER.DELETE.>',
      '$JS.API.CONSUMER.INFO.>',
      '$JS.API.STREAM.>',
      '$JS.API.INFO',
      '$JS.ACK.>',
      '$JS.FC.>',
      '$KV.CIM_DESIRED.>',
      '$KV.CIM_CATALOG.>',
      '$KV.CIM_TRUST.>',
      '$O.>',
      'cim.v1.audit.>',
      'cim.v1.transparency.>',
      '$SYS.>',
    ])
      expect([closed, crossing.filter((open) => subjectsOverlap(open, closed))]).toEqual([closed, []]);
  });

  it('give a node a way for each thing it may say to the hub’s JetStream or registry', () => {
    for (const subject of permissionsOf('node', 'a').publish.allow) {
      // As the server maps it where the leaf comes in: the domain goes, and the API before a key.
      const mapping = Object.entries(domainMappings).find(([from]) => subject.startsWith(from.slice(0, -1)));
      const mapped = mapping ? mapping[1].slice(0, -1) + subject.slice(mapping[0].length - 1) : subject;
      const crosses = crossing.some((open) => subjectWithin(mapped, open));
      const stays = /^(?:_INBOX\.>|cim\.v1\.(?:call|at|evt|log)\.)/.test(subject);
      expect([subject, crosses]).toEqual([subject, !stays]);
    }
  });

  it('hold each party in one of them', () => {
    const parties: readonly Party[] = ['node', 'registry', 'alchemist'];
    expect(parties.map(accountOf)).toEqual(['CIM', 'HUB', 'CIM']);
    const config = JSON.parse(
      renderNatsConfig({
        name: 'hub',
        host: '127.0.0.1',
        port: 4222,
        domain: 'hub',
        storeDirectory: '/x',
        users: [
          ...parties.map((party) => ({ user: party, password: 'p', party: { party, id: 'a' } })),
          { user: 'admin', password: 'p' },
          { user: 'watcher', password: 'p', account: 'CIM' as const },
        ],
      }),
    );
    expect(config.authorization).toBeUndefined();
    const names = (account: string) => config.accounts[account].users.map(({ user }: { user: string }) => user);
    expect(names('HUB')).toEqual(['registry', 'admin']);
    expect(names('CIM')).toEqual(['node', 'alchemist', 'watcher']);
    expect(config.accounts.CIM.jetstream).toBeUndefined();
  });
});

describe('a consumer made for a node', () => {
  it('is of its own name and over what it may read, whatever it asks', () => {
    expect(readableRows).toEqual(['desired', 'trust', 'transparency']);
    expect(readerConsumer('a', { row: 'desired', slot: 2, from: 'last' })).toEqual({
      stream: 'KV_CIM_DESIRED',
      config: {
        name: 'a_2',
        filter_subject: '$KV.CIM_DESIRED.a.>',
        ack_policy: 'none',
        mem_storage: true,
        num_replicas: 1,
        max_waiting: 4,
        inactive_threshold: 90e9,
        deliver_policy: 'last_per_subject',
      },
    });
    const log = readerConsumer('a', { row: 'transparency', slot: 0, from: 7 }).config;
    expect(log).toMatchObject({
      deliver_policy: 'by_start_sequence',
      opt_start_seq: 7,
      filter_subject: 'cim.v1.transparency.>',
    });
    for (const row of readableRows)
      expect(readerConsumer('a', { row, slot: 0, from: 'last' }).config).not.toHaveProperty('deliver_subject');
  });
});
