/**
 * The audit log: what was changed through the registry, by whom and why, as a hash chain (chain.ts) in the stream CIM_AUDIT.
 *
 * Promises:
 * A1. A change has two entries: the intent, kept before anything is written and naming the hash of what will be, and the outcome. A
 *     change without an intent does not happen.
 * A2. A registry that dies in between leaves an intent without outcome; whoever starts next looks at what is there and closes it with
 *     `recovered-applied`, `recovered-not-applied` or, where nobody can say, `recovered-unknown`.
 * A3. Every entry names the oldest intent still open before it, so that the open ones can be found without reading the whole log.
 */
import { z } from 'zod';
import { type ChainEntry, type ChainFault, type ChainHead, type ChainStart, chainEntry, chainVerifier } from './chain.ts';
import { ErrorCode } from './errors.ts';
import { Digest, EventType } from './ids.ts';

/** Name of the chain. */
export const AUDIT_CHAIN = 'audit';
/** Header of a stored value that names the intent it was written under. */
export const AUDIT_HEADER = 'Cim-Audit';

const ChangeId = z.uuid().describe('Id of the change: one for intent and outcome, and for the event that tells of it.');
const Open = z.int().positive().optional().describe('The oldest intent that has no outcome yet, before this entry.');

export const AuditIntent = z.strictObject({
  phase: z.literal('intent'),
  id: ChangeId,
  at: z.iso.datetime(),
  open: Open,
  action: EventType.describe('What is to be done, e.g. `desired.changed`.'),
  subject: z.string().max(100).describe('Whose it is: the name of the workload, the id of the token.'),
  by: z.strictObject({
    name: z.string().max(200),
    roles: z.array(z.string().max(50)).max(8),
    via: z.string().max(50).describe('How they proved it: token-file, token, certificate, node-key.'),
    address: z.string().max(100).optional(),
  }),
  requestId: z.string().max(64),
  reason: z.string().max(500).nullable(),
  bucket: z.string().max(100).describe('Where it is written; empty for what is no key of a bucket.'),
  key: z.string().max(300),
  revision: z.int().nonnegative().describe('Revision of the key that the change was made on; 0 when there was none.'),
  before: Digest.nullable().describe('SHA-256 of the value that stood there.'),
  after: Digest.nullable().describe('SHA-256 of the value that is written.'),
  data: z.record(z.string(), z.unknown()).describe('What is worth knowing about it.'),
});
export type AuditIntent = z.infer<typeof AuditIntent>;

export const AuditResult = z.enum([
  'applied',
  'lost',
  'refused',
  'failed',
  'recovered-applied',
  'recovered-not-applied',
  'recovered-unknown',
]);
export type AuditResult = z.infer<typeof AuditResult>;

export const AuditOutcome = z.strictObject({
  phase: z.literal('outcome'),
  id: ChangeId,
  at: z.iso.datetime(),
  open: Open,
  outcome: AuditResult.describe(
    'applied; lost: somebody else wrote first; refused: the hub did not take it; failed: it is not done; recovered-…: found after a registry died.',
  ),
  revision: z.int().positive().optional().describe('Revision that was written.'),
  code: ErrorCode.optional(),
});
export type AuditOutcome = z.infer<typeof AuditOutcome>;

export const AuditBody = z.discriminatedUnion('phase', [AuditIntent, AuditOutcome]);
export type AuditBody = z.infer<typeof AuditBody>;
export const AuditEntry = chainEntry(AuditBody);
export type AuditEntry = ChainEntry<AuditBody>;

/** What is wrong with an audit log beyond its chain. */
export type AuditFault = ChainFault | { readonly kind: 'untrue'; readonly position: number; readonly detail: string };

/** Intents without outcome, oldest first: sequence by id. Kept by whoever writes, rebuilt by whoever reads. */
export class OpenIntents {
  readonly #open = new Map<string, { readonly sequence: number; readonly intent: AuditIntent }>();

  /** The oldest open one. */
  oldest(): number | undefined {
    return this.#open.values().next().value?.sequence;
  }

  take({ sequence, body }: AuditEntry): void {
    if (body.phase === 'intent') this.#open.set(body.id, { sequence, intent: body });
    else this.#open.delete(body.id);
  }

  has(id: string): boolean {
    return this.#open.has(id);
  }

  all(): readonly { readonly sequence: number; readonly intent: AuditIntent }[] {
    return [...this.#open.values()];
  }

  clear(): void {
    this.#open.clear();
  }
}

export interface AuditVerifier {
  /** The next entry. What is wrong, or undefined. */
  push(entry: AuditEntry): AuditFault | undefined;
  head(): ChainHead | undefined;
  /** Intents without outcome so far; those before where the reading began are not known. */
  open(): readonly { readonly sequence: number; readonly intent: AuditIntent }[];
}

/**
 * Verifies an audit log as it streams by: the chain, that no id has two intents or two outcomes, that an outcome has its intent, and that
 * each entry names the oldest open one (A3). Read from somewhere else than the beginning, only the chain can be judged.
 */
export function auditVerifier(from?: ChainStart): AuditVerifier {
  const chain = chainVerifier(AUDIT_CHAIN, from);
  const whole = from === undefined;
  const open = new OpenIntents();
  const seen = new Set<string>();
  return {
    head: chain.head,
    open: () => open.all(),
    push(entry) {
      const fault = chain.push(entry);
      if (fault) return fault;
      const { sequence, body } = entry;
      const untrue = (detail: string): AuditFault => ({
        kind: 'untrue',
        position: sequence,
        detail: `entry ${sequence} ${detail}`,
      });
      if (body.phase === 'intent' && seen.has(body.id)) return untrue(`is a second intent of ${body.id}`);
      if (whole && body.phase === 'outcome' && !open.has(body.id))
        return untrue(`is an outcome of ${body.id}, which has ${seen.has(body.id) ? 'one already' : 'no intent'}`);
      if (whole && body.open !== open.oldest())
        return untrue(`names ${body.open ?? 'nothing'} as the oldest open intent; it is ${open.oldest() ?? 'nothing'}`);
      seen.add(body.id);
      open.take(entry);
      return undefined;
    },
  };
}
