import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Channel,
  type ChannelName,
  CimEvent,
  channels,
  cimEvent,
  eventPattern,
  eventTypes,
  isPlainSubject,
  parseSubject,
  patternOf,
  reservedEntities,
  subjectOf,
  subjectsOverlap,
  subjectWithin,
} from '../src/index.ts';

const names = Object.keys(channels) as ChannelName[];
const row = (name: ChannelName): Channel => channels[name];
const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,12}$/);
const tail = fc.array(token, { minLength: 1, maxLength: 5 }).map((tokens) => tokens.join('.'));
/** Parameters of a template: what a row asks for, as the template writes it. */
const paramsOf = (name: ChannelName): fc.Arbitrary<Record<string, string>> =>
  fc.record(
    Object.fromEntries(
      [...row(name).template.matchAll(/\{(\w+)(\.\.\.)?\}/g)].map(([, key, open]) => [key!, open ? tail : token]),
    ),
  );

describe('every channel', () => {
  it.each(names)('%s: a subject and its parameters are inverse (C2)', (name) => {
    fc.assert(
      fc.property(paramsOf(name), (params) => {
        const subject = subjectOf(name, params as never);
        expect(parseSubject(name, subject)).toEqual(params);
        expect(subjectOf(name, parseSubject(name, subject)!)).toBe(subject);
        expect(isPlainSubject(subject)).toBe(true);
        expect(subjectWithin(subject, patternOf(name))).toBe(true);
        expect(subjectWithin(subject, patternOf(name, params as never))).toBe(true);
      }),
    );
  });

  it.each(names)('%s: a pattern with some parameters fixed covers those and no other', (name) => {
    fc.assert(
      fc.property(paramsOf(name), paramsOf(name), fc.nat(), (params, other, which) => {
        const keys = Object.keys(params);
        if (keys.length === 0) return;
        const key = keys[which % keys.length]!;
        const pattern = patternOf(name, { [key]: params[key] } as never);
        expect(subjectWithin(subjectOf(name, params as never), pattern)).toBe(true);
        expect(subjectWithin(subjectOf(name, other as never), pattern)).toBe(other[key] === params[key]);
      }),
    );
  });

  it.each(names)('%s: refuses what could break out of its token', (name) => {
    fc.assert(
      fc.property(paramsOf(name), fc.nat(), (params, which) => {
        const keys = Object.keys(params);
        const key = keys[which % keys.length]!;
        const open = row(name).template.includes(`{${key}...}`);
        for (const bad of [
          '',
          '*',
          '>',
          'a.*',
          'a.>',
          '.',
          'a.',
          '.a',
          'a..b',
          'a b',
          'a\n',
          '\u0000',
          'ä',
          'a/b',
          '$JS',
          ...(open ? [] : ['a.b']),
        ]) {
          expect(() => subjectOf(name, { ...params, [key]: bad } as never)).toThrow(TypeError);
          expect(() => patternOf(name, { [key]: bad } as never)).toThrow(TypeError);
        }
        const { [key]: _, ...without } = params;
        expect(() => subjectOf(name, without as never)).toThrow(TypeError);
      }),
      { numRuns: 20 },
    );
  });

  it.each(names)('%s: reading garbage gives undefined or exactly what it says, and never throws', (name) => {
    const garbage = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc
        .array(fc.constantFrom('cim', 'v1', 'evt', 'fwd', 'call', 'at', 'cmd', 'log', 'a', '*', '>', '', 'status'), {
          maxLength: 9,
        })
        .map((t) => t.join('.')),
    );
    fc.assert(
      fc.property(garbage, (subject) => {
        const params = parseSubject(name, subject);
        if (params !== undefined) expect(subjectOf(name, params)).toBe(subject);
      }),
      { numRuns: 500 },
    );
  });

  it.each(names)('%s: has a version, an owner before the variable part, and a text (C1)', (name) => {
    const { template, what, kind, reply } = row(name);
    expect(template).toMatch(/^cim\.v1\.[a-z]+\./);
    expect(what).toMatch(/^[A-Z].{20,}\.$/s);
    expect(kind === 'request').toBe(reply !== undefined);
    const instance = template.indexOf('{instance}');
    if (instance !== -1) expect(template.indexOf('{')).toBe(instance);
    const open = template.indexOf('...}');
    if (open !== -1) expect(open).toBe(template.length - 4);
  });

  it('has subjects no other channel has', () => {
    for (const one of names)
      for (const other of names)
        if (one !== other) expect([one, other, subjectsOverlap(patternOf(one), patternOf(other))]).toEqual([one, other, false]);
  });

  it.each([
    ['event', 'cim.v1.evt.i.agent.hello'],
    ['event', 'cim.v1.evt.i.agent.hello.deployed.more'],
    ['event', 'cim.v1.fwd.i.agent.hello.deployed'],
    ['event', 'cim.v2.evt.i.agent.hello.deployed'],
    ['call', 'cim.v1.call'],
    ['call', 'cim.v1.call.'],
    ['call', 'cim.v1.call.a.*'],
    ['callAt', 'cim.v1.at.i.call'],
    ['status', 'cim.v1.cmd.i.status.x'],
    ['status', 'cim.v1.cmd.i'],
  ] as const)('%s is not %s', (name, subject) => expect(parseSubject(name, subject)).toBeUndefined());
});

