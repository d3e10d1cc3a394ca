/**
 * The service: judges invoices, and remembers the ones it accepted.
 *
 * Promises:
 * S1. `invoice.validate` leaves no trace; `invoice.process` records an accepted document once and emits one event per call.
 * S2. A document is accepted when no rule of severity `error` is broken and nothing else is known under its seller, number
 *     and date. Only accepted documents are remembered, so a mended one can be sent again.
 * S3. What is no XML or no UBL invoice is refused with an InputError that names the place, not judged.
 */
import { type Call, type Context, defineService, type Json } from '@cim/alchemist/agent';
import { type Claim, claim, contentDigest, documentKey, look, type Standing } from './duplicates.ts';
import { type Judgement, judge, type Limits } from './judgement.ts';
import { input, processed, validated } from './schema.ts';

export interface Config extends Limits, Record<string, Json> {}

export interface Input {
  readonly xml: string;
  readonly source?: string;
}

export interface Processed extends Judgement {
  readonly outcome: 'accepted' | 'rejected' | 'duplicate';
  readonly reason?: 'violations' | 'conflict' | 'duplicate';
  readonly duplicate: Standing;
  readonly source?: string;
}

const from = ({ source }: Input): { source?: string } => (source === undefined ? {} : { source });

/** Judges without side effects. @throws InputError when it is no UBL document */
export function validate(given: Input, ctx: Context<Config>): Judgement & { source?: string } {
  const { judgement } = judge(given.xml, ctx.config);
  ctx.metrics.increment(`validated_${judgement.verdict}`);
  return { ...judgement, ...from(given) };
}

/** Judges, looks for duplicates, remembers what is accepted, and tells. @throws InputError when it is no UBL document */
export async function process(given: Input, ctx: Context<Config>, call: Pick<Call, 'id'>): Promise<Processed> {
  const { judgement, root, invoice } = judge(given.xml, ctx.config);
  const key = documentKey(invoice);
  const digest = contentDigest(root);
  const now = Date.now();
  const valid = judgement.verdict === 'valid';
  const duplicate = valid ? await claim(ctx.kv, key, digest, call.id, now) : await look(ctx.kv, key, digest);
  const result: Processed = { ...ending(valid, duplicate), duplicate, ...judgement, ...from(given) };
  const claimed = result.outcome === 'accepted' && key !== undefined;
  try {
    await ctx.emit(`invoice.${result.outcome}`, announcement(result));
  } catch (error) {
    // Untold is undone: the next attempt is the first again.
    if (claimed) await ctx.kv.delete(key);
    throw error;
  }
  if (claimed) await ctx.kv.put(key, { digest, at: now, call: call.id, announced: true } satisfies Claim);
  ctx.metrics.increment(`processed_${result.outcome}`);
  const { id = '', currency = '' } = judgement.document;
  ctx.log.info('invoice processed', {
    outcome: result.outcome,
    id,
    payable: judgement.totals.payable,
    currency,
    errors: judgement.errors,
  });
  return result;
}

function ending(valid: boolean, { state }: Standing): Pick<Processed, 'outcome' | 'reason'> {
  if (state === 'conflict') return { outcome: 'rejected', reason: valid ? 'conflict' : 'violations' };
  if (!valid) return { outcome: 'rejected', reason: 'violations' };
  return state === 'duplicate' ? { outcome: 'duplicate', reason: 'duplicate' } : { outcome: 'accepted' };
}

/** What the event says: enough to book or to chase it, not the whole document. */
function announcement({ outcome, reason, document, totals, errors, warnings, violations, duplicate, source }: Processed): Json {
  const { kind, id, issueDate, currency, seller, buyer } = document;
  return {
    outcome,
    reason,
    kind,
    id,
    issueDate,
    currency,
    seller,
    buyer,
    payable: totals.payable,
    tax: totals.tax,
    errors,
    warnings,
    rules: [...new Set(violations.map(({ rule }) => rule))].slice(0, 20),
    duplicate: duplicate.state,
    digest: duplicate.digest,
    source,
  };
}

export default defineService<Config>({
  name: 'invoice-processor',
  version: '1.0.0',
  description: 'Recomputes and judges UBL 2.1 invoices and credit notes, finds duplicates, tells what it accepted',
  resources: { cpu: '2', memory: '4Gi' },
  grants: { kv: true },
  configuration: { maxConcurrent: 16, timeout: '30s', turn: '10s' },
  config: { maxCharacters: 2_000_000, maxViolations: 500, profile: 'auto' },
  configSchema: {
    type: 'object',
    properties: {
      maxCharacters: { type: 'integer', minimum: 1000, maximum: 16_000_000 },
      maxViolations: { type: 'integer', minimum: 1, maximum: 10_000 },
      profile: { enum: ['auto', 'en16931', 'peppol'] },
    },
    additionalProperties: false,
  },
  capabilities: {
    'invoice.validate': {
      description: 'Judges an invoice or credit note, leaves no trace',
      input,
      output: validated,
      handle: validate,
    },
    'invoice.process': {
      description: 'Judges an invoice or credit note, remembers it when accepted, emits an event',
      input,
      output: processed,
      handle: process,
    },
  },
});
