/**
 * What has to be there, as data: rule, where, what, in words. Then what has to be there only under a condition.
 */
import { type Element, first, select, textAt } from '../xml.ts';
import type { Judge } from './judge.ts';

type Row = readonly [rule: string, context: string, wanted: string, what: string];

const seller = 'cac:AccountingSupplierParty/cac:Party';
const buyer = 'cac:AccountingCustomerParty/cac:Party';
const monetary = 'cac:LegalMonetaryTotal';

/** A context of `.` is the document; a context that matches nothing asks for nothing, but for the first of its kind. */
const rows: readonly Row[] = [
  ['BR-01', '.', 'cbc:CustomizationID', 'a specification identifier (BT-24)'],
  ['BR-02', '.', 'cbc:ID', 'an invoice number (BT-1)'],
  ['BR-03', '.', 'cbc:IssueDate', 'an issue date (BT-2)'],
  ['BR-05', '.', 'cbc:DocumentCurrencyCode', 'a currency code (BT-5)'],
  ['BR-06', '.', `${seller}/cac:PartyLegalEntity/cbc:RegistrationName`, "the seller's name (BT-27)"],
  ['BR-07', '.', `${buyer}/cac:PartyLegalEntity/cbc:RegistrationName`, "the buyer's name (BT-44)"],
  ['BR-08', '.', `${seller}/cac:PostalAddress`, "the seller's postal address (BG-5)"],
  ['BR-09', `${seller}/cac:PostalAddress`, 'cac:Country/cbc:IdentificationCode', "the seller's country code (BT-40)"],
  ['BR-10', '.', `${buyer}/cac:PostalAddress`, "the buyer's postal address (BG-8)"],
  ['BR-11', `${buyer}/cac:PostalAddress`, 'cac:Country/cbc:IdentificationCode', "the buyer's country code (BT-55)"],
  ['BR-12', '.', `${monetary}/cbc:LineExtensionAmount`, 'the sum of line net amounts (BT-106)'],
  ['BR-13', '.', `${monetary}/cbc:TaxExclusiveAmount`, 'the total without VAT (BT-109)'],
  ['BR-14', '.', `${monetary}/cbc:TaxInclusiveAmount`, 'the total with VAT (BT-112)'],
  ['BR-15', '.', `${monetary}/cbc:PayableAmount`, 'the amount due for payment (BT-115)'],
  ['BR-17', 'cac:PayeeParty', 'cac:PartyName/cbc:Name', "the payee's name (BT-59)"],
  ['BR-18', 'cac:TaxRepresentativeParty', 'cac:PartyName/cbc:Name', "the tax representative's name (BT-62)"],
  ['BR-19', 'cac:TaxRepresentativeParty', 'cac:PostalAddress', "the tax representative's postal address (BG-12)"],
  [
    'BR-20',
    'cac:TaxRepresentativeParty/cac:PostalAddress',
    'cac:Country/cbc:IdentificationCode',
    "the tax representative's country (BT-69)",
  ],
  ['BR-45', 'cac:TaxTotal/cac:TaxSubtotal', 'cbc:TaxableAmount', 'the taxable amount of the VAT category (BT-116)'],
  ['BR-46', 'cac:TaxTotal/cac:TaxSubtotal', 'cbc:TaxAmount', 'the tax amount of the VAT category (BT-117)'],
  ['BR-47', 'cac:TaxTotal/cac:TaxSubtotal', 'cac:TaxCategory/cbc:ID', 'the VAT category code (BT-118)'],
  ['BR-49', 'cac:PaymentMeans', 'cbc:PaymentMeansCode', 'the payment means code (BT-81)'],
  ['BR-52', 'cac:AdditionalDocumentReference', 'cbc:ID', 'the reference of the supporting document (BT-122)'],
  ['BR-55', 'cac:BillingReference', 'cac:InvoiceDocumentReference/cbc:ID', 'the number of the preceding invoice (BT-25)'],
  [
    'BR-57',
    'cac:Delivery/cac:DeliveryLocation/cac:Address',
    'cac:Country/cbc:IdentificationCode',
    'the country delivered to (BT-80)',
  ],
  ['BR-21', 'LINE', 'cbc:ID', 'a line identifier (BT-126)'],
  ['BR-22', 'LINE', 'QUANTITY', 'the quantity (BT-129)'],
  ['BR-24', 'LINE', 'cbc:LineExtensionAmount', 'the net amount of the line (BT-131)'],
  ['BR-25', 'LINE', 'cac:Item/cbc:Name', 'the name of the item (BT-153)'],
  ['BR-26', 'LINE', 'cac:Price/cbc:PriceAmount', 'the net price of the item (BT-146)'],
  ['BR-54', 'LINE/cac:Item/cac:AdditionalItemProperty', 'cbc:Name', 'the name of the item attribute (BT-160)'],
  ['BR-54', 'LINE/cac:Item/cac:AdditionalItemProperty', 'cbc:Value', 'the value of the item attribute (BT-161)'],
  ['BR-CO-04', 'LINE', 'cac:Item/cac:ClassifiedTaxCategory/cbc:ID', 'the VAT category of the item (BT-151)'],
];

