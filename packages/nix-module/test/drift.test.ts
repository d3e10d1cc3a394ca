/** The comparison finds what it is for: a key without an option, an option without a key; and nothing where there is nothing. */
import { NodeAgentConfig, RegistryConfig } from '@cim/contracts';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { keysOf, options, settingsDrift } from '../src/index.ts';

const schema = z.strictObject({
  a: z.string(),
  b: z.strictObject({ c: z.number().default(1), d: z.array(z.string()).optional() }).prefault({} as never),
  free: z.record(z.string(), z.unknown()).default({}),
});

test('the keys of a schema are its leaves', () => {
  expect(keysOf(schema)).toEqual(['a', 'b.c', 'b.d', 'free']);
});

test('the same is no drift, whoever is free inside', () => {
  expect(settingsDrift('s.', ['a', 'b.c', 'b.d', 'free'], keysOf(schema))).toEqual([]);
  expect(settingsDrift('s.', ['a', 'b', 'free.x', 'free.y.z'], keysOf(schema))).toEqual([]);
});

test('each difference is named from its side', () => {
  expect(settingsDrift('s.', ['a', 'b.c', 'free', 'b.extra'], keysOf(schema))).toEqual([
    's.b.d: the daemon knows it, no option does',
    's.b.extra: an option, and the daemon refuses the key',
  ]);
});

describe('the options as they are now', () => {
  test.each([
    ['nodeAgent', NodeAgentConfig],
    ['registry', RegistryConfig],
  ] as const)('cim.%s.settings are the keys of its configuration', (owner, config) => {
    const prefix = `cim.${owner}.settings.`;
    const declared = options.filter(({ name }) => name.startsWith(prefix)).map(({ name }) => name.slice(prefix.length));
    expect(declared.length).toBeGreaterThan(5);
    expect(settingsDrift(prefix, declared, keysOf(config))).toEqual([]);
  });
});
