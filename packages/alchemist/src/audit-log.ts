/**
 * The audit log as a reader has it: page by page from the registry or line by line from a file, verified while it passes.
 *
 * Promises:
 * L1. A missing, moved, repeated or changed entry is found, and so is a log that ends before a head that was kept, or says something else
 *     there. What is found names the entry.
 * L2. Memory holds a page, whatever the length of the log.
 */
import {
  AuditEntry,
  auditVerifier,
  type ChainHead,
  type ChainStart,
  decodeJson,
  Fault,
  ChainHead as HeadSchema,
} from '@cim/contracts';
import type { RegistryClient } from './registry/client.ts';

const PAGE = 1_000;

export interface AuditReport {
  readonly entries: number;
  readonly head: ChainHead | undefined;
  /** Changes without an outcome at the end of the log. */
  readonly open: number;
}

/** Every line of the log from a place on. */
export async function* auditLines(registry: Pick<RegistryClient, 'auditLines'>, after = 0): AsyncGenerator<string> {
  for (let at = after; ; ) {
    const lines = await registry.auditLines(at, PAGE);
    yield* lines;
    if (lines.length < PAGE) return;
    at += lines.length;
  }
}

const broken = (detail: string) => new Fault('audit-broken', `audit log: ${detail}`);

/**
 * Verifies a log as it passes (L1).
 * @param kept a head of it that was kept elsewhere: it must be in the log
 * @param from where the lines begin; absent: at the first entry of the log
 * @param each told of every entry that is good
 * @throws Fault `audit-broken` with what is wrong and where
 */
export async function verifyAuditLog(
  lines: AsyncIterable<string> | Iterable<string>,
  kept: ChainHead | undefined,
  options: { readonly from?: ChainStart; readonly each?: (entry: AuditEntry, line: string) => void | Promise<void> } = {},
): Promise<AuditReport> {
  const verifier = auditVerifier(options.from);
  let entries = 0;
  for await (const line of lines) {
    if (line === '') continue;
    entries++;
    let entry: AuditEntry;
    try {
      entry = decodeJson(AuditEntry, line, `line ${entries}`) as AuditEntry;
    } catch (cause) {
      throw new Fault('audit-broken', `audit log: tampered: ${Fault.of(cause).detail}`, { cause });
    }
    const fault = verifier.push(entry);
    if (fault) throw broken(`${fault.kind}: ${fault.detail}`);
    if (entry.sequence === kept?.sequence && entry.hash !== kept.hash)
      throw broken(`fork: entry ${entry.sequence} is ${entry.hash}; the head that was kept says ${kept.hash}`);
    await options.each?.(entry, line);
  }
  const head = verifier.head();
  if (kept !== undefined && (head?.sequence ?? 0) < kept.sequence)
    throw broken(`cut: it ends at entry ${head?.sequence ?? 0}; the head that was kept is entry ${kept.sequence}`);
  return { entries, head, open: verifier.open().length };
}

/** `12:sha256:…`, as heads are written on a command line. */
export const renderHead = ({ sequence, hash }: ChainHead): string => `${sequence}:${hash}`;

/** @throws Fault `invalid-input` */
export function parseHead(text: string): ChainHead {
  const [sequence = '', hash = ''] = text.split(/:(.*)/s);
  const head = HeadSchema.safeParse({ sequence: Number(sequence), hash });
  if (head.success && /^\d{1,15}$/.test(sequence)) return head.data;
  const message = `expected a head as alchemist audit export prints it, e.g. 12:sha256:…, found "${text}"`;
  throw new Fault('invalid-input', `--head: ${message}`, { issues: [{ path: '--head', message }] });
}
