import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  channels,
  consumerNames,
  hubInboxPrefix,
  inboxPrefix,
  type Party,
  patternOf,
  permissionsOf,
  rowsAt,
  SubjectPattern,
  streamName,
  subjectOf,
  subjectsOverlap,
  subjectWithin,
  topology,
} from '../src/index.ts';
import { label } from './samples.ts';

const parties: Party[] = ['node', 'registry', 'alchemist'];
const all = (party: Party, id: string) => {
  const { publish, subscribe } = permissionsOf(party, id);
  return [...publish.allow, ...subscribe.allow];
};
const may = (party: Party, id: string, side: 'publish' | 'subscribe', subject: string) =>
  permissionsOf(party, id)[side].allow.some((allowed) => subjectWithin(subject, allowed));
const overlaps = (party: Party, id: string, side: 'publish' | 'subscribe', subject: string) =>
  permissionsOf(party, id)[side].allow.filter((allowed) => subjectsOverlap(subject, allowed));

describe('permissions', () => {
  it('of each party are these and no others (reviewed by hand; a change here is a change of who may do what)', () => {
    const golden = JSON.parse(readFileSync(new URL('golden/permissions.json', import.meta.url), 'utf8'));
    expect(Object.fromEntries(parties.map((party) => [party, permissionsOf(party, 'ID')]))).toEqual(golden);
  });

  it('never hold a bare ">", a whole API, or what is no subject', () => {
    fc.assert(
      fc.property(label, (id) => {
        for (const party of parties)
          for (const subject of all(party, id)) {
            expect(SubjectPattern.safeParse(subject).success).toBe(true);
            expect([
              '>',
              '*',
              '*.>',
              '$JS.>',
              '$JS.API.>',
              '$JS.hub.API.>',
              '$KV.>',
              '$O.>',
              'cim.>',
              'cim.v1.>',
            ]).not.toContain(subject);
            expect(subject.startsWith('*')).toBe(false);
          }
      }),
      { numRuns: 10 },
    );
  });

  it('to subscribe never end in "*": nats-server hears ">" in it (see policy.test.ts)', () => {
    for (const party of parties)
      expect(permissionsOf(party, 'a').subscribe.allow.filter((subject) => subject.endsWith('*'))).toEqual([]);
  });

  it('of a node never name another instance (M1)', () => {
    fc.assert(
      fc.property(label, label, (id, other) => {
        fc.pre(id !== other);
        // Words of the tables may by chance be an instance's id as well; those are not about it.
        const words = new Set(all('node', 'ID').flatMap((subject) => subject.split('.')));
        fc.pre(!words.has(other));
        for (const subject of all('node', id)) expect(subject.split('.')).not.toContain(other);
        expect(all('node', id).some((subject) => subject.split('.').includes(id))).toBe(true);
      }),
    );
  });

  it('of two nodes differ in nothing but the id', () => {
    fc.assert(
      fc.property(label, (id) => {
        const { publish, subscribe } = permissionsOf('node', id);
        const golden = permissionsOf('node', 'ID');
        const put = (list: readonly string[]) =>
          list.map((subject) =>
            subject
              .split('.')
              .map((part) => part.replace(/^ID(?=_\d$|$)/, id))
              .join('.'),
          );
        const sorted = (list: readonly string[]) => [...list].sort();
        expect(publish.allow).toEqual(sorted(put(golden.publish.allow)));
        expect(subscribe.allow).toEqual(sorted(put(golden.subscribe.allow)));
      }),
    );
  });

  it('let a node speak as itself and as nobody else', () => {
    const event = (instance: string) => patternOf('eventForward', { instance });
    expect(may('node', 'a', 'publish', event('a'))).toBe(true);
    for (const channel of ['event', 'eventForward', 'log'] as const)
      expect(overlaps('node', 'a', 'publish', patternOf(channel, { instance: 'b' }))).toEqual([]);
    for (const command of ['status', 'probe', 'check', 'drain'] as const) {
      expect(may('node', 'a', 'subscribe', patternOf(command, { instance: 'a' }))).toBe(true);
      expect(overlaps('node', 'a', 'subscribe', patternOf(command, { instance: 'b' }))).toEqual([]);
      expect(overlaps('node', 'a', 'publish', patternOf(command, { instance: 'b' }))).toEqual([]);
    }
  });

  it('let a node call any instance, and answer only for itself', () => {
    expect(may('node', 'a', 'publish', patternOf('callAt', { instance: 'b' }))).toBe(true);
    expect(overlaps('node', 'a', 'subscribe', patternOf('callAt', { instance: 'b' }))).toEqual([]);
    expect(may('node', 'a', 'subscribe', patternOf('callAt', { instance: 'a' }))).toBe(true);
  });

  it('let a node read its own desired documents and write its own status', () => {
    const api = (rest: string) => `$JS.hub.API.${rest}`;
    expect(overlaps('node', 'a', 'publish', '$KV.>')).toEqual([]);
    expect(overlaps('node', 'a', 'publish', '$O.>')).toEqual([]);
    expect(may('node', 'a', 'publish', api('CONSUMER.MSG.NEXT.KV_CIM_DESIRED.a_0'))).toBe(true);
    expect(may('node', 'a', 'publish', api('CONSUMER.MSG.NEXT.KV_CIM_DESIRED.b_0'))).toBe(false);
    expect(may('node', 'a', 'publish', api('STREAM.INFO.KV_CIM_DESIRED'))).toBe(false);
    expect(may('node', 'a', 'publish', api('DIRECT.GET.KV_CIM_DESIRED.$KV.CIM_DESIRED.a.agent.x'))).toBe(true);
    expect(may('node', 'a', 'publish', api('DIRECT.GET.KV_CIM_DESIRED.$KV.CIM_DESIRED.b.agent.x'))).toBe(false);
    expect(may('node', 'a', 'publish', api('DIRECT.GET.KV_CIM_DESIRED'))).toBe(false);
    expect(may('node', 'a', 'publish', api('$KV.CIM_NODES.a'))).toBe(true);
    expect(may('node', 'a', 'publish', api('$KV.CIM_NODES.b'))).toBe(false);
    expect(may('node', 'a', 'publish', api('$KV.CIM_CATALOG.version.x.1'))).toBe(false);
  });

  it('let a node make, change and end no consumer, and speak to JetStream under the hub’s domain only', () => {
    for (const verb of ['CREATE', 'DURABLE.CREATE', 'DELETE', 'INFO', 'NAMES', 'LIST', 'PAUSE', 'RESET', 'UNPIN'])
      expect(overlaps('node', 'a', 'publish', `$JS.hub.API.CONSUMER.${verb}.>`)).toEqual([]);
    expect(overlaps('node', 'a', 'publish', '$JS.hub.API.STREAM.>')).toEqual([]);
    expect(overlaps('node', 'a', 'publish', '$JS.API.>')).toEqual([]);
  });

  it('let only the registry change the hub’s streams, and each only by name', () => {
    for (const verb of ['CREATE', 'UPDATE', 'DELETE', 'PURGE'])
      for (const stream of ['KV_CIM_DESIRED', 'KV_CIM_CATALOG', 'KV_CIM_NODES', 'OBJ_CIM_BUNDLES', topology.fleetEvents.name]) {
        const subject = `$JS.API.STREAM.${verb}.${stream}`;
        expect([subject, may('registry', 'r', 'publish', subject)]).toEqual([subject, true]);
        expect([subject, may('node', 'a', 'publish', subject)]).toEqual([subject, false]);
        expect([subject, may('alchemist', 'x', 'publish', subject)]).toEqual([subject, false]);
        expect(may('registry', 'r', 'publish', `$JS.API.STREAM.${verb}.OTHER`)).toBe(false);
      }
  });

  it('give each party replies of its own: nobody listens in, and nobody forges an answer of the hub (M3)', () => {
    for (const party of parties) {
      for (const prefix of [inboxPrefix, hubInboxPrefix]) {
        expect(may(party, 'x', 'subscribe', `${prefix(party, 'x')}.abc.1`)).toBe(true);
        for (const other of parties) expect(overlaps(party, 'x', 'subscribe', `${prefix(other, 'y')}.>`)).toEqual([]);
      }
      for (const other of parties) expect(overlaps(party, 'x', 'publish', `${hubInboxPrefix(other, 'y')}.>`)).toEqual([]);
    }
  });

  it('let whoever is asked answer: a node into an inbox, the registry where the server points it, and nobody else', () => {
    const asked = (party: Party) =>
      Object.values(channels).some((row) => row.kind === 'request' && (row.to as readonly Party[]).includes(party));
    for (const party of parties)
      expect([party, overlaps(party, 'x', 'publish', '_INBOX.alchemist.y.abc').length]).toEqual([
        party,
        party === 'node' ? 1 : 0,
      ]);
    for (const party of parties)
      expect([party, overlaps(party, 'x', 'publish', '_R_.abc.def').length]).toEqual([party, party === 'registry' ? 1 : 0]);
    expect(parties.filter(asked)).toEqual(['node', 'registry']);
  });

  it('cover what each channel says of it (nothing is missing)', () => {
    for (const [name, row] of Object.entries(channels)) {
      const pattern = patternOf(
        name as keyof typeof channels,
        row.template.includes('{instance}') ? ({ instance: 'a' } as never) : {},
      );
      for (const party of row.from as readonly Party[])
        expect([name, party, may(party, 'a', 'publish', pattern)]).toEqual([name, party, true]);
      for (const party of row.to as readonly Party[])
        expect([name, party, may(party, 'a', 'subscribe', pattern)]).toEqual([name, party, true]);
    }
  });

  it('let a node pull from consumers of its own name and touch no other (M5)', () => {
    const rows = rowsAt('hub').filter(({ readers }) => readers);
    expect(rows.length).toBeGreaterThan(1);
    for (const row of rows) {
      const subject = (consumer: string) => `$JS.hub.API.CONSUMER.MSG.NEXT.${streamName(row)}.${consumer}`;
      for (const own of consumerNames(row, 'a')) expect([own, may('node', 'a', 'publish', subject(own))]).toEqual([own, true]);
      for (const other of [...consumerNames(row, 'b'), ...consumerNames(row, 'a-0'), 'x', '*'])
        expect([other, overlaps('node', 'a', 'publish', subject(other)).length]).toEqual([other, other === '*' ? 4 : 0]);
    }
  });

  it('let a node answer what it was enrolled for and nothing else (M4)', () => {
    const answers = (serves: readonly string[] | undefined, capability: string) =>
      permissionsOf('node', 'a', serves === undefined ? {} : { serves }).subscribe.allow.some((allowed) =>
        subjectWithin(subjectOf('call', { capability }), allowed),
      );
    expect(answers(undefined, 'any.thing')).toBe(true);
    expect(answers(['>'], 'any.thing')).toBe(true);
    expect(answers([], 'any.thing')).toBe(false);
    expect(answers(['document.*', 'greeting.say'], 'document.process')).toBe(true);
    expect(answers(['document.*', 'greeting.say'], 'greeting.say')).toBe(true);
    expect(answers(['document.*', 'greeting.say'], 'greeting.shout')).toBe(false);
    expect(answers(['document.*'], 'document.process.fast')).toBe(false);
    // Who calls a node by its name is answered by that node: no pattern stands between.
    const at = permissionsOf('node', 'a', { serves: [] }).subscribe.allow;
    expect(at.some((allowed) => subjectWithin(subjectOf('callAt', { instance: 'a', capability: 'x' }), allowed))).toBe(true);
  });
});
