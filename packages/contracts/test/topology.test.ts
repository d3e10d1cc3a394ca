import { describe, expect, it } from 'vitest';
import {
  channelKey,
  channels,
  desiredKey,
  isPlainSubject,
  type Place,
  rowsAt,
  streamName,
  streamSubjects,
  subjectsOverlap,
  subjectWithin,
  type TopologyRow,
  topology,
  versionKey,
  versionToken,
  workloadBucket,
} from '../src/index.ts';

const rows: [string, TopologyRow][] = Object.entries(topology);
const places: Place[] = ['hub', 'leaf'];

describe('topology', () => {
  it.each(places)('at the %s no two rows share a name or a stream', (place) => {
    const at = rowsAt(place);
    expect(at.length).toBeGreaterThan(0);
    expect(new Set(at.map(({ name }) => name)).size).toBe(at.length);
    expect(new Set(at.map(streamName)).size).toBe(at.length);
  });

  it('every row stands at one place', () => {
    expect(places.flatMap(rowsAt)).toHaveLength(rows.length);
  });

  it.each(rows)('%s says how many consumers it allows, and what it is for (P2)', (_, row) => {
    expect(row.maxConsumers).toBeGreaterThanOrEqual(1000);
    expect(row.what).toMatch(/^[A-Z].{10,}\.$/s);
    expect(streamName(row)).toMatch(/^[A-Z]+(?:_[A-Z]+)*$/);
  });

  it.each(rows)('%s is bounded: by age, size, history or value', (_, row) => {
    if (row.type === 'kv') expect([row.history >= 1 && row.history <= 64, row.maxValueBytes > 0]).toEqual([true, true]);
    // A log that is never cut is bounded by the disk alone, and says so with both of its bounds.
    if (row.type === 'stream' && 'appendOnly' in row) expect([row.maxAgeMs, row.maxBytes]).toEqual([0, -1]);
    else if (row.type === 'stream') {
      expect(row.maxAgeMs).toBeGreaterThan(0);
      expect(row.maxBytes).toBeGreaterThan(0);
      expect(row.duplicateWindowMs).toBeLessThanOrEqual(row.maxAgeMs);
    }
  });

  it.each(places)(
    'at the %s no two streams listen to one subject: a message would be stored and acknowledged twice',
    (place) => {
      const streams = rowsAt(place).map((row) => streamSubjects(row, 'i'));
      for (const [i, one] of streams.entries())
        for (const other of streams.slice(i + 1))
          for (const a of one) for (const b of other) expect([a, b, subjectsOverlap(a, b)]).toEqual([a, b, false]);
    },
  );

  it('hub and leaf do not both listen to what a leaf publishes across its link', () => {
    for (const a of streamSubjects(topology.fleetEvents))
      for (const b of streamSubjects(topology.leafEvents, 'i')) expect(subjectsOverlap(a, b)).toBe(false);
  });

  it('what is forwarded is stored under the subject it had', () => {
    const { transform, subjects } = topology.fleetEvents;
    expect(subjects).toContain(transform.src);
    const turned = channels.eventForward.template.replace(transform.src.slice(0, -1), transform.dest.slice(0, -1));
    expect(turned).toBe(channels.event.template);
  });

  it('the leaf keeps its own events and nobody else’s', () => {
    expect(streamSubjects(topology.leafEvents, 'cim-a')).toEqual(['cim.v1.evt.cim-a.>']);
    expect(subjectWithin('cim.v1.evt.cim-b.agent.x.y', streamSubjects(topology.leafEvents, 'cim-a')[0]!)).toBe(false);
  });
});

describe('keys', () => {
  it('are plain subjects, so that a bucket takes them', () => {
    for (const key of [
      desiredKey({ instance: 'cim-a', kind: 'agent', name: 'hello' }),
      versionKey('hello', '2.0.0-rc.1'),
      channelKey('hello', 'stable'),
    ]) {
      expect(isPlainSubject(key)).toBe(true);
      expect(key.split('.')).toHaveLength(3);
    }
  });

  it('of two versions are two', () => {
    expect(versionToken('2.0.0-rc.1')).toBe('2_0_0-rc_1');
    expect(versionToken('2.0.0-rc.1').replaceAll('_', '.')).toBe('2.0.0-rc.1');
  });

  it('of two workloads name two buckets', () => {
    expect(workloadBucket('agent', 'hello')).toBe('CIM_WL_agent_hello');
    expect(workloadBucket('service', 'hello')).not.toBe(workloadBucket('agent', 'hello'));
  });
});
