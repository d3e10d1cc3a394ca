/**
 * What the document should add up to, computed from prices and quantities, beside what it says.
 *
 * Promises:
 * T1. Exact decimal arithmetic; rounded where EN 16931 rounds: each line, each VAT group, nowhere else.
 * T2. Prepaid and rounding are facts only the seller knows: taken as stated, zero when absent.
 * T3. A line without a readable price or quantity counts with its stated amount, and `complete` is false.
 */
import { type Decimal, money, plain, round, sum, zero } from './amount.ts';
import { type AllowanceCharge, type Amount, type Invoice, type Line, type TotalName, totalNames } from './ubl.ts';
import { groupKey, type VatGroup, vatGroups } from './vat.ts';

export interface Totals extends Readonly<Record<TotalName, Decimal>> {
  readonly lineNets: readonly Decimal[];
  readonly vat: readonly VatGroup[];
  readonly tax: Decimal;
  /** False when some line lacked a price or quantity (T3). */
  readonly complete: boolean;
}

/** Stated against recomputed, one row. Amounts are decimal texts with two digits. */
export interface Comparison {
  readonly name: string;
  readonly location: string;
  /** Absent when the document does not say. */
  readonly stated?: string;
  readonly recomputed: string;
  readonly agrees: boolean;
}

/** Net amount of a line: price x quantity / base quantity + charges - allowances. `undefined` without price or quantity. */
export function lineNet(line: Line): Decimal | undefined {
  const { price, quantity, baseQuantity } = line;
  if (price.value === undefined || quantity.value === undefined) return undefined;
  const base = baseQuantity.value === undefined || baseQuantity.value.isZero() ? undefined : baseQuantity.value;
  const gross = price.value.times(quantity.value);
  return round((base === undefined ? gross : gross.dividedBy(base)).plus(balance(line.allowanceCharges)));
}

/** Charges less allowances. */
const balance = (all: readonly AllowanceCharge[]): Decimal => of(all, true).minus(of(all, false));

/** Sum of the charges (true) or of the allowances (false). */
export const of = (all: readonly AllowanceCharge[], charge: boolean): Decimal =>
  sum(all.filter((each) => each.charge === charge).map((each) => each.amount.value ?? zero));

export function recompute(invoice: Invoice): Totals {
  const computed = invoice.lines.map(lineNet);
  const lineNets = computed.map((net, index) => net ?? invoice.lines[index]!.net.value ?? zero);
  const lines = sum(lineNets);
  const allowances = of(invoice.allowanceCharges, false);
  const charges = of(invoice.allowanceCharges, true);
  const taxExclusive = lines.minus(allowances).plus(charges);
  const vat = vatGroups(
    invoice.lines.map(({ category, rate }, index) => ({ category, rate, amount: lineNets[index]! })),
    invoice.allowanceCharges,
  );
  const tax = sum(vat.map((group) => group.tax));
  const taxInclusive = taxExclusive.plus(tax);
  const prepaid = invoice.totals.prepaid.value ?? zero;
  const rounding = invoice.totals.rounding.value ?? zero;
  return {
    lineNets,
    lines,
    allowances,
    charges,
    taxExclusive,
    vat,
    tax,
    taxInclusive,
    prepaid,
    rounding,
    payable: taxInclusive.minus(prepaid).plus(rounding),
    complete: computed.every((net) => net !== undefined),
  };
}

/** Optional totals may be left out when they are zero; the others are compared always. */
const optional: ReadonlySet<string> = new Set(['allowances', 'charges', 'prepaid', 'rounding']);

/** Every total and VAT group, then those lines whose stated amount is another. */
export function compare(invoice: Invoice, totals: Totals): Comparison[] {
  const rows: Comparison[] = [];
  for (const name of Object.keys(totalNames) as TotalName[]) {
    const stated = invoice.totals[name];
    if (stated.value === undefined && optional.has(name) && totals[name].isZero()) continue;
    rows.push(row(name, stated, totals[name]));
  }
  rows.push(row('tax', invoice.tax, totals.tax));
  const groups = new Map(totals.vat.map((group) => [groupKey(group.category, group.rate), group]));
  for (const stated of invoice.subtotals) {
    const key = groupKey(stated.category, stated.rate);
    const group = groups.get(key);
    groups.delete(key);
    rows.push(row(`VAT ${key} taxable`, stated.taxable, group?.taxable ?? zero));
    rows.push(row(`VAT ${key} tax`, stated.tax, group?.tax ?? zero));
  }
  for (const [key, group] of groups) {
    const nowhere: Amount = { value: undefined, currency: undefined, location: `${invoice.root.path}/TaxTotal/TaxSubtotal` };
    rows.push(row(`VAT ${key} taxable`, nowhere, group.taxable), row(`VAT ${key} tax`, nowhere, group.tax));
  }
  for (const [index, line] of invoice.lines.entries()) {
    const comparison = row(`line ${line.id ?? index + 1}`, line.net, totals.lineNets[index]!);
    if (!comparison.agrees) rows.push(comparison);
  }
  return rows;
}

function row(name: string, stated: Amount, recomputed: Decimal): Comparison {
  return {
    name,
    location: stated.location,
    // As stated: three digits stay three digits, so that a wrong one can be seen.
    ...(stated.value === undefined
      ? {}
      : { stated: stated.value.decimalPlaces() > 2 ? plain(stated.value) : money(stated.value) }),
    recomputed: money(recomputed),
    agrees: stated.value?.equals(recomputed) ?? false,
  };
}
