import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  Capability,
  CapabilityPattern,
  ChannelNameSchema,
  Digest,
  DomainName,
  EventType,
  InstanceId,
  newId,
  PublicKey,
  SecretName,
  SubjectPattern,
  Version,
  WorkloadName,
} from '../src/index.ts';
import { capability, label } from './samples.ts';

const hex = 'a'.repeat(64);
const sixtyThree = 'a'.repeat(63);

/** [schema, accepted, refused] */
const grammar = {
  InstanceId: [InstanceId, ['a', '0', 'cim-prod-001', 'a--b', sixtyThree], ['hub', '', '-a', 'a-', 'A', 'ä', `${sixtyThree}a`]],
  WorkloadName: [WorkloadName, ['hub', 'hello', '7', sixtyThree], ['', 'Hello', 'hello_world', 'a.b', 'a-', `${sixtyThree}a`]],
  DomainName: [DomainName, ['graph', 'workflow-2'], ['', 'Graph', 'a/b', '-']],
  Capability: [
    Capability,
    ['document.process', 'a', 'a-b.c9', 'a.b.c.d.e.f.g.h', 'a'.repeat(255)],
    ['', '.', 'a.', '.a', 'a..b', 'A', '9a', 'a.*', '>', 'a b', 'a.b.c.d.e.f.g.h.i', 'a'.repeat(256)],
  ],
  CapabilityPattern: [
    CapabilityPattern,
    ['>', '*', 'document.*', 'workflow.>', '*.process', '*.>', 'a.*.c'],
    ['', 'a.>.b', '>.a', 'a*', 'a.**', '.>', 'a..b', 'A', 'a >', `${'a'.repeat(255)}.>`],
  ],
  Digest: [
    Digest,
    [`sha256:${hex}`, `sha256:${'0'.repeat(64)}`],
    ['', hex, `sha256:${hex}a`, `sha256:${hex.slice(1)}`, `sha256:${'A'.repeat(64)}`, `sha512:${hex}`, `sha256:${hex}\n`],
  ],
  Version: [
    Version,
    ['0.0.0', '1.4.0', '10.20.30', '2.0.0-rc.1', '1.0.0-0', '1.0.0-x-y-z.--', '1.0.0-0a'],
    ['', '1', '1.0', 'v1.0.0', '1.0.0+build', '01.0.0', '1.0.0-', '1.0.0-01', '1.0.0-a..b', '1.0.0 ', '1.0.0\n', '-1.0.0'],
  ],
  ChannelName: [ChannelNameSchema, ['stable', 'x', 'rc-2', 'a'.repeat(32)], ['', 'Stable', '1', '-a', 'a.b', 'a'.repeat(33)]],
  PublicKey: [
    PublicKey,
    [`A${'B'.repeat(55)}`, `O${'7'.repeat(55)}`],
    ['', `U${'B'.repeat(55)}`, `S${'B'.repeat(55)}`, `A${'B'.repeat(54)}`, `A${'1'.repeat(55)}`, `a${'b'.repeat(55)}`],
  ],
  EventType: [EventType, ['agent.deployed', 'node.hub-lost'], ['', 'agent', 'a.b.c', 'Agent.deployed', 'agent.', '1.a', 'a.*']],
  SubjectPattern: [
    SubjectPattern,
    ['>', '*', 'orders.*.created', 'orders.>', '$JS.API.INFO', 'a/b=c', 'Orders'],
    ['', '.', 'a.', '.a', 'a..b', 'a.>.b', 'a*', 'a b', 'a\tb', 'a\u0000', 'ä', 'x'.repeat(256)],
  ],
  SecretName: [
    SecretName,
    ['smtp-password', 'A', 'a.b_c-d', 'a'.repeat(64)],
    ['', '.hidden', '..', 'a/b', '../a', '-a', 'a b', 'a\n', 'a'.repeat(65)],
  ],
} as const;

