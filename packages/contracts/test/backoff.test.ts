import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { backoffDelay, defaultBackoff } from '../src/index.ts';

const policy = fc.record({
  base: fc.integer({ min: 1, max: 10_000 }),
  cap: fc.integer({ min: 1, max: 600_000 }),
  factor: fc.double({ min: 1, max: 10, noNaN: true }),
});
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const attempt = fc.oneof(fc.nat(100), fc.nat(), fc.constant(Number.POSITIVE_INFINITY));

describe('backoffDelay', () => {
  it('lies between half of the step and the whole of it, and never above the cap', () => {
    fc.assert(
      fc.property(policy, attempt, random, (one, n, chance) => {
        const step = Math.min(one.cap, one.base * one.factor ** Math.min(n, 64));
        const delay = backoffDelay(one, n, chance);
        expect(Number.isInteger(delay)).toBe(true);
        expect(delay).toBeGreaterThanOrEqual(Math.floor(step / 2));
        expect(delay).toBeLessThanOrEqual(Math.ceil(step));
        expect(delay).toBeLessThanOrEqual(one.cap);
      }),
      { numRuns: 1000 },
    );
  });

  it('never gets shorter with the tries', () => {
    fc.assert(
      fc.property(policy, fc.nat(200), random, (one, n, chance) => {
        expect(backoffDelay(one, n + 1, chance)).toBeGreaterThanOrEqual(backoffDelay(one, n, chance));
      }),
    );
  });

  it('spreads those who failed together', () => {
    const delays = Array.from({ length: 100 }, (_, i) => backoffDelay(defaultBackoff, 5, i / 100));
    expect(new Set(delays).size).toBe(100);
  });

  it.each([
    [0, 0, 50],
    [0, 0.5, 75],
    [1, 0, 100],
    [8, 0, 12_800],
    [9, 0, 15_000],
    [1000, 0, 15_000],
    [-3, 0, 50],
  ])('of the usual policy, try %d with %d is %d ms', (n, chance, ms) => {
    expect(backoffDelay(defaultBackoff, n, chance)).toBe(ms);
  });
});