export function presence(judge: Judge): void {
  const { invoice, report } = judge;
  const { root, lineTag, kind } = invoice;
  const quantity = kind === 'invoice' ? 'cbc:InvoicedQuantity' : 'cbc:CreditedQuantity';
  for (const [rule, context, wanted, what] of rows) {
    const path = wanted.replace('QUANTITY', quantity);
    for (const each of context === '.' ? [root] : select(root, context.replace('LINE', lineTag))) {
      const found = first(each, path);
      // An aggregate is there when its element is; a value only when it says something.
      if (found === undefined || (found.text === '' && found.children.length === 0)) {
        report(rule, found?.path ?? `${each.path}/${path.replaceAll(/c[ab]c:/g, '')}`, `${what} is missing. Expected ${path}`);
      }
    }
  }
  const typeTag = kind === 'invoice' ? 'InvoiceTypeCode' : 'CreditNoteTypeCode';
  if (textAt(root, `cbc:${typeTag}`) === undefined) {
    report(
      'BR-04',
      `${root.path}/${typeTag}`,
      `the type code (BT-3) is missing. Expected cbc:${typeTag}, e.g. ${kind === 'invoice' ? 380 : 381}`,
    );
  }
  if (invoice.lines.length === 0) {
    report('BR-16', `${root.path}/${lineTag.slice(4)}`, `there is no line. Expected at least one ${lineTag}`);
  }
  conditional(root, lineTag, report);
  due(judge);
  for (const line of invoice.lines) {
    if (line.quantity.value !== undefined && line.unit === undefined) {
      report(
        'BR-23',
        `${line.quantity.location}/@unitCode`,
        'the unit of the quantity (BT-130) is missing. Expected unitCode, e.g. "C62"',
      );
    }
  }
  const { seller: party } = invoice;
  if (party.partyId === undefined && party.legalId === undefined && party.vatId === undefined) {
    report(
      'BR-CO-26',
      party.location,
      'the seller has neither an identifier (BT-29), nor a legal registration (BT-30), nor a VAT identifier (BT-31). Expected one of them',
    );
  }
}

function conditional(root: Element, lineTag: string, report: Judge['report']): void {
  for (const [path, allowance, charge, amountRules] of [
    ['cac:AllowanceCharge', 'BR-33', 'BR-38', ['BR-31', 'BR-36']],
    [`${lineTag}/cac:AllowanceCharge`, 'BR-42', 'BR-44', ['BR-41', 'BR-43']],
  ] as const) {
    for (const each of select(root, path)) {
      const isCharge = textAt(each, 'cbc:ChargeIndicator') === 'true';
      if (textAt(each, 'cbc:Amount') === undefined) {
        report(
          amountRules[isCharge ? 1 : 0],
          `${each.path}/Amount`,
          'the amount of the allowance or charge is missing. Expected cbc:Amount',
        );
      }
      if (
        textAt(each, 'cbc:AllowanceChargeReason') === undefined &&
        textAt(each, 'cbc:AllowanceChargeReasonCode') === undefined
      ) {
        report(
          isCharge ? charge : allowance,
          each.path,
          'the allowance or charge gives neither a reason nor a reason code. Expected one',
        );
      }
      if (path === 'cac:AllowanceCharge' && textAt(each, 'cac:TaxCategory/cbc:ID') === undefined) {
        report(
          isCharge ? 'BR-37' : 'BR-32',
          `${each.path}/TaxCategory/ID`,
          'the VAT category of the allowance or charge is missing',
        );
      }
    }
  }
  for (const means of select(root, 'cac:PaymentMeans')) {
    const code = textAt(means, 'cbc:PaymentMeansCode');
    if ((code === '30' || code === '58') && textAt(means, 'cac:PayeeFinancialAccount/cbc:ID') === undefined) {
      report(
        'BR-61',
        `${means.path}/PayeeFinancialAccount/ID`,
        `payment by credit transfer (code ${code}) needs the account (BT-84)`,
      );
    }
  }
}

/** Whoever asks for money says by when. */
function due({ invoice: { root, totals }, report }: Judge): void {
  const terms =
    textAt(root, 'cbc:DueDate') ??
    textAt(root, 'cac:PaymentMeans/cbc:PaymentDueDate') ??
    textAt(root, 'cac:PaymentTerms/cbc:Note');
  if (totals.payable.value?.greaterThan(0) && terms === undefined) {
    report(
      'BR-CO-25',
      root.path,
      'something is due but neither the due date (BT-9) nor payment terms (BT-20) are given. Expected one',
    );
  }
}
