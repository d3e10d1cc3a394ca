import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManagedToken, NamePattern, nameWithin, outsideScope, TokenEntry, TokenRequest, TokenScope } from '../src/index.ts';
import { label } from './samples.ts';

const pattern = fc
  .array(fc.constantFrom('a', 'b', '-', '*', '1'), { minLength: 1, maxLength: 10 })
  .map((parts) => parts.join(''))
  .filter((text) => NamePattern.safeParse(text).success);

describe('names and patterns', () => {
  it('fit as a regular expression would have it', () => {
    const names = fc.stringMatching(/^[ab1-]{0,12}$/);
    fc.assert(
      fc.property(names, pattern, (name, one) => {
        const expression = new RegExp(`^${one.replaceAll('*', '.*')}$`);
        expect([name, one, nameWithin(name, [one])]).toEqual([name, one, expression.test(name)]);
      }),
      { numRuns: 2_000 },
    );
  });

  it('cannot be made slow', () => {
    const began = performance.now();
    expect(nameWithin('a'.repeat(63), [`${'*a'.repeat(30)}*b`])).toBe(false);
    expect(performance.now() - began).toBeLessThan(500);
  });

  it('have no magic but "*"', () => {
    for (const bad of ['', '.', 'a.b', 'a b', 'A', '>', 'a?', '[ab]', '-a', 'a-', 'a'.repeat(64)])
      expect([bad, NamePattern.safeParse(bad).success]).toEqual([bad, false]);
  });
});

describe('a scope', () => {
  it('only narrows: what it says nothing of is free, and nothing at all is free without one', () => {
    fc.assert(
      fc.property(label, label, (workload, instance) => {
        expect(outsideScope(undefined, { workload, instance, capabilities: ['a.b'] })).toBeUndefined();
        expect(outsideScope({}, { workload, instance, capabilities: ['a.b'] })).toBeUndefined();
        expect(outsideScope({ workloads: [workload] }, { workload, instance })).toBeUndefined();
        expect(outsideScope({ workloads: ['*'] }, { workload })).toBeUndefined();
        expect(outsideScope({ instances: [`${instance}x`] }, { workload, instance })).toContain(instance);
        expect(outsideScope({ workloads: [`x-${workload}`] }, { instance })).toBeUndefined();
      }),
    );
  });

  it('bounds each capability by the patterns of grants', () => {
    const scope = { capabilities: ['document.*', 'mail.>'] };
    expect(outsideScope(scope, { capabilities: ['document.read', 'mail.send.now'] })).toBeUndefined();
    expect(outsideScope(scope, { capabilities: ['document.read', 'document.read.all'] })).toContain('"document.read.all"');
    expect(outsideScope(scope, { capabilities: [] })).toBeUndefined();
  });

  it('is not an admin’s, in none of the forms a token has', () => {
    const scope = { workloads: ['a'] };
    const at = '2026-01-01T00:00:00Z';
    const base = { name: 'x', sha256: '0'.repeat(64) };
    const forms = [
      [TokenEntry, base],
      [TokenRequest, { name: 'x' }],
      [ManagedToken, { ...base, id: '0'.repeat(16), createdAt: at, createdBy: 'y' }],
    ] as const;
    for (const [schema, form] of forms) {
      expect(schema.safeParse({ ...form, roles: ['admin'] }).success).toBe(true);
      expect(schema.safeParse({ ...form, roles: ['viewer'], scope }).success).toBe(true);
      expect(schema.safeParse({ ...form, roles: ['viewer', 'admin'], scope }).success).toBe(false);
    }
    expect(TokenScope.safeParse({ workloads: [] }).success).toBe(false);
  });
});
