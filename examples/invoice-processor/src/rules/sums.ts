/**
 * The sums of the document against each other, as EN 16931 states them: on the amounts the document gives. What comes out
 * when everything is computed anew from prices is in `totals.ts`.
 */
import { type Decimal, money, percentOf, round, sum, zero } from '../amount.ts';
import { lineNet, of } from '../totals.ts';
import type { AllowanceCharge, Amount } from '../ubl.ts';
import type { Judge } from './judge.ts';

/** What Peppol allows a line or a percentage to be off. */
const slack = '0.02';

export function sums(judge: Judge): void {
  const { invoice, report } = judge;
  const { totals } = invoice;
  const stated = (amount: Amount): Decimal => amount.value ?? zero;
  const check = (rule: string, amount: Amount, expected: Decimal, how: string): void => {
    if (amount.value !== undefined && !amount.value.equals(expected)) {
      report(rule, amount.location, `stated ${money(amount.value)}, expected ${money(expected)} = ${how}`);
    }
  };
  const allowances = of(invoice.allowanceCharges, false);
  const charges = of(invoice.allowanceCharges, true);
  check('BR-CO-10', totals.lines, sum(invoice.lines.map((line) => stated(line.net))), 'the sum of the line net amounts');
  present('BR-CO-11', totals.allowances, allowances, 'the sum of the allowances of the document');
  present('BR-CO-12', totals.charges, charges, 'the sum of the charges of the document');
  check(
    'BR-CO-13',
    totals.taxExclusive,
    stated(totals.lines).minus(stated(totals.allowances)).plus(stated(totals.charges)),
    'line total - allowances + charges',
  );
  if (invoice.subtotals.length === 0) {
    report(
      'BR-CO-18',
      `${invoice.root.path}/TaxTotal/TaxSubtotal`,
      'there is no VAT breakdown. Expected a TaxSubtotal for each category and rate',
    );
  } else {
    check(
      'BR-CO-14',
      invoice.tax,
      sum(invoice.subtotals.map((each) => stated(each.tax))),
      'the sum of the tax amounts of the VAT breakdown',
    );
  }
  check('BR-CO-15', totals.taxInclusive, stated(totals.taxExclusive).plus(stated(invoice.tax)), 'total without VAT + VAT');
  check(
    'BR-CO-16',
    totals.payable,
    stated(totals.taxInclusive).minus(stated(totals.prepaid)).plus(stated(totals.rounding)),
    'total with VAT - prepaid + rounding',
  );
  for (const allowanceCharge of invoice.allowanceCharges) percentage(judge, allowanceCharge);
  lines(judge);

  /** An absent total of allowances or charges counts as zero here, and is wrong when there are some. */
  function present(rule: string, amount: Amount, expected: Decimal, how: string): void {
    if (stated(amount).equals(expected)) return;
    const found = amount.value === undefined ? 'nothing stated' : `stated ${money(amount.value)}`;
    report(rule, amount.location, `${found}, expected ${money(expected)} = ${how}`);
  }
}

function lines(judge: Judge): void {
  const { invoice, report, profile } = judge;
  for (const line of invoice.lines) {
    const expected = lineNet(line);
    if (expected !== undefined && line.net.value?.minus(expected).abs().greaterThan(slack)) {
      report(
        'PEPPOL-EN16931-R120',
        line.net.location,
        `stated ${money(line.net.value)}, expected ${money(expected)} = price x quantity / base quantity + charges - allowances`,
        profile === 'peppol' ? 'error' : 'warning',
      );
    }
    if (line.price.value?.isNegative() && !line.price.value.isZero()) {
      report(
        'BR-27',
        line.price.location,
        `the price ${line.price.value.toFixed()} is negative. Give a negative quantity instead`,
      );
    }
    if (line.baseQuantity.value !== undefined && !line.baseQuantity.value.greaterThan(0)) {
      report(
        'PEPPOL-EN16931-R121',
        line.baseQuantity.location,
        `the base quantity is ${line.baseQuantity.value.toFixed()}. Expected more than 0`,
      );
    }
    if (line.baseUnit !== undefined && line.unit !== undefined && line.baseUnit !== line.unit) {
      report(
        'PEPPOL-EN16931-R130',
        line.baseQuantity.location,
        `the price is per "${line.baseUnit}", the quantity in "${line.unit}". Expected the same unit`,
        profile === 'peppol' ? 'error' : 'warning',
      );
    }
    for (const allowanceCharge of line.allowanceCharges) percentage(judge, allowanceCharge);
  }
}

/** Base, percentage and amount of an allowance or charge fit each other. */
function percentage({ report, profile }: Judge, { base, percent, amount, location }: AllowanceCharge): void {
  const severity = profile === 'peppol' ? 'error' : 'warning';
  if (base.value === undefined && percent.value !== undefined) {
    report(
      'PEPPOL-EN16931-R041',
      base.location,
      'there is a percentage but no base amount. Expected both or neither',
      severity,
    );
  } else if (base.value !== undefined && percent.value === undefined) {
    report(
      'PEPPOL-EN16931-R042',
      percent.location,
      'there is a base amount but no percentage. Expected both or neither',
      severity,
    );
  } else if (base.value !== undefined && percent.value !== undefined && amount.value !== undefined) {
    const expected = round(percentOf(base.value, percent.value));
    if (amount.value.minus(expected).abs().greaterThan(slack)) {
      report(
        'PEPPOL-EN16931-R040',
        location,
        `the amount is ${money(amount.value)}, ${percent.value.toFixed()} % of ${money(base.value)} is ${money(expected)}`,
        severity,
      );
    }
  }
}
