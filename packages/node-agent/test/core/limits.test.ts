/** Table: who may set a limit, and who wins. */
import { defaults } from '@cim/contracts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { demandOf, effectiveLimits, SILENT_MEMORY } from '../../src/core/limits.ts';

const none = { resources: {}, configuration: {} };
const Mi = 2 ** 20;

test('silence everywhere gives the defaults', () => {
  expect(effectiveLimits(none, none)).toEqual({
    maxConcurrent: defaults.maxConcurrent,
    timeoutMs: defaults.timeoutMs,
    turnMs: defaults.turnMs,
    memoryBytes: defaults.memoryBytes,
    milliCpu: defaults.milliCpu,
    storageBytes: defaults.storageBytes,
  });
});

test.each([
  ['the manifest alone', '64Mi', undefined, 64 * Mi],
  ['desired lowers', '64Mi', '32Mi', 32 * Mi],
  ['desired does not raise', '64Mi', '1Gi', 64 * Mi],
  ['desired sets where the manifest is silent', undefined, '1Gi', 1024 * Mi],
] as const)('memory: %s', (_, manifest, desired, expected) => {
  const own = { ...none, resources: manifest === undefined ? {} : { memory: manifest } };
  const over = { ...none, resources: desired === undefined ? {} : { memory: desired } };
  expect(effectiveLimits(own, over).memoryBytes).toBe(expected);
  expect(demandOf(own, { ...over, isolation: 'shared' }).memoryBytes).toBe(expected);
});

test('a policy lowers what nobody asked for, and nothing that somebody did', () => {
  const policy = { memory: '16Mi', cpu: '100m', storage: '1Mi' };
  expect(effectiveLimits(none, none, policy)).toMatchObject({ memoryBytes: 16 * Mi, milliCpu: 100, storageBytes: Mi });
  const asks = { ...none, resources: { memory: '64Mi', cpu: '2', storage: '8Mi' } };
  expect(effectiveLimits(asks, none, policy)).toMatchObject({ memoryBytes: 64 * Mi, milliCpu: 2000, storageBytes: 8 * Mi });
});

test('configuration is the operator’s to tune, up and down, one by one', () => {
  const manifest = { ...none, configuration: { maxConcurrent: 4, timeout: '10s' } };
  const limits = effectiveLimits(manifest, { ...none, configuration: { maxConcurrent: 64 } });
  expect(limits).toMatchObject({ maxConcurrent: 64, timeoutMs: 10_000, turnMs: defaults.turnMs });
});

test('who asks for nothing counts for an idle replica, not for its ceiling', () => {
  expect(demandOf(none, { resources: {}, isolation: 'shared' })).toEqual({ memoryBytes: SILENT_MEMORY.shared, milliCpu: 0 });
  expect(demandOf(none, { resources: {}, isolation: 'dedicated' }).memoryBytes).toBe(SILENT_MEMORY.dedicated);
  expect(demandOf({ resources: { cpu: '500m' } }, { resources: {}, isolation: 'shared' }).milliCpu).toBe(500);
});

test('no desired document gets more than the manifest sets', () => {
  const amount = fc.option(fc.integer({ min: 1, max: 2 ** 40 }), { nil: undefined });
  const resources = fc
    .record({ memory: amount, storage: amount, cpu: fc.option(fc.integer({ min: 1, max: 64 }), { nil: undefined }) })
    .map((r) => Object.fromEntries(Object.entries(r).filter(([, v]) => v !== undefined)));
  fc.assert(
    fc.property(resources, resources, (own, over) => {
      const limits = effectiveLimits({ ...none, resources: own }, { ...none, resources: over });
      if (own.memory !== undefined) expect(limits.memoryBytes).toBeLessThanOrEqual(own.memory);
      if (own.storage !== undefined) expect(limits.storageBytes).toBeLessThanOrEqual(own.storage);
      if (own.cpu !== undefined) expect(limits.milliCpu).toBeLessThanOrEqual(own.cpu * 1000);
      expect(Object.values(limits).every((n) => n > 0)).toBe(true);
    }),
  );
});
