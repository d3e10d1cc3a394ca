/**
 * The tree of a UBL 2.1 Invoice or CreditNote as the facts the calculation needs.
 *
 * Promises:
 * U1. Invoice and credit note have one shape afterwards; only `kind` and the paths differ.
 * U2. Every amount keeps its location, also when it is absent: then it is where it should have been.
 * U3. Nothing is invented: an absent or unreadable number is `undefined`.
 */

import { InputError } from '@cim/alchemist/agent';
import { type Decimal, parseDecimal } from './amount.ts';
import { type Element, first, select, textAt } from './xml.ts';

export interface Amount {
  readonly value: Decimal | undefined;
  readonly currency: string | undefined;
  readonly location: string;
}

export interface AllowanceCharge {
  /** True for a charge, false for an allowance, `undefined` when the indicator is neither `true` nor `false`. */
  readonly charge: boolean | undefined;
  readonly amount: Amount;
  readonly base: Amount;
  readonly percent: Amount;
  readonly category: string | undefined;
  readonly rate: Decimal | undefined;
  readonly location: string;
}

export interface Line {
  readonly id: string | undefined;
  readonly quantity: Amount;
  readonly unit: string | undefined;
  readonly net: Amount;
  readonly price: Amount;
  readonly baseQuantity: Amount;
  readonly baseUnit: string | undefined;
  readonly allowanceCharges: readonly AllowanceCharge[];
  readonly category: string | undefined;
  readonly rate: Decimal | undefined;
  readonly location: string;
}

export interface TaxSubtotal {
  readonly taxable: Amount;
  readonly tax: Amount;
  readonly category: string | undefined;
  readonly rate: Decimal | undefined;
  /** True when a reason or a reason code for exemption is given. */
  readonly exempted: boolean;
  readonly location: string;
}

export interface Party {
  readonly name: string | undefined;
  readonly vatId: string | undefined;
  readonly taxRegistration: string | undefined;
  readonly legalId: string | undefined;
  readonly partyId: string | undefined;
  readonly endpoint: string | undefined;
  readonly country: string | undefined;
  readonly location: string;
}

export const totalNames = {
  lines: 'LineExtensionAmount',
  allowances: 'AllowanceTotalAmount',
  charges: 'ChargeTotalAmount',
  taxExclusive: 'TaxExclusiveAmount',
  taxInclusive: 'TaxInclusiveAmount',
  prepaid: 'PrepaidAmount',
  rounding: 'PayableRoundingAmount',
  payable: 'PayableAmount',
} as const;
export type TotalName = keyof typeof totalNames;

export interface Invoice {
  readonly kind: 'invoice' | 'credit-note';
  readonly root: Element;
  readonly lineTag: 'cac:InvoiceLine' | 'cac:CreditNoteLine';
  readonly customization: string | undefined;
  readonly id: string | undefined;
  readonly issueDate: string | undefined;
  readonly currency: string | undefined;
  readonly taxCurrency: string | undefined;
  readonly seller: Party;
  readonly buyer: Party;
  readonly representativeVatId: string | undefined;
  readonly lines: readonly Line[];
  readonly allowanceCharges: readonly AllowanceCharge[];
  /** VAT in the currency of the document. */
  readonly tax: Amount;
  readonly subtotals: readonly TaxSubtotal[];
  readonly totals: Readonly<Record<TotalName, Amount>>;
}

const roots: Readonly<Record<string, Invoice['kind']>> = {
  '{urn:oasis:names:specification:ubl:schema:xsd:Invoice-2}Invoice': 'invoice',
  '{urn:oasis:names:specification:ubl:schema:xsd:CreditNote-2}CreditNote': 'credit-note',
};

/** @throws InputError when the root is neither a UBL 2 Invoice nor a CreditNote */
export function readInvoice(root: Element): Invoice {
  const kind = roots[`{${root.namespace}}${root.local}`];
  if (kind === undefined) {
    throw new InputError(
      'xml',
      `the root element is <${root.local}> in the namespace "${root.namespace}". Expected Invoice in "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2" or CreditNote in "…:CreditNote-2"`,
    );
  }
  const lineTag = kind === 'invoice' ? 'cac:InvoiceLine' : 'cac:CreditNoteLine';
  const currency = textAt(root, 'cbc:DocumentCurrencyCode');
  const taxTotals = select(root, 'cac:TaxTotal');
  // With a tax currency there are two TaxTotals; the one of the document is in its currency or carries the breakdown.
  const taxTotal =
    taxTotals.find((each) => first(each, 'cac:TaxSubtotal') !== undefined) ??
    taxTotals.find((each) => first(each, 'cbc:TaxAmount')?.attributes.get('currencyID') === currency) ??
    taxTotals[0];
  const monetary = first(root, 'cac:LegalMonetaryTotal');
  const totals = Object.fromEntries(
    Object.entries(totalNames).map(([name, local]) => [
      name,
      amountAt(monetary, `cbc:${local}`, `${root.path}/LegalMonetaryTotal`),
    ]),
  ) as Record<TotalName, Amount>;
  return {
    kind,
    root,
    lineTag,
    customization: textAt(root, 'cbc:CustomizationID'),
    id: textAt(root, 'cbc:ID'),
    issueDate: textAt(root, 'cbc:IssueDate'),
    currency,
    taxCurrency: textAt(root, 'cbc:TaxCurrencyCode'),
    seller: party(root, 'AccountingSupplierParty'),
    buyer: party(root, 'AccountingCustomerParty'),
    representativeVatId: textAt(root, 'cac:TaxRepresentativeParty/cac:PartyTaxScheme/cbc:CompanyID'),
    lines: select(root, lineTag).map((each) => line(each, kind)),
    allowanceCharges: select(root, 'cac:AllowanceCharge').map(allowanceCharge),
    tax: amountAt(taxTotal, 'cbc:TaxAmount', `${root.path}/TaxTotal`),
    subtotals: taxTotal === undefined ? [] : select(taxTotal, 'cac:TaxSubtotal').map(subtotal),
    totals,
  };
}

