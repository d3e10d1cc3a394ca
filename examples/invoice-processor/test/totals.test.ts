/** Exact arithmetic against a second computation in whole hundredths and BigInt; and the digest against the platform's own. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { judge } from '../src/judgement.ts';
import { sha256 } from '../src/sha256.ts';
import { limits } from './samples.ts';

const ns = 'urn:oasis:names:specification:ubl:schema:xsd:';

interface Row {
  /** Thousandths. */
  readonly quantity: number;
  /** Ten-thousandths. */
  readonly price: number;
  /** Hundredths, taken off. */
  readonly allowance: number;
  readonly rate: number;
}

const rowOf = fc.record<Row>({
  quantity: fc.integer({ min: -500_000, max: 500_000 }),
  price: fc.integer({ min: 0, max: 99_999_999 }),
  allowance: fc.integer({ min: 0, max: 10_000 }),
  rate: fc.constantFrom(7, 19, 25),
});

const decimal = (value: number, digits: number): string => (value / 10 ** digits).toFixed(digits);
/** Nearest, half away from zero. */
const divide = (value: bigint, by: bigint): bigint => {
  const half = by / 2n;
  return value < 0n ? -((-value + half) / by) : (value + half) / by;
};
const cents = (value: bigint): string => {
  const digits = (value < 0n ? -value : value).toString().padStart(3, '0');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
};

const documentOf = (
  rows: readonly Row[],
): string => `<Invoice xmlns="${ns}Invoice-2" xmlns:a="${ns}CommonAggregateComponents-2" xmlns:b="${ns}CommonBasicComponents-2">
${rows
  .map(
    (
      row,
      index,
    ) => `<a:InvoiceLine><b:ID>${index}</b:ID><b:InvoicedQuantity unitCode="C62">${decimal(row.quantity, 3)}</b:InvoicedQuantity>
<a:AllowanceCharge><b:ChargeIndicator>false</b:ChargeIndicator><b:Amount>${decimal(row.allowance, 2)}</b:Amount></a:AllowanceCharge>
<a:Item><a:ClassifiedTaxCategory><b:ID>S</b:ID><b:Percent>${row.rate}</b:Percent></a:ClassifiedTaxCategory></a:Item>
<a:Price><b:PriceAmount>${decimal(row.price, 4)}</b:PriceAmount></a:Price></a:InvoiceLine>`,
  )
  .join('')}</Invoice>`;

it('recomputes what a second computation in whole cents says', () => {
  fc.assert(
    fc.property(fc.array(rowOf, { minLength: 1, maxLength: 8 }), (rows) => {
      const nets = rows.map((row) => {
        // quantity/1000 x price/10000 in units of 10^-7; the allowance joins before the one rounding to cents.
        const exact = BigInt(row.quantity) * BigInt(row.price) - BigInt(row.allowance) * 100_000n;
        return divide(exact, 100_000n);
      });
      const groups = new Map<number, bigint>();
      for (const [index, row] of rows.entries()) groups.set(row.rate, (groups.get(row.rate) ?? 0n) + nets[index]!);
      const net = nets.reduce((a, b) => a + b, 0n);
      const tax = [...groups].map(([rate, taxable]) => divide(taxable * BigInt(rate), 100n)).reduce((a, b) => a + b, 0n);
      const { totals } = judge(documentOf(rows), limits).judgement;
      expect([totals.lines, totals.tax, totals.payable]).toEqual([cents(net), cents(tax), cents(net + tax)]);
      for (const group of totals.vat) expect(group.taxable).toBe(cents(groups.get(Number(group.rate))!));
    }),
    { numRuns: 150 },
  );
});

it('stays exact where binary fractions do not', () => {
  const tenth: Row = { quantity: 100, price: 10_000, allowance: 0, rate: 25 };
  expect(judge(documentOf([tenth, tenth, tenth]), limits).judgement.totals).toMatchObject({
    lines: '0.30',
    tax: '0.08',
    payable: '0.38',
  });
});

it('digests as the platform does', () => {
  const check = (text: string): void => {
    expect(sha256(text)).toBe(createHash('sha256').update(text).digest('hex'));
  };
  // Every padding case around two blocks, then any text.
  for (let length = 0; length <= 130; length++) check('a'.repeat(length));
  fc.assert(fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), check), { numRuns: 100 });
});
