/** The published documents, the samples, and every rule by an edit that breaks it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { judge } from '../src/judgement.ts';
import { edit, limits, sample, sampleNames } from './samples.ts';

const published = new URL('../../../../shared/data/ubl/', import.meta.url);
const here = existsSync(published);

// All of the published examples are meant valid: they are the ones the rules' own makers test with.
describe.skipIf(!here)('published Peppol documents', () => {
  const files = here ? readdirSync(published).filter((file) => file.endsWith('.xml')) : [];
  it.each(files)('%s: no violation, and the totals come out as stated', (file) => {
    const { judgement } = judge(readFileSync(new URL(file, published), 'utf8'), limits);
    expect(judgement.violations).toEqual([]);
    expect(judgement.comparison.rows.filter((row) => !row.agrees)).toEqual([]);
    expect(judgement).toMatchObject({ verdict: 'valid', profile: 'peppol', totals: { complete: true } });
  });
  it('there are some', () => expect(files.length).toBeGreaterThan(0));
});
it.runIf(!here)(
  'published Peppol documents are absent: ../shared/data/ubl beside the repository is not there, nothing was checked',
  () => {
    expect(here).toBe(false);
  },
);

const invalid: Record<string, readonly [rule: string, location: string][]> = {
  'invoice-wrong-totals': [
    ['BR-CO-10', '/Invoice/LegalMonetaryTotal/LineExtensionAmount'],
    ['BR-CO-16', '/Invoice/LegalMonetaryTotal/PayableAmount'],
    ['PEPPOL-EN16931-R120', '/Invoice/InvoiceLine[2]/LineExtensionAmount'],
    ['BR-S-08', '/Invoice/TaxTotal/TaxSubtotal[2]/TaxableAmount'],
  ],
  'invoice-reverse-charge-with-vat': [
    ['BR-CO-15', '/Invoice/LegalMonetaryTotal/TaxInclusiveAmount'],
    ['BR-AE-02', '/Invoice/InvoiceLine/Item/ClassifiedTaxCategory'],
    ['BR-AE-09', '/Invoice/TaxTotal/TaxSubtotal/TaxAmount'],
  ],
  'invoice-missing-fields': [
    ['BR-07', '/Invoice/AccountingCustomerParty/Party/PartyLegalEntity/RegistrationName'],
    ['BR-23', '/Invoice/InvoiceLine[1]/InvoicedQuantity/@unitCode'],
    ['BR-CO-25', '/Invoice'],
    ['PEPPOL-EN16931-F001', '/Invoice/IssueDate'],
    ['PEPPOL-EN16931-R051', '/Invoice/InvoiceLine[1]/Price/PriceAmount'],
    ['BR-E-10', '/Invoice/TaxTotal/TaxSubtotal[2]/TaxCategory'],
    ['PEPPOL-EN16931-R003', '/Invoice'],
  ],
};

describe('samples', () => {
  it.each(sampleNames())('%s', (name) => {
    const { judgement } = judge(sample(name), limits);
    const expected = invalid[name];
    const found = judgement.violations.map(({ rule, location }) => [rule, location]);
    if (expected === undefined) {
      expect(found).toEqual([]);
      expect(judgement.comparison.agrees).toBe(true);
    } else {
      expect(found).toEqual(expect.arrayContaining(expected.map((each) => [...each])));
    }
    expect(judgement.verdict).toBe(expected === undefined ? 'valid' : 'invalid');
  });

  it('two rates: every amount, by hand', () => {
    const { judgement } = judge(sample('invoice-two-rates'), limits);
    // 12 x 38.75 + 412 + 2500 x 1.349 / 100 = 910.725, of which the last is 33.725, rounded to 33.73; and 3 x 44.86.
    expect(judgement.document).toMatchObject({
      kind: 'invoice',
      id: '2025-00417',
      issueDate: '2025-03-14',
      currency: 'EUR',
      lines: 4,
    });
    expect(judgement.document.seller).toMatchObject({
      name: 'Werkhof Lindau Feinmechanik GmbH',
      vatId: 'DE811907980',
      country: 'DE',
    });
    expect(judgement.totals).toEqual({
      lines: '1045.31',
      allowances: '0.00',
      charges: '0.00',
      taxExclusive: '1045.31',
      vat: [
        { category: 'S', rate: '19', taxable: '910.73', tax: '173.04' },
        { category: 'S', rate: '7', taxable: '134.58', tax: '9.42' },
      ],
      tax: '182.46',
      taxInclusive: '1227.77',
      prepaid: '0.00',
      rounding: '0.00',
      payable: '1227.77',
      complete: true,
    });
  });

  it('prepaid and rounding: payable = with VAT - prepaid + rounding', () => {
    expect(judge(sample('invoice-prepaid-rounding'), limits).judgement.totals).toMatchObject({
      taxInclusive: '6065.79',
      payable: '3066.00',
    });
  });

  it('stated beside recomputed, where they differ', () => {
    const rows = judge(sample('invoice-wrong-totals'), limits).judgement.comparison.rows.filter((row) => !row.agrees);
    expect(rows).toEqual([
      {
        name: 'payable',
        location: '/Invoice/LegalMonetaryTotal/PayableAmount',
        stated: '1697.35',
        recomputed: '697.35',
        agrees: false,
      },
      {
        name: 'line 2',
        location: '/Invoice/InvoiceLine[2]/LineExtensionAmount',
        stated: '143.58',
        recomputed: '134.58',
        agrees: false,
      },
    ]);
  });
});

const base = sample('invoice-two-rates');
const edits: readonly (readonly [rule: string, location: string, from: string | RegExp, to: string, xml?: string])[] = [
  ['BR-01', '/Invoice/CustomizationID', /<cbc:CustomizationID>.*/, ''],
  ['BR-02', '/Invoice/ID', '<cbc:ID>2025-00417</cbc:ID>', ''],
  ['BR-03', '/Invoice/IssueDate', /<cbc:IssueDate>.*/, ''],
  ['BR-04', '/Invoice/InvoiceTypeCode', /<cbc:InvoiceTypeCode>.*/, ''],
  ['BR-05', '/Invoice/DocumentCurrencyCode', /<cbc:DocumentCurrencyCode>.*/, ''],
  ['BR-12', '/Invoice/LegalMonetaryTotal/LineExtensionAmount', /<cbc:LineExtensionAmount.*/, ''],
  ['BR-13', '/Invoice/LegalMonetaryTotal/TaxExclusiveAmount', /<cbc:TaxExclusiveAmount.*/, ''],
  ['BR-14', '/Invoice/LegalMonetaryTotal/TaxInclusiveAmount', /<cbc:TaxInclusiveAmount.*/, ''],
  ['BR-15', '/Invoice/LegalMonetaryTotal/PayableAmount', /<cbc:PayableAmount.*/, ''],
  ['BR-16', '/Invoice/InvoiceLine', /<cac:InvoiceLine>[\s\S]*<\/cac:InvoiceLine>/, ''],
  ['BR-21', '/Invoice/InvoiceLine[1]/ID', '<cbc:ID>1</cbc:ID>', ''],
  ['BR-22', '/Invoice/InvoiceLine[1]/InvoicedQuantity', /<cbc:InvoicedQuantity.*/, ''],
  [
    'BR-24',
    '/Invoice/InvoiceLine[1]/LineExtensionAmount',
    '<cbc:LineExtensionAmount currencyID="EUR">465.00</cbc:LineExtensionAmount>',
    '',
  ],
  ['BR-25', '/Invoice/InvoiceLine[1]/Item/Name', '<cbc:Name>Messuhr 0,01 mm</cbc:Name>', ''],
  ['BR-26', '/Invoice/InvoiceLine[1]/Price/PriceAmount', /<cbc:PriceAmount.*/, ''],
  ['BR-27', '/Invoice/InvoiceLine[1]/Price/PriceAmount', '>38.75<', '>-38.75<'],
  ['BR-48', '/Invoice/TaxTotal/TaxSubtotal[1]/TaxCategory/Percent', '<cbc:Percent>19</cbc:Percent>', ''],
  [
    'BR-61',
    '/Invoice/PaymentMeans/PayeeFinancialAccount/ID',
    /<cac:PayeeFinancialAccount>[\s\S]*<\/cac:PayeeFinancialAccount>/,
    '',
  ],
  ['BR-CL-17', '/Invoice/TaxTotal/TaxSubtotal[1]/TaxCategory/ID', '<cbc:ID>S</cbc:ID>', '<cbc:ID>Q</cbc:ID>'],
  [
    'BR-CO-04',
    '/Invoice/InvoiceLine[1]/Item/ClassifiedTaxCategory/ID',
    /(<cac:ClassifiedTaxCategory>\s*)<cbc:ID>S<\/cbc:ID>/,
    '$1',
  ],
  [
    'BR-CO-09',
    '/Invoice/AccountingSupplierParty/Party/PartyTaxScheme/CompanyID',
    '<cbc:CompanyID>DE811907980',
    '<cbc:CompanyID>811907980',
  ],
  [
    'BR-CO-10',
    '/Invoice/LegalMonetaryTotal/LineExtensionAmount',
    '>1045.31</cbc:LineExtensionAmount>',
    '>1045.32</cbc:LineExtensionAmount>',
  ],
  [
    'BR-CO-11',
    '/Invoice/LegalMonetaryTotal/AllowanceTotalAmount',
    '>60.23</cbc:AllowanceTotalAmount>',
    '>60.24</cbc:AllowanceTotalAmount>',
    'invoice-allowances-charges',
  ],
  ['BR-CO-12', '/Invoice/LegalMonetaryTotal/ChargeTotalAmount', /<cbc:ChargeTotalAmount.*/, '', 'invoice-allowances-charges'],
  [
    'BR-CO-13',
    '/Invoice/LegalMonetaryTotal/TaxExclusiveAmount',
    '>1045.31</cbc:TaxExclusiveAmount>',
    '>1045.30</cbc:TaxExclusiveAmount>',
  ],
  ['BR-CO-14', '/Invoice/TaxTotal/TaxAmount', '>182.46<', '>182.47<'],
  [
    'BR-CO-15',
    '/Invoice/LegalMonetaryTotal/TaxInclusiveAmount',
    '>1227.77</cbc:TaxInclusiveAmount>',
    '>1228.77</cbc:TaxInclusiveAmount>',
  ],
  ['BR-CO-16', '/Invoice/LegalMonetaryTotal/PayableAmount', '>1227.77</cbc:PayableAmount>', '>1227.00</cbc:PayableAmount>'],
  ['BR-CO-17', '/Invoice/TaxTotal/TaxSubtotal[1]/TaxAmount', '>173.04<', '>182.04<'],
  ['BR-CO-18', '/Invoice/TaxTotal/TaxSubtotal', /<cac:TaxSubtotal>[\s\S]*<\/cac:TaxSubtotal>/, ''],
  ['BR-S-01', '/Invoice/TaxTotal/TaxSubtotal', /<cac:TaxSubtotal>[\s\S]*?<\/cac:TaxSubtotal>/, ''],
  ['BR-S-02', '/Invoice/InvoiceLine[1]/Item/ClassifiedTaxCategory', /<cac:PartyTaxScheme>[\s\S]*?<\/cac:PartyTaxScheme>/, ''],
  [
    'BR-S-05',
    '/Invoice/InvoiceLine[4]/Item/ClassifiedTaxCategory/Percent',
    /<cbc:Percent>7<(?![\s\S]*<cbc:Percent>7<)/,
    '<cbc:Percent>0<',
  ],
  ['BR-S-08', '/Invoice/TaxTotal/TaxSubtotal[1]/TaxableAmount', '>910.73<', '>910.72<'],
  [
    'BR-AE-05',
    '/Invoice/InvoiceLine[1]/Item/ClassifiedTaxCategory/Percent',
    /(<cac:ClassifiedTaxCategory>\s*<cbc:ID>AE<\/cbc:ID>\s*<cbc:Percent>)0/,
    '$119',
    'invoice-reverse-charge',
  ],
  ['BR-AE-10', '/Invoice/TaxTotal/TaxSubtotal/TaxCategory', /<cbc:TaxExemptionReason>.*/, '', 'invoice-reverse-charge'],
  [
    'BR-IC-12',
    '/Invoice/Delivery',
    /<a:DeliveryLocation>[\s\S]*<\/a:DeliveryLocation>/,
    '',
    'invoice-intra-community-prefixes',
  ],
  [
    'BR-33',
    '/Invoice/AllowanceCharge[1]',
    /<cbc:AllowanceChargeReasonCode>95<\/cbc:AllowanceChargeReasonCode>\s*<cbc:AllowanceChargeReason>Remise.*/,
    '',
    'invoice-allowances-charges',
  ],
  [
    'BR-53',
    '/Invoice/TaxTotal/TaxAmount',
    /<cac:TaxTotal>\s*<cbc:TaxAmount currencyID="EUR">[\s\S]*?<\/cac:TaxTotal>/,
    '',
    'invoice-prepaid-rounding',
  ],
  ['BR-55', '/CreditNote/BillingReference/InvoiceDocumentReference/ID', '<cbc:ID>2025-00417</cbc:ID>', '', 'credit-note'],
  ['UBL-DT-01', '/Invoice/TaxTotal/TaxAmount', '>182.46<', '>182.461<'],
  ['XSD-DECIMAL', '/Invoice/TaxTotal/TaxAmount', '>182.46<', '>1,82e2<'],
  ['PEPPOL-EN16931-R001', '/Invoice/ProfileID', /<cbc:ProfileID>.*/, ''],
  ['PEPPOL-EN16931-R008', '/Invoice/Note', '>Lieferung frei Haus<', '> <'],
  [
    'PEPPOL-EN16931-R010',
    '/Invoice/AccountingCustomerParty/Party/EndpointID',
    /<cbc:EndpointID schemeID="9930">DE203114977.*/,
    '',
  ],
  [
    'PEPPOL-EN16931-R020',
    '/Invoice/AccountingSupplierParty/Party/EndpointID',
    /<cbc:EndpointID schemeID="9930">DE811907980.*/,
    '',
  ],
  ['PEPPOL-EN16931-R040', '/Invoice/InvoiceLine[1]/AllowanceCharge', '>26.28<', '>36.28<', 'invoice-allowances-charges'],
  ['PEPPOL-EN16931-R046', '/Invoice/InvoiceLine[2]/Price/PriceAmount', '>450.00<', '>451.00<'],
  ['PEPPOL-EN16931-R120', '/Invoice/InvoiceLine[1]/LineExtensionAmount', '>465.00<', '>465.03<'],
  ['PEPPOL-EN16931-R121', '/Invoice/InvoiceLine[3]/Price/BaseQuantity', '>100</cbc:BaseQuantity>', '>0</cbc:BaseQuantity>'],
  [
    'PEPPOL-EN16931-R130',
    '/Invoice/InvoiceLine[3]/Price/BaseQuantity',
    '<cbc:BaseQuantity unitCode="GRM"',
    '<cbc:BaseQuantity unitCode="KGM"',
  ],
];