/** An amount below `parent`; when either is absent, the location says where it belongs (U2). */
function amountAt(parent: Element | undefined, tag: string, parentPath = parent?.path ?? ''): Amount {
  const found = parent === undefined ? undefined : first(parent, tag);
  const missing = `${parent?.path ?? parentPath}/${tag.replaceAll(/c[ab]c:/g, '')}`;
  return {
    value: found === undefined ? undefined : parseDecimal(found.text),
    currency: found?.attributes.get('currencyID'),
    location: found?.path ?? missing,
  };
}

function rateOf(category: Element | undefined): Decimal | undefined {
  const text = category === undefined ? undefined : textAt(category, 'cbc:Percent');
  return text === undefined ? undefined : parseDecimal(text);
}

function allowanceCharge(from: Element): AllowanceCharge {
  const indicator = textAt(from, 'cbc:ChargeIndicator');
  const category = first(from, 'cac:TaxCategory');
  return {
    charge: indicator === 'true' || indicator === '1' ? true : indicator === 'false' || indicator === '0' ? false : undefined,
    amount: amountAt(from, 'cbc:Amount'),
    base: amountAt(from, 'cbc:BaseAmount'),
    percent: amountAt(from, 'cbc:MultiplierFactorNumeric'),
    category: category && textAt(category, 'cbc:ID'),
    rate: rateOf(category),
    location: from.path,
  };
}

function line(from: Element, kind: Invoice['kind']): Line {
  const quantityTag = kind === 'invoice' ? 'cbc:InvoicedQuantity' : 'cbc:CreditedQuantity';
  const category = first(from, 'cac:Item/cac:ClassifiedTaxCategory');
  const base = first(from, 'cac:Price/cbc:BaseQuantity');
  return {
    id: textAt(from, 'cbc:ID'),
    quantity: amountAt(from, quantityTag),
    unit: first(from, quantityTag)?.attributes.get('unitCode'),
    net: amountAt(from, 'cbc:LineExtensionAmount'),
    price: amountAt(from, 'cac:Price/cbc:PriceAmount'),
    baseQuantity: amountAt(from, 'cac:Price/cbc:BaseQuantity'),
    baseUnit: base?.attributes.get('unitCode'),
    allowanceCharges: select(from, 'cac:AllowanceCharge').map(allowanceCharge),
    category: category && textAt(category, 'cbc:ID'),
    rate: rateOf(category),
    location: from.path,
  };
}

function subtotal(from: Element): TaxSubtotal {
  const category = first(from, 'cac:TaxCategory');
  const reason = category && (textAt(category, 'cbc:TaxExemptionReason') ?? textAt(category, 'cbc:TaxExemptionReasonCode'));
  return {
    taxable: amountAt(from, 'cbc:TaxableAmount'),
    tax: amountAt(from, 'cbc:TaxAmount'),
    category: category && textAt(category, 'cbc:ID'),
    rate: rateOf(category),
    exempted: reason !== undefined,
    location: from.path,
  };
}

function party(root: Element, role: string): Party {
  const found = first(root, `cac:${role}/cac:Party`);
  const at = (path: string): string | undefined => (found === undefined ? undefined : textAt(found, path));
  const scheme = (vat: boolean): string | undefined =>
    found &&
    select(found, 'cac:PartyTaxScheme')
      .filter((each) => (textAt(each, 'cac:TaxScheme/cbc:ID') === 'VAT') === vat)
      .map((each) => textAt(each, 'cbc:CompanyID'))
      .find((id) => id !== undefined);
  return {
    name: at('cac:PartyLegalEntity/cbc:RegistrationName') ?? at('cac:PartyName/cbc:Name'),
    vatId: scheme(true),
    taxRegistration: scheme(false),
    legalId: at('cac:PartyLegalEntity/cbc:CompanyID'),
    partyId: at('cac:PartyIdentification/cbc:ID'),
    endpoint: at('cbc:EndpointID'),
    country: at('cac:PostalAddress/cac:Country/cbc:IdentificationCode'),
    location: found?.path ?? `${root.path}/${role}/Party`,
  };
}
