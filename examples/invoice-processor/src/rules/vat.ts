/**
 * The VAT rules, one row per category: which rate it may have, whether an exemption has to be explained, who has to be
 * known to the tax office. The rule ids follow from the row: `BR-<prefix>-05` is about the rate of a line, and so on.
 */
import { type Decimal, money, percentOf, plain, round, zero } from '../amount.ts';
import type { Invoice, TaxSubtotal } from '../ubl.ts';
import { groupKey, type VatGroup, vatGroups } from '../vat.ts';
import { first } from '../xml.ts';
import type { Judge } from './judge.ts';

interface Category {
  readonly name: string;
  readonly prefix: string;
  readonly rate: 'positive' | 'zero' | 'any' | 'absent';
  readonly reason: 'required' | 'forbidden';
  /** Which identification of the seller counts: any, only for VAT, or none may be given. */
  readonly seller: 'any' | 'vat' | 'forbidden';
  readonly buyer?: 'vat' | 'vat-or-legal' | 'forbidden';
}

const categories: Readonly<Record<string, Category>> = {
  S: { name: 'standard rate', prefix: 'S', rate: 'positive', reason: 'forbidden', seller: 'any' },
  Z: { name: 'zero rate', prefix: 'Z', rate: 'zero', reason: 'forbidden', seller: 'any' },
  E: { name: 'exempt', prefix: 'E', rate: 'zero', reason: 'required', seller: 'any' },
  AE: { name: 'reverse charge', prefix: 'AE', rate: 'zero', reason: 'required', seller: 'any', buyer: 'vat-or-legal' },
  K: { name: 'intra-community supply', prefix: 'IC', rate: 'zero', reason: 'required', seller: 'vat', buyer: 'vat' },
  G: { name: 'export outside the EU', prefix: 'G', rate: 'zero', reason: 'required', seller: 'vat' },
  O: { name: 'not subject to VAT', prefix: 'O', rate: 'absent', reason: 'required', seller: 'forbidden', buyer: 'forbidden' },
  L: { name: 'Canary Islands tax', prefix: 'AF', rate: 'any', reason: 'forbidden', seller: 'any' },
  M: { name: 'tax of Ceuta and Melilla', prefix: 'AG', rate: 'any', reason: 'forbidden', seller: 'any' },
};

/** A tax amount off by this much is refused by the published validators too; by less, it is worth a look. */
const tolerated = 1;

export function vat(judge: Judge): void {
  const { invoice, report } = judge;
  const stated = vatGroups(
    invoice.lines.map(({ category, rate, net }) => ({ category, rate, amount: net.value ?? zero })),
    invoice.allowanceCharges,
  );
  const groups = new Map(stated.map((group) => [groupKey(group.category, group.rate), group]));
  uses(judge);
  for (const subtotal of invoice.subtotals) {
    breakdown(judge, subtotal, groups.get(groupKey(subtotal.category, subtotal.rate)));
  }
  const covered = new Set(invoice.subtotals.map(({ category, rate }) => groupKey(category, rate)));
  for (const [key, group] of groups) {
    const category = categories[group.category];
    if (category !== undefined && invoice.subtotals.length > 0 && !covered.has(key)) {
      const where = `${invoice.root.path}/TaxTotal/TaxSubtotal`;
      report(
        `BR-${category.prefix}-01`,
        where,
        `lines, allowances or charges use ${key} (${category.name}), the VAT breakdown has no such row`,
      );
    }
  }
  if (invoice.subtotals.length > 1 && invoice.subtotals.some((each) => each.category === 'O')) {
    report(
      'BR-O-11',
      `${invoice.root.path}/TaxTotal`,
      'a row "not subject to VAT" (O) stands beside others. Expected it alone',
    );
  }
  if (invoice.taxCurrency !== undefined && invoice.taxCurrency !== invoice.currency) taxCurrency(judge);
}

/** Rates where categories are used, and who has to be identified for them. */
function uses({ invoice, report }: Judge): void {
  const asked = new Set<string>();
  const all = [
    ...invoice.lines.map((line) => ({ ...line, kind: 0, where: `${line.location}/Item/ClassifiedTaxCategory` })),
    ...invoice.allowanceCharges.map((each) => ({ ...each, kind: each.charge ? 2 : 1, where: `${each.location}/TaxCategory` })),
  ];
  for (const { category: code, rate, kind, where } of all) {
    const category = code === undefined ? undefined : categories[code];
    if (category === undefined) continue;
    const wrong = wrongRate(category, rate);
    if (wrong !== undefined)
      report(`BR-${category.prefix}-0${5 + kind}`, `${where}/Percent`, `category ${code} (${category.name}): ${wrong}`);
    const rule = `BR-${category.prefix}-0${2 + kind}`;
    if (asked.has(rule)) continue;
    asked.add(rule);
    const unidentified = identification(category, invoice);
    if (unidentified !== undefined) report(rule, where, `category ${code} (${category.name}): ${unidentified}`);
  }
}

