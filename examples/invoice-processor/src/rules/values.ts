/** What the values look like: numbers, dates, codes, currencies, empty elements. */
import { parseDecimal, plain } from '../amount.ts';
import type { Element } from '../xml.ts';
import { select, textAt } from '../xml.ts';
import type { Judge } from './judge.ts';

const categories: ReadonlySet<string> = new Set(['AE', 'E', 'S', 'Z', 'G', 'O', 'K', 'L', 'M', 'B']);
/** UNTDID 1001 as EN 16931 restricts it. The list grows with the years, so what it lacks is a warning. */
const typeCodes: Readonly<Record<'invoice' | 'credit-note', ReadonlySet<string>>> = {
  invoice: new Set(
    '71 80 82 84 102 130 202 203 204 211 218 219 295 325 326 331 380 382 383 384 385 386 387 388 389 390 393 394 395 456 457 527 553 575 623 633 751 780 817 870 875 876 877 935'.split(
      ' ',
    ),
  ),
  'credit-note': new Set('81 83 261 262 296 308 381 396 420 458 532'.split(' ')),
};
const numeric = /(?:Amount|Quantity|Percent|MultiplierFactorNumeric)$/;

/** True for a day that exists, written `2024-02-29`. */
function isDate(text: string): boolean {
  const parts = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
  if (parts === null) return false;
  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  const date = new Date(Date.UTC(year, month - 1, day));
  return year > 0 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

export function values(judge: Judge): void {
  const { invoice, report } = judge;
  walk(invoice.root, false, judge);
  const type = invoice.kind === 'invoice' ? 'cbc:InvoiceTypeCode' : 'cbc:CreditNoteTypeCode';
  for (const each of select(invoice.root, type)) {
    if (each.text !== '' && !typeCodes[invoice.kind].has(each.text)) {
      report('BR-CL-01', each.path, `"${each.text}" is no type code of a ${invoice.kind} (UNTDID 1001)`, 'warning');
    }
  }
  if (invoice.currency !== undefined && !/^[A-Z]{3}$/.test(invoice.currency)) {
    report(
      'BR-CL-04',
      `${invoice.root.path}/DocumentCurrencyCode`,
      `"${invoice.currency}" is no currency code. Expected ISO 4217, e.g. EUR`,
    );
  }
  for (const [rule, path] of [
    ['BR-CL-17', 'cac:TaxTotal/cac:TaxSubtotal/cac:TaxCategory/cbc:ID'],
    ['BR-CL-17', 'cac:AllowanceCharge/cac:TaxCategory/cbc:ID'],
    ['BR-CL-18', `${invoice.lineTag}/cac:Item/cac:ClassifiedTaxCategory/cbc:ID`],
  ] as const) {
    for (const each of select(invoice.root, path)) {
      if (each.text !== '' && !categories.has(each.text)) {
        report(rule, each.path, `"${each.text}" is no VAT category. Expected one of ${[...categories].join(', ')} (UNCL5305)`);
      }
    }
  }
  for (const role of ['AccountingSupplierParty', 'AccountingCustomerParty']) {
    for (const scheme of select(invoice.root, `cac:${role}/cac:Party/cac:PartyTaxScheme`)) {
      const id = textAt(scheme, 'cbc:CompanyID');
      if (id !== undefined && textAt(scheme, 'cac:TaxScheme/cbc:ID') === 'VAT' && !/^[A-Z]{2}/.test(id)) {
        report(
          'BR-CO-09',
          `${scheme.path}/CompanyID`,
          `the VAT identifier "${id}" does not begin with a country code. Expected e.g. DE…, EL…`,
        );
      }
    }
  }
  period(judge, select(invoice.root, 'cac:InvoicePeriod'), 'BR-29');
  period(judge, select(invoice.root, `${invoice.lineTag}/cac:InvoicePeriod`), 'BR-30');
}

/** Every element once. `inPrice`: prices may have more digits than amounts. */
function walk(element: Element, inPrice: boolean, judge: Judge): void {
  const { report, invoice, profile } = judge;
  for (const each of element.children) walk(each, inPrice || each.tag === 'cac:Price', judge);
  if (element.children.length > 0) return;
  if (element.text === '') {
    report(
      'PEPPOL-EN16931-R008',
      element.path,
      'the element is empty. Leave it out or fill it',
      profile === 'peppol' ? 'error' : 'warning',
    );
    return;
  }
  if (numeric.test(element.local)) {
    const value = parseDecimal(element.text);
    if (value === undefined)
      report('XSD-DECIMAL', element.path, `"${element.text}" is no decimal number. Expected e.g. 1250.00`);
    else if (element.local.endsWith('Amount') && !inPrice && value.decimalPlaces() > 2) {
      report(
        'UBL-DT-01',
        element.path,
        `${plain(value)} has ${value.decimalPlaces()} digits behind the point. Expected at most 2`,
      );
    }
  }
  if (element.local.endsWith('Date') && !isDate(element.text)) {
    report('PEPPOL-EN16931-F001', element.path, `"${element.text}" is no date. Expected YYYY-MM-DD`);
  }
  if (element.local === 'ChargeIndicator' && !/^(?:true|false|1|0)$/.test(element.text)) {
    report('XSD-BOOLEAN', element.path, `"${element.text}" is neither true nor false`);
  }
  const currency = element.attributes.get('currencyID');
  // The second TaxTotal speaks in the tax currency; everything else in that of the document.
  const foreign = /\/TaxTotal(?:\[\d+\])?\/TaxAmount$/.test(element.path) && currency === invoice.taxCurrency;
  if (element.local.endsWith('Amount') && currency !== invoice.currency && !foreign && invoice.currency !== undefined) {
    const found = currency === undefined ? 'no currencyID' : `the currency ${currency}`;
    report(
      'PEPPOL-EN16931-R051',
      element.path,
      `${found}, the document is in ${invoice.currency}. Expected currencyID="${invoice.currency}"`,
    );
  }
}

function period({ report }: Judge, periods: readonly Element[], rule: string): void {
  for (const each of periods) {
    const start = textAt(each, 'cbc:StartDate');
    const end = textAt(each, 'cbc:EndDate');
    // Dates of this form sort as texts.
    if (start !== undefined && end !== undefined && isDate(start) && isDate(end) && end < start) {
      report(rule, `${each.path}/EndDate`, `the period ends on ${end}, before it starts on ${start}`);
    }
  }
}
