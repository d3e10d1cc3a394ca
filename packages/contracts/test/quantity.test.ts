import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  Bytes,
  bytesOf,
  Cpu,
  DurationText,
  decode,
  type Fault,
  milliCpuOf,
  msOf,
  parseBytes,
  parseCpu,
  parseDuration,
  renderBytes,
  renderCpu,
  renderDuration,
} from '../src/index.ts';

const safe = fc.maxSafeNat();

describe('bytes', () => {
  it.each([
    ['0', 0],
    ['1048576', 2 ** 20],
    ['1B', 1],
    ['4Gi', 4 * 2 ** 30],
    ['4GiB', 4 * 2 ** 30],
    ['64GB', 64e9],
    ['64G', 64e9],
    ['1.5Ki', 1536],
    ['0.5Mi', 2 ** 19],
    ['2Ti', 2 ** 41],
    ['1k', 1000],
    ['9007199254740991', Number.MAX_SAFE_INTEGER],
    [4096, 4096],
    [0, 0],
  ])('%j is %d', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
    expect(bytesOf(text)).toBe(bytes);
  });

  it.each([
    '',
    ' ',
    '4 Gi',
    '4gi',
    'Gi',
    '-1',
    '+1',
    '1e3',
    '0x10',
    '1,5Gi',
    '1.Ki',
    '.5Gi',
    '4Pi',
    '4Gib',
    '0.5',
    '1.5B',
    '١',
    '9007199254740992',
    '99999Ti',
    '4Gi\n',
    'constructor',
    '1toString',
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -1,
    1.5,
    2 ** 53,
  ])('%j is refused', (text) => {
    expect(parseBytes(text)).toBeUndefined();
  });

  it('what is rendered is read back exactly (Q1)', () => {
    fc.assert(fc.property(safe, (bytes) => void expect(parseBytes(renderBytes(bytes))).toBe(bytes)));
    const unit = fc.constantFrom(2 ** 10, 2 ** 20, 2 ** 30, 2 ** 40, 1e3, 1e6, 1e9, 1e12);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4000 }), unit, (count, size) => {
        const text = renderBytes(count * size);
        expect(parseBytes(text)).toBe(count * size);
        expect(text).toMatch(/[A-Za-z]$/);
      }),
    );
  });

  it('whatever text is accepted survives a round trip too', () => {
    const text = fc
      .tuple(fc.stringMatching(/^\d{1,5}(?:\.\d{1,3})?$/), fc.constantFrom('', 'B', 'Ki', 'MiB', 'Gi', 'k', 'MB', 'T'))
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, (one) => {
        const bytes = parseBytes(one);
        if (bytes !== undefined) expect(parseBytes(renderBytes(bytes))).toBe(bytes);
      }),
    );
  });
});

describe('cpu', () => {
  it.each([
    ['2', 2000],
    ['0.5', 500],
    ['500m', 500],
    ['0', 0],
    ['0.001', 1],
    ['999999.999', 999_999_999],
    [2, 2000],
    [0.25, 250],
  ])('%j is %d thousandths', (text, milli) => {
    expect(parseCpu(text)).toBe(milli);
    expect(milliCpuOf(text)).toBe(milli);
  });
  it.each(['', '4x', 'm', '-1', '1 ', '0.0001', '0.5m', '1e2', '1000000', '1.', Number.NaN, -2, 1e-7])(
    '%j is refused',
    (text) => {
      expect(parseCpu(text)).toBeUndefined();
    },
  );
  it('what is rendered is read back exactly (Q1)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999_999 }), (milli) => void expect(parseCpu(renderCpu(milli))).toBe(milli)),
      { numRuns: 1000 },
    );
  });
});

describe('time', () => {
  it.each([
    ['0ms', 0],
    ['500ms', 500],
    ['30s', 30_000],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['1d2h3m4s5ms', 93_784_005],
    ['90m', 5_400_000],
  ])('%j is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
    expect(msOf(text)).toBe(ms);
  });
  it.each(['', '30', 's', '-1s', '1.5s', '1m1h', '1s1s', '1ms1s', '1 s', '1w', '1S', '1s\n', '999999999999d'])(
    '%j is refused',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );
  it('what is rendered is read back exactly (Q1)', () => {
    fc.assert(fc.property(safe, (ms) => void expect(parseDuration(renderDuration(ms))).toBe(ms)));
    fc.assert(fc.property(fc.nat(200_000), (ms) => void expect(parseDuration(renderDuration(ms))).toBe(ms)));
  });
});

describe('as schemas', () => {
  const row = z.strictObject({ memory: Bytes, cpu: Cpu, wait: DurationText });
  const refusal = (value: unknown): Fault => {
    try {
      decode(row, value, 'thing');
    } catch (error) {
      return error as Fault;
    }
    throw new Error('was accepted');
  };

  it('keep the text as it was written', () => {
    const value = { memory: '4Gi', cpu: 2, wait: '1h30m' };
    expect(decode(row, value, 'thing')).toEqual(value);
  });

  it('name what was found and what was expected (Q2)', () => {
    expect(refusal({ memory: '4 gigs', cpu: 'two', wait: '5 minutes' }).issues).toEqual([
      { path: 'memory', message: 'expected an amount of bytes such as "4Gi", "512Mi" or "64GB", found "4 gigs"' },
      { path: 'cpu', message: 'expected cores such as "2", "0.5" or "500m", found "two"' },
      { path: 'wait', message: 'expected a length of time such as "500ms", "30s", "5m" or "1h30m", found "5 minutes"' },
    ]);
  });

  it('name the type where it is no text at all', () => {
    expect(refusal({ memory: true, cpu: null, wait: 5 }).issues).toEqual([
      { path: 'memory', message: 'expected a string or a number, found true' },
      { path: 'cpu', message: 'expected a string or a number, found null' },
      { path: 'wait', message: 'expected a string, found 5' },
    ]);
  });

  it('cut a very long text short', () => {
    expect(refusal({ memory: 'x'.repeat(100_000), cpu: 1, wait: '1s' }).detail.length).toBeLessThan(300);
  });

  it('refuse every text that is no quantity, and never throw', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(Bytes.safeParse(text).success).toBe(parseBytes(text) !== undefined);
        expect(Cpu.safeParse(text).success).toBe(parseCpu(text) !== undefined);
        expect(DurationText.safeParse(text).success).toBe(parseDuration(text) !== undefined);
      }),
    );
  });
});
