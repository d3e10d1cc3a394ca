/**
 * VAT per category and rate: what the breakdown of an invoice has to say, computed from its lines.
 *
 * Promises:
 * V1. One group per category and rate; a category without rates of its own (O) is one group.
 * V2. taxable = line net amounts + charges - allowances of the group; tax = taxable x rate, rounded once, per group.
 */
import { type Decimal, percentOf, plain, round, zero } from './amount.ts';
import type { AllowanceCharge } from './ubl.ts';

export interface VatGroup {
  readonly category: string;
  /** Percent; `undefined` when the document gives none. */
  readonly rate: Decimal | undefined;
  readonly taxable: Decimal;
  readonly tax: Decimal;
}

/** The key two things of the same group share: `S 25`, `O`. */
export const groupKey = (category: string | undefined, rate: Decimal | undefined): string =>
  category === 'O' || rate === undefined ? (category ?? '?') : `${category ?? '?'} ${plain(rate)}`;

interface Taxed {
  readonly category: string | undefined;
  readonly rate: Decimal | undefined;
  readonly amount: Decimal;
}

/** @param allowanceCharges those of the document, not of the lines */
export function vatGroups(lines: Iterable<Taxed>, allowanceCharges: readonly AllowanceCharge[]): VatGroup[] {
  const groups = new Map<string, { category: string; rate: Decimal | undefined; taxable: Decimal }>();
  const add = ({ category, rate, amount }: Taxed): void => {
    const key = groupKey(category, rate);
    const group = groups.get(key) ?? { category: category ?? '?', rate: category === 'O' ? undefined : rate, taxable: zero };
    groups.set(key, { ...group, taxable: group.taxable.plus(amount) });
  };
  for (const line of lines) add(line);
  for (const { category, rate, charge, amount } of allowanceCharges) {
    if (amount.value !== undefined && charge !== undefined) {
      add({ category, rate, amount: charge ? amount.value : amount.value.negated() });
    }
  }
  return [...groups.values()].map((group) => ({
    ...group,
    taxable: round(group.taxable),
    tax: round(percentOf(group.taxable, group.rate ?? zero)),
  }));
}