describe('every rule, broken by one edit', () => {
  for (const [rule, location, from, to, name] of edits) {
    it(`${rule} at ${location}`, () => {
      const xml = name === undefined ? base : sample(name);
      const { violations, verdict } = judge(edit(xml, from, to), limits).judgement;
      expect(violations).toContainEqual(expect.objectContaining({ rule, location, severity: 'error' }));
      expect(verdict).toBe('invalid');
    });
  }

  it('a tax amount a few cents off is a warning, as the published validators let it pass', () => {
    const xml = edit(base, '>173.04<', '>173.05<').replaceAll('>182.46<', '>182.47<').replaceAll('>1227.77<', '>1227.78<');
    const { judgement } = judge(xml, limits);
    expect(judgement.violations.map(({ rule, severity }) => [rule, severity])).toEqual([['BR-CO-17', 'warning']]);
    expect(judgement).toMatchObject({ verdict: 'valid', warnings: 1, errors: 0, comparison: { agrees: false } });
  });

  it('a line two cents off is within what Peppol allows', () => {
    const xml = edit(base, '>465.00<', '>465.02<');
    expect(judge(xml, limits).judgement.violations.map(({ rule }) => rule)).not.toContain('PEPPOL-EN16931-R120');
  });

  it('what is only Peppol does not apply to a document that only follows the norm', () => {
    const xml = edit(sample('invoice-exempt-en16931'), /<cbc:EndpointID.*/, '');
    expect(judge(xml, limits).judgement).toMatchObject({ verdict: 'valid', profile: 'en16931' });
    const strict = judge(xml, { ...limits, profile: 'peppol' }).judgement;
    expect(strict.violations.map(({ rule }) => rule)).toEqual(
      expect.arrayContaining(['PEPPOL-EN16931-R020', 'PEPPOL-EN16931-R004']),
    );
  });

  it('lists no more violations than asked for, and counts all', () => {
    const { judgement } = judge(sample('invoice-missing-fields'), { ...limits, maxViolations: 2 });
    expect(judgement.violations).toHaveLength(2);
    expect(judgement.errors).toBeGreaterThan(5);
  });
});