function wrongRate({ rate: allowed }: Category, rate: Decimal | undefined): string | undefined {
  if (allowed === 'absent') return rate === undefined ? undefined : `found the rate ${plain(rate)} %, expected none`;
  if (rate === undefined) return 'the rate is missing';
  if (allowed === 'zero' && !rate.isZero()) return `found the rate ${plain(rate)} %, expected 0`;
  if (allowed === 'positive' && !rate.greaterThan(0)) return `found the rate ${plain(rate)} %, expected more than 0`;
  return allowed === 'any' && rate.lessThan(0) ? `found the rate ${plain(rate)} %, expected 0 or more` : undefined;
}

function identification(category: Category, { seller, buyer, representativeVatId }: Invoice): string | undefined {
  const sellerVat = seller.vatId ?? representativeVatId;
  if (category.seller === 'forbidden') {
    return sellerVat === undefined && buyer.vatId === undefined
      ? undefined
      : 'a VAT identifier of seller or buyer is given, expected none';
  }
  if (sellerVat === undefined && (category.seller === 'vat' || seller.taxRegistration === undefined)) {
    return "the seller's VAT identifier (BT-31) is missing, and that of a tax representative too";
  }
  if (category.buyer === 'vat' && buyer.vatId === undefined) return "the buyer's VAT identifier (BT-48) is missing";
  if (category.buyer === 'vat-or-legal' && buyer.vatId === undefined && buyer.legalId === undefined) {
    return "the buyer's VAT identifier (BT-48) and legal registration (BT-47) are both missing";
  }
  return undefined;
}

/** One row of the breakdown against the lines, allowances and charges it stands for. */
function breakdown({ invoice, report }: Judge, subtotal: TaxSubtotal, group: VatGroup | undefined): void {
  const { category: code, rate, taxable, tax, exempted, location } = subtotal;
  const category = code === undefined ? undefined : categories[code];
  if (category === undefined) return;
  const id = (number: string): string => `BR-${category.prefix}-${number}`;
  const where = `${location}/TaxCategory`;
  if (code !== 'O' && rate === undefined)
    report('BR-48', `${where}/Percent`, 'the rate of the VAT category (BT-119) is missing');
  const expected = group?.taxable ?? zero;
  if (taxable.value !== undefined && !taxable.value.equals(expected)) {
    report(
      id('08'),
      taxable.location,
      `stated ${money(taxable.value)}, expected ${money(expected)} = line net amounts - allowances + charges of ${groupKey(code, rate)}`,
    );
  }
  if (tax.value !== undefined && taxable.value !== undefined) {
    const due = round(percentOf(taxable.value, rate ?? zero));
    const off = tax.value.minus(due).abs();
    if (category.rate === 'zero' || category.rate === 'absent') {
      if (!tax.value.isZero())
        report(id('09'), tax.location, `category ${code} (${category.name}): stated ${money(tax.value)}, expected 0.00`);
    } else if (!off.isZero()) {
      const how = `${money(taxable.value)} x ${plain(rate ?? zero)} %`;
      report(
        'BR-CO-17',
        tax.location,
        `stated ${money(tax.value)}, expected ${money(due)} = ${how}`,
        off.lessThan(tolerated) ? 'warning' : 'error',
      );
    }
  }
  if (category.reason === 'required' && !exempted) {
    report(
      id('10'),
      where,
      `category ${code} (${category.name}) needs a reason or reason code for the exemption (BT-120, BT-121)`,
    );
  } else if (category.reason === 'forbidden' && exempted) {
    report(id('10'), where, `category ${code} (${category.name}) must not give a reason for an exemption`);
  }
  if (code === 'K') {
    const delivery = first(invoice.root, 'cac:Delivery');
    if (
      first(invoice.root, 'cac:Delivery/cbc:ActualDeliveryDate') === undefined &&
      first(invoice.root, 'cac:InvoicePeriod') === undefined
    ) {
      report(
        'BR-IC-11',
        delivery?.path ?? `${invoice.root.path}/Delivery`,
        'intra-community supply needs the delivery date (BT-72) or the period (BG-14)',
      );
    }
    if (first(invoice.root, 'cac:Delivery/cac:DeliveryLocation/cac:Address/cac:Country/cbc:IdentificationCode') === undefined) {
      report(
        'BR-IC-12',
        delivery?.path ?? `${invoice.root.path}/Delivery`,
        'intra-community supply needs the country delivered to (BT-80)',
      );
    }
  }
}

function taxCurrency({ invoice: { root, taxCurrency: currency }, report }: Judge): void {
  const amounts = root.children.filter((each) => each.tag === 'cac:TaxTotal').map((each) => first(each, 'cbc:TaxAmount'));
  if (!amounts.some((amount) => amount?.attributes.get('currencyID') === currency)) {
    report(
      'BR-53',
      `${root.path}/TaxTotal/TaxAmount`,
      `the VAT accounting currency is ${currency}, but no TaxTotal is in it (BT-111)`,
    );
  }
}
