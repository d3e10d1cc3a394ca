/**
 * One document, read, recomputed and judged. Pure: the same text gives the same answer.
 */

import { InputError } from '@cim/alchemist/agent';
import { money, plain } from './amount.ts';
import type { Profile, Violation } from './rules/judge.ts';
import { peppol } from './rules/peppol.ts';
import { presence } from './rules/presence.ts';
import { sums } from './rules/sums.ts';
import { values } from './rules/values.ts';
import { vat } from './rules/vat.ts';
import { type Comparison, compare, recompute } from './totals.ts';
import { type Invoice, type Party, readInvoice } from './ubl.ts';
import { type Element, parseXml } from './xml.ts';

export interface Limits {
  /** Longest document, in characters. */
  readonly maxCharacters: number;
  /** Most violations, and most rows of the comparison, listed; all are counted. */
  readonly maxViolations: number;
  /** `auto` applies the Peppol rules to documents whose CustomizationID names Peppol. */
  readonly profile: Profile | 'auto';
}

export interface Judgement {
  readonly verdict: 'valid' | 'invalid';
  readonly profile: Profile;
  readonly document: ReturnType<typeof facts>;
  readonly totals: ReturnType<typeof totalsOut>;
  readonly comparison: { readonly agrees: boolean; readonly rows: readonly Comparison[] };
  readonly errors: number;
  readonly warnings: number;
  readonly violations: readonly Violation[];
}

/** @throws InputError when the text is too long, no XML, or no UBL invoice */
export function judge(xml: string, limits: Limits): { judgement: Judgement; root: Element; invoice: Invoice } {
  if (xml.length > limits.maxCharacters) {
    throw new InputError(
      'xml',
      `${xml.length} characters, at most ${limits.maxCharacters} are read. Send attachments apart, or raise maxCharacters`,
    );
  }
  const root = parseXml(xml);
  const invoice = readInvoice(root);
  const profile = limits.profile !== 'auto' ? limits.profile : invoice.customization?.includes('peppol') ? 'peppol' : 'en16931';
  const found: Violation[] = [];
  const report = (rule: string, location: string, message: string, severity: Violation['severity'] = 'error'): void => {
    found.push({ rule, severity, message, location });
  };
  for (const rules of [presence, values, sums, vat, peppol]) rules({ invoice, profile, report });
  // Errors first; within them the order in which the rules ran. The sort is stable.
  const violations = found.sort((a, b) => Number(b.severity === 'error') - Number(a.severity === 'error'));
  const errors = violations.filter(({ severity }) => severity === 'error').length;
  const totals = recompute(invoice);
  const rows = compare(invoice, totals);
  const judgement: Judgement = {
    verdict: errors === 0 ? 'valid' : 'invalid',
    profile,
    document: facts(invoice),
    totals: totalsOut(totals),
    comparison: { agrees: rows.every((row) => row.agrees), rows: rows.slice(0, limits.maxViolations) },
    errors,
    warnings: violations.length - errors,
    violations: violations.slice(0, limits.maxViolations),
  };
  return { judgement, root, invoice };
}

const known = <T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };

function facts(invoice: Invoice) {
  const { kind, id, issueDate, currency, lines } = invoice;
  return {
    kind,
    ...known({ id, issueDate, currency }),
    seller: partyOut(invoice.seller),
    buyer: partyOut(invoice.buyer),
    lines: lines.length,
  };
}

const partyOut = ({ name, vatId, legalId, partyId, endpoint, country }: Party) =>
  known({ name, vatId, legalId, partyId, endpoint, country });

function totalsOut(totals: ReturnType<typeof recompute>) {
  const { lines, allowances, charges, taxExclusive, tax, taxInclusive, prepaid, rounding, payable, complete } = totals;
  return {
    lines: money(lines),
    allowances: money(allowances),
    charges: money(charges),
    taxExclusive: money(taxExclusive),
    vat: totals.vat.map((group) => ({
      category: group.category,
      ...(group.rate === undefined ? {} : { rate: plain(group.rate) }),
      taxable: money(group.taxable),
      tax: money(group.tax),
    })),
    tax: money(tax),
    taxInclusive: money(taxInclusive),
    prepaid: money(prepaid),
    rounding: money(rounding),
    payable: money(payable),
    complete,
  };
}