describe('grammar', () => {
  for (const [name, [schema, accepted, refused]] of Object.entries(grammar)) {
    it.each(accepted)(`${name} accepts %j`, (text) => {
      expect(schema.safeParse(text).error?.issues ?? []).toEqual([]);
    });
    it.each(refused)(`${name} refuses %j and says what it expects`, (text) => {
      const { success, error } = schema.safeParse(text);
      expect(success).toBe(false);
      if (text !== '' && text.length < 200) expect(error!.issues[0]!.message).toMatch(/expected|reserved/);
    });
    it.each([null, undefined, 0, true, [], {}, ['a']])(`${name} refuses %j, which is no text`, (value) => {
      expect(schema.safeParse(value).success).toBe(false);
    });
  }
});

/** Texts that are often nearly an id, so that the property sees both accepted and refused ones. */
const nearly = fc.oneof(
  fc.string({ unit: fc.constantFrom(...'ab0-._*>/ \n\t\0Zé$'), maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 8 }),
  label,
  capability,
);

describe('what an accepted name can never contain', () => {
  const single = { InstanceId, WorkloadName, DomainName, ChannelNameSchema, PublicKey, Digest };
  const dotted = { Capability, EventType, Version, SecretName };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for
  const never = /[*>/\\\s\u0000-\u001f\u007f-\uffff]/;

  it('no dot, wildcard, slash, space or control character (I1)', () => {
    fc.assert(
      fc.property(nearly, (text) => {
        for (const schema of Object.values(single)) if (schema.safeParse(text).success) expect(text).not.toMatch(/\./);
        for (const schema of [...Object.values(single), ...Object.values(dotted)])
          if (schema.safeParse(text).success) expect(text).not.toMatch(never);
      }),
      { numRuns: 2000 },
    );
  });

  it('no empty token and no dot at an end, where dots are allowed between tokens', () => {
    fc.assert(
      fc.property(nearly, (text) => {
        for (const schema of [Capability, CapabilityPattern, EventType, SubjectPattern])
          if (schema.safeParse(text).success) expect(text.split('.')).not.toContain('');
      }),
      { numRuns: 2000 },
    );
  });

  it('generated good names are accepted, so the properties above are not about nothing', () => {
    fc.assert(
      fc.property(label, capability, (id, dotted) => {
        expect(InstanceId.safeParse(id).success).toBe(true);
        expect(Capability.safeParse(dotted).success).toBe(dotted.length <= 255);
      }),
    );
  });

  it('a name is at most 63 characters, a capability at most 255 (I2)', () => {
    for (const schema of [InstanceId, WorkloadName, DomainName]) {
      expect(schema.safeParse('a'.repeat(63)).success).toBe(true);
      expect(schema.safeParse('a'.repeat(64)).success).toBe(false);
    }
    expect(Capability.safeParse('a'.repeat(255)).success).toBe(true);
    expect(Capability.safeParse('a'.repeat(256)).success).toBe(false);
  });

  it('a very long text is answered at once: no pattern backtracks', () => {
    const before = performance.now();
    for (const [schema] of Object.values(grammar))
      for (const long of ['1.0.0-1'.padEnd(200_000, '1'), 'a.'.repeat(100_000), `${'a'.repeat(200_000)}!`])
        expect(schema.safeParse(long).success).toBe(false);
    expect(performance.now() - before).toBeLessThan(2_000);
  });
});

describe('newId', () => {
  it('is a UUID version 7, and later ids sort behind earlier ones', () => {
    const ids = Array.from({ length: 200 }, newId);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('sorts and differs over many milliseconds and pages of chance, and says when it was made', () => {
    const before = Date.now();
    const ids = Array.from({ length: 50_000 }, newId);
    const after = Date.now();
    expect(ids.every((id, n) => n === 0 || id > ids[n - 1]!)).toBe(true);
    expect(new Set(ids.map((id) => id.slice(-12))).size).toBeGreaterThan(49_990);
    for (const id of [ids[0]!, ids.at(-1)!]) {
      const stamp = Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16);
      expect(stamp).toBeGreaterThanOrEqual(before);
      // A millisecond whose count is used up borrows from the next.
      expect(stamp).toBeLessThanOrEqual(after + 1);
    }
  });
});
