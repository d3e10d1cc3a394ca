import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, errorTable, Fault, Problem } from '../src/index.ts';

const code = fc.constantFrom(...(Object.keys(errorTable) as ErrorCode[]));
const issue = fc.record({ path: fc.string(), message: fc.string() });
const fault = fc
  .tuple(code, fc.string({ unit: 'grapheme' }), fc.array(issue, { maxLength: 3 }), fc.anything())
  .map(([one, detail, issues, cause]) => new Fault(one, detail, { issues, cause }));
const overTheWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('the error table', () => {
  it.each(Object.entries(errorTable))('%s says what went wrong and what to do, in a sentence each', (name, row) => {
    expect(name).toMatch(/^[a-z]+(?:-[a-z]+)*$/);
    expect(row.status).toBeGreaterThanOrEqual(400);
    expect(row.status).toBeLessThan(600);
    expect(row.title).toMatch(/^[A-Z].{8,}[^.]$/);
    expect(row.advice).toMatch(/^[A-Z].{15,}\.$/);
    expect(['no', 'now', 'later']).toContain(row.retry);
    expect(['caller', 'author', 'operator', 'node', 'hub']).toContain(row.whose);
  });

  it('has no two rows with one title: a reader must be able to tell them apart', () => {
    const titles = Object.values(errorTable).map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
  });
});

describe('a fault over the wire', () => {
  it('comes back as it went: code, detail and fields', () => {
    fc.assert(
      fc.property(fault, (one) => {
        const back = Fault.fromProblem(overTheWire(one.toProblem()));
        expect([back.code, back.detail, back.issues]).toEqual([one.code, one.detail, one.issues]);
        expect(back.row).toBe(errorTable[one.code]);
        expect(back.toProblem()).toEqual(one.toProblem());
      }),
    );
  });

  it('is a problem document of RFC 9457 with the row of the table', () => {
    const one = new Fault('too-large', 'bundle: 3 bytes too many', { issues: [{ path: 'a', message: 'b' }] });
    expect(one.toProblem('req-1')).toEqual({
      type: 'urn:cim:error:too-large',
      title: errorTable['too-large'].title,
      status: 413,
      detail: 'bundle: 3 bytes too many',
      code: 'too-large',
      retry: 'no',
      advice: errorTable['too-large'].advice,
      errors: [{ path: 'a', message: 'b' }],
      requestId: 'req-1',
    });
    expect(Problem.parse(one.toProblem())).toEqual(one.toProblem());
    expect(one.message).toBe('too-large: bundle: 3 bytes too many');
  });

  it('leaves cause and stack behind (F3)', () => {
    const secret = 'hunter2-in-the-cause';
    const one = new Fault('internal', 'seen', {
      cause: new Error(secret),
      issues: [{ path: 'p', message: 'm', stack: secret } as never],
    });
    const text = JSON.stringify(one.toProblem('r'));
    expect(text).not.toContain(secret);
    expect(text).not.toContain('errors.test');
    expect(Object.keys(one.toProblem('r')).sort()).toEqual(
      ['advice', 'code', 'detail', 'errors', 'requestId', 'retry', 'status', 'title', 'type'].sort(),
    );
    expect((one.cause as Error).message).toBe(secret);
  });

  it('anything that is no problem of ours becomes internal, and is not repeated', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withNullPrototype: true }), (value) => {
        const one = Fault.fromProblem(value);
        expect(one).toBeInstanceOf(Fault);
        expect(one.code).toBe('internal');
      }),
    );
    const other = { ...new Fault('conflict', 'x').toProblem(), code: 'made-up' };
    expect(Fault.fromProblem(other).detail).toBe('an answer that is no problem document of CIM');
    expect(Fault.fromProblem({ ...other, code: 'toString' }).code).toBe('internal');
  });

  it('takes a problem with fields it does not know, from a newer sender', () => {
    expect(Fault.fromProblem({ ...new Fault('conflict', 'x').toProblem(), instance: '/later' }).code).toBe('conflict');
  });
});

describe('Fault.of', () => {
  it('keeps a fault and wraps everything else without giving it away', () => {
    const one = new Fault('conflict', 'x');
    expect(Fault.of(one)).toBe(one);
    const wrapped = Fault.of(new Error('password is hunter2'), 'storing failed');
    expect([wrapped.code, wrapped.detail]).toEqual(['internal', 'storing failed']);
    expect(JSON.stringify(wrapped.toProblem())).not.toContain('hunter2');
    expect((wrapped.cause as Error).message).toBe('password is hunter2');
    expect(Fault.of(undefined).code).toBe('internal');
  });
});
