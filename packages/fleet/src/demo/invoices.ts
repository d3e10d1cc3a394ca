/**
 * invoice-processor: real invoices, asked for from the other leaf.
 *
 * A valid invoice must come out with the amounts it states itself, which are read here from its text and not from the answer; an invalid
 * one with the rules it breaks; what is no invoice is refused. An invoice that is sent twice is known the second time, and one that an
 * earlier run had accepted is known the first time.
 */
import { Fault } from '@cim/contracts';
import type { Caller } from '../caller.ts';
import { sampleText } from './examples.ts';
import { fit, type Report, StepFailure } from './report.ts';

/** Samples, and the rules each must break. */
const invoices: Readonly<Record<string, readonly string[]>> = {
  'invoice-two-rates.xml': [],
  'invoice-allowances-charges.xml': [],
  'invoice-prepaid-rounding.xml': [],
  'invoice-intra-community-prefixes.xml': [],
  'credit-note.xml': [],
  'invoice-wrong-totals.xml': ['BR-CO-10', 'BR-CO-16', 'BR-S-08', 'PEPPOL-EN16931-R120'],
  'invoice-reverse-charge-with-vat.xml': ['BR-AE-02', 'BR-AE-09', 'BR-CO-15'],
};

/** What must be refused, and a word that must stand in the reason. */
const refused: Readonly<Record<string, RegExp>> = {
  'refused/external-entity.xml': /DOCTYPE/,
  'refused/order.xml': /<Order>/,
};

const SENT_TWICE = 'invoice-two-rates.xml';

/** @param resumed an earlier run may have accepted them already. @returns how long each call took, ms */
export async function showInvoices(report: Report, caller: Caller, servedBy: string, resumed: boolean): Promise<number[]> {
  const { paint } = report;
  const times: number[] = [];
  const ask = async (name: string) => {
    const answer = await caller.call('invoice.process', { xml: sampleText('invoice-processor', name), source: name });
    check(name, 'answered by', servedBy, answer.servedBy);
    times.push(answer.ms);
    return answer;
  };
  for (const [name, rules] of Object.entries(invoices)) {
    const { output, ms } = await ask(name);
    const { outcome, verdict, totals, document, violations, duplicate } = output;
    const broken = [...new Set((violations as { rule: string }[]).map(({ rule }) => rule))].sort();
    check(name, 'broken rules', rules.join(', ') || 'none', broken.join(', ') || 'none');
    check(name, 'verdict', rules.length === 0 ? 'valid' : 'invalid', verdict);
    check(name, 'number', stated(name, /<[\w:]*\bID>([^<]+)</), document.id);
    if (rules.length === 0) {
      check(name, 'payable', stated(name, /PayableAmount[^>]*>([^<]+)</), totals.payable);
      check(name, 'VAT', stated(name, /TaxTotal>\s*<[\w:]*TaxAmount[^>]*>([^<]+)</), totals.tax);
      const known = resumed && outcome === 'duplicate';
      check(name, 'outcome', known ? 'duplicate' : 'accepted', outcome);
    } else check(name, 'outcome', 'rejected', outcome);
    const what = `${outcome}`.padEnd(9);
    const colour = outcome === 'accepted' ? paint.green(what) : outcome === 'rejected' ? paint.red(what) : paint.yellow(what);
    const amount = `${totals.payable} ${document.currency}`.padStart(12);
    const vat = `VAT ${totals.tax}`.padEnd(11);
    report.line(`${fit(name, 37)} ${colour} ${amount}  ${vat}  ${document.seller.name}`, ms);
    for (const { rule, message } of (violations as Violation[]).slice(0, 2)) report.line(paint.dim(`    ${rule}  ${message}`));
    if (violations.length > 2) report.line(paint.dim(`    and ${violations.length - 2} more`));
    report.fact('invoice', {
      name,
      outcome,
      payable: totals.payable,
      vat: totals.tax,
      rules: broken,
      duplicate: duplicate.state,
      ms,
    });
  }
  await again(report, ask);
  for (const [name, reason] of Object.entries(refused)) await refusal(report, caller, name, reason);
  return times;
}

interface Violation {
  readonly rule: string;
  readonly message: string;
}

async function again(report: Report, ask: (name: string) => Promise<{ output: any; ms: number }>): Promise<void> {
  const { output, ms } = await ask(SENT_TWICE);
  check(SENT_TWICE, 'outcome of the second time', 'duplicate', output.outcome);
  check(SENT_TWICE, 'duplicate state', 'duplicate', output.duplicate.state);
  report.line(
    `${fit(`${SENT_TWICE} once more`, 37)} ${report.paint.yellow('duplicate')} first seen ${output.duplicate.firstSeen}`,
    ms,
  );
}

async function refusal(report: Report, caller: Caller, name: string, reason: RegExp): Promise<void> {
  let fault: Fault;
  try {
    const { output } = await caller.call('invoice.process', { xml: sampleText('invoice-processor', name), source: name });
    throw new StepFailure(`invoice.process ${name}`, 'a refusal', `an answer: ${JSON.stringify(output).slice(0, 120)}`);
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    fault = error;
  }
  const sentence = fault.detail.split('\n')[0]!.replace(/^\w*Error: /, '');
  if (!reason.test(sentence)) throw new StepFailure(`invoice.process ${name}`, `a refusal that says ${reason}`, fault.message);
  report.line(`${fit(name, 37)} ${report.paint.red('refused  ')} ${report.paint.dim(sentence)}`);
  report.fact('refused', { name, code: fault.code, detail: sentence });
}

/** What the document says of itself, found in its text. */
function stated(name: string, pattern: RegExp): string {
  const found = pattern.exec(sampleText('invoice-processor', name))?.[1];
  if (found === undefined) throw new StepFailure(`sample ${name}`, `text that matches ${pattern}`, 'none');
  return found.trim();
}

function check(name: string, what: string, expected: unknown, found: unknown): void {
  if (found !== expected) throw new StepFailure(`invoice.process ${name}`, `${what} ${String(expected)}`, String(found));
}