describe('eventPattern', () => {
  it.each([
    ['>', 'cim.v1.evt.i.>'],
    ['*', 'cim.v1.evt.i.*.*.*'],
    ['agent', 'cim.v1.evt.i.agent.*.*'],
    ['agent.>', 'cim.v1.evt.i.agent.>'],
    ['agent.*', 'cim.v1.evt.i.agent.*.*'],
    ['error.*', 'cim.v1.evt.i.error.*.*'],
    ['agent.*.deployed', 'cim.v1.evt.i.agent.*.deployed'],
    ['agent.hello.*', 'cim.v1.evt.i.agent.hello.*'],
    ['agent.Hello_1.>', 'cim.v1.evt.i.agent.Hello_1.>'],
    ['*.*.failed', 'cim.v1.evt.i.*.*.failed'],
  ])('%s is %s', (pattern, subject) => expect(eventPattern('i', pattern)).toBe(subject));

  it('takes * for every instance', () => {
    expect(eventPattern('*', 'agent.*.deployed')).toBe('cim.v1.evt.*.agent.*.deployed');
  });

  it.each(['', '.', 'a.', '.a', 'a..b', 'a.b.c.d', '>.a', 'a.>.b', 'a b', 'a*', '**', 'Agent', 'a.b\n', 'a.$JS', 'ä'])(
    '%j is refused by name',
    (pattern) => {
      expect(() => eventPattern('i', pattern)).toThrow(TypeError);
      expect(() => eventPattern('i', pattern)).toThrow(JSON.stringify(pattern));
    },
  );

  it.each(['', '>', 'a.b', 'a.>', '**', 'a b'])(
    'the instance %j is refused: it would reach further than it says',
    (instance) => {
      expect(() => eventPattern(instance, 'agent.*')).toThrow(TypeError);
    },
  );

  it('whatever is accepted stays within the instance', () => {
    const text = fc.array(fc.constantFrom('agent', '*', '>', 'a_B', '', 'x.y', ' '), { maxLength: 4 }).map((t) => t.join('.'));
    fc.assert(
      fc.property(text, (pattern) => {
        let subject: string;
        try {
          subject = eventPattern('i', pattern);
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
          return;
        }
        expect(subjectWithin(subject, 'cim.v1.evt.i.>')).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('finds the events it names', () => {
    const subject = subjectOf('event', { instance: 'i', entity: 'agent', id: 'hello', event: 'deployed' });
    for (const pattern of ['>', 'agent', 'agent.*', 'agent.*.deployed', 'agent.hello.*', '*.*.deployed'])
      expect(subjectWithin(subject, eventPattern('i', pattern))).toBe(true);
    for (const pattern of ['service', 'agent.*.failed', 'agent.other.>'])
      expect(subjectWithin(subject, eventPattern('i', pattern))).toBe(false);
  });
});

describe('cimEvent', () => {
  it('is a CloudEvent that its own schema takes; the root of a chain names itself', () => {
    const event = cimEvent(
      { instance: 'i', part: 'node-agent', type: 'agent.deployed', data: { version: '1.0.0' } },
      1_769_860_800_000,
    );
    expect(CimEvent.parse(JSON.parse(JSON.stringify(event)))).toEqual(event);
    expect(event.time).toBe('2026-01-31T12:00:00.000Z');
    expect(event.source).toBe('cim://i/node-agent');
    expect([event.correlationid, event.causationid]).toEqual([event.id, event.id]);
  });

  it('carries the ids of its chain', () => {
    const event = cimEvent(
      { instance: 'i', part: 'p', type: 'a.b', data: null, subject: 's', correlationId: 'c', causationId: 'd' },
      0,
    );
    expect([event.correlationid, event.causationid, event.subject]).toEqual(['c', 'd', 's']);
  });

  it('refuses a type that is none', () => {
    expect(() => cimEvent({ instance: 'i', part: 'p', type: 'deployed', data: null }, 0)).toThrow(/event type/);
  });

  it.each(Object.entries(eventTypes))('%s is a type, reserved for the product, and has a text', (type, what) => {
    expect(CimEvent.shape.type.safeParse(type).success).toBe(true);
    expect(reservedEntities.has(type.split('.')[0]!)).toBe(true);
    expect(what).toMatch(/^[A-Z].{10,}\.$/);
  });
});
