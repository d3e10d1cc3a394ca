/** `alchemist audit`: who changed what, and whether the log of it is whole. */
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { AuditEntry, AuditIntent, ChainHead } from '@cim/contracts';
import type { Command } from 'commander';
import { wholeNumber } from '../flags.ts';
import { type Cell, cell, type Render } from '../render.ts';
import { type CommonFlags, commonFlags, perform, type Session, type Stage, verb } from '../session.ts';
import { registerTransparency } from './trust-log.ts';

export function register(program: Command, stage: Stage): void {
  const audit = program
    .command('audit')
    .summary('who changed what, and whether the log of it is whole')
    .description('Shows, exports and verifies the audit log of the registry. Reading it needs a token with the role admin.')
    .helpOption('-h, --help', 'show this')
    .helpCommand(false);

  registerTransparency(audit, stage);

  const list = verb(audit, 'list', {
    summary: 'show the newest changes',
    examples: ['audit list', 'audit list --limit 100 --json'],
  }).option('-n, --limit <n>', 'entries to look back', wholeNumber(1, 1_000), 50);
  commonFlags(list).action((flags: CommonFlags & { limit: number }) =>
    perform(stage, flags, (session) => show(session, flags.limit)),
  );

  const save = verb(audit, 'export [file]', {
    summary: 'write the whole log, verified on its way, one JSON document a line',
    description: `Writes the whole log to a file or to standard output, one JSON document a line, and verifies it on its way. The head it
ends at is said on standard error: keep it somewhere else, and "audit verify --head" will notice a log that was cut or rewritten.`,
    examples: ['audit export ./audit-2026.ndjson', 'audit export > audit.ndjson'],
  });
  commonFlags(save).action((file: string | undefined, flags: CommonFlags) =>
    perform(stage, flags, (session) => exportLog(session, file)),
  );

  const check = verb(audit, 'verify [file]', {
    summary: 'find out whether the log is whole',
    description: `Verifies an exported file, or without one the log of the registry: nothing missing, moved, repeated or changed. The head
of a registry's log is remembered, so that the next run notices when the log was cut or rewritten in between.`,
    examples: ['audit verify', 'audit verify ./audit-2026.ndjson --head 812:sha256:…'],
  }).option('--head <head>', 'a head that must be in it');
  commonFlags(check).action((file: string | undefined, flags: CommonFlags & { head?: string }) =>
    perform(stage, flags, async (session) => {
      if (file === undefined) await verifyOnline(session, flags.head);
      else await verifyFile(session, file, flags.head);
      return undefined;
    }),
  );
}

async function show({ render, alchemist }: Session, limit: number): Promise<undefined> {
  const { registry } = await alchemist();
  const { AuditEntry: Entry, decodeJson } = await import('@cim/contracts');
  const { head } = await registry.auditHead();
  const lines = await registry.auditLines(Math.max(0, (head?.sequence ?? 0) - limit), limit);
  const entries = lines.map((line) => decodeJson(Entry, line, 'entry') as AuditEntry);
  const text = render.json ? '' : await table(render, entries);
  render.answer({ entries, head }, () => text);
  return undefined;
}

async function table(render: Render, entries: readonly AuditEntry[]): Promise<string> {
  const ends = new Map(entries.flatMap(({ body }) => (body.phase === 'outcome' ? [[body.id, body.outcome] as const] : [])));
  const rows = entries.flatMap(({ sequence, body }) =>
    body.phase === 'intent' ? [[`${sequence}`, ...rowOf(body, ends.get(body.id) ?? 'open')]] : [],
  );
  if (rows.length === 0) return 'nothing was changed yet';
  return render.table(['entry', 'when', 'who', 'what', 'where', 'outcome', 'why'], rows);
}

function rowOf({ at, by, action, key, subject, reason }: AuditIntent, outcome: string): (string | Cell)[] {
  const paint = outcome.endsWith('applied') && outcome !== 'recovered-not-applied' ? 'good' : 'warn';
  return [at.slice(0, 19).replace('T', ' '), by.name, action, key || subject, cell(outcome, paint), reason ?? ''];
}

async function exportLog({ render, alchemist, io }: Session, file: string | undefined): Promise<undefined> {
  const { registry } = await alchemist();
  const { auditLines, renderHead, verifyAuditLog } = await import('../../audit-log.ts');
  const out = file === undefined ? undefined : await open(resolve(io.cwd, file), 'wx', 0o600);
  try {
    const {
      entries,
      head,
      open: left,
    } = await verifyAuditLog(auditLines(registry), undefined, {
      each: async (_, line) => {
        if (out) await out.appendFile(`${line}\n`);
        else render.raw(`${line}\n`);
      },
    });
    await out?.sync();
    const ends = head === undefined ? 'nothing was changed yet' : `head ${renderHead(head)}`;
    if (out) render.answer({ file, entries, head: head ?? null, open: left }, () => `${entries} entries, whole; ${ends}`);
    else render.note(`${entries} entries, whole; ${ends}`);
  } finally {
    await out?.close();
  }
  return undefined;
}

async function verifyFile({ render, io }: Session, file: string, wanted: string | undefined): Promise<void> {
  const { parseHead, renderHead, verifyAuditLog } = await import('../../audit-log.ts');
  const lines = createInterface({ input: createReadStream(resolve(io.cwd, file)), crlfDelay: Number.POSITIVE_INFINITY });
  const report = await verifyAuditLog(lines, wanted === undefined ? undefined : parseHead(wanted));
  const { entries, head, open: left } = report;
  render.answer({ file, entries, head: head ?? null, open: left }, () =>
    [
      `${render.paint('whole', 'good')} ${entries} entries${head === undefined ? '' : `, head ${renderHead(head)}`}`,
      ...(wanted === undefined ? ['without --head nobody can say whether entries were cut off at its end'] : []),
    ].join('\n'),
  );
}

async function verifyOnline({ render, alchemist, around }: Session, wanted: string | undefined): Promise<void> {
  const [{ auditLines, parseHead, renderHead, verifyAuditLog }, { configDirectory }, { ChainHead: HeadSchema, Fault }] =
    await Promise.all([import('../../audit-log.ts'), import('../../profile.ts'), import('@cim/contracts')]);
  const { registry } = await alchemist();
  const book = join(configDirectory(around), 'audit-heads.json');
  const known = await headsIn(book);
  const kept = wanted === undefined ? HeadSchema.safeParse(known[registry.url]).data : parseHead(wanted);
  const { entries, head, open: left } = await verifyAuditLog(auditLines(registry), kept);
  if (head !== undefined) {
    const told = await registry.auditHead();
    if ((told.head?.sequence ?? 0) < head.sequence)
      throw new Fault('audit-broken', `audit log: cut: it held entry ${head.sequence} a moment ago`);
    await keep(book, { ...known, [registry.url]: head });
  }
  render.answer({ entries, head: head ?? null, open: left, since: kept ?? null }, () =>
    [
      `${render.paint('whole', 'good')} ${entries} entries${head === undefined ? '' : `, head ${renderHead(head)}`}`,
      kept === undefined ? 'the head is remembered from now on' : `it holds the head that was kept, entry ${kept.sequence}`,
      ...(left > 0 ? [`${left} changes have no outcome yet`] : []),
    ].join('\n'),
  );
}

/** Heads by registry; what cannot be read is as if it were not there. */
async function headsIn(book: string): Promise<Record<string, ChainHead>> {
  try {
    const value: unknown = JSON.parse(await readFile(book, 'utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, ChainHead>) : {};
  } catch {
    return {};
  }
}

async function keep(book: string, heads: Record<string, ChainHead>): Promise<void> {
  await mkdir(dirname(book), { recursive: true, mode: 0o700 });
  await writeFile(`${book}.new`, `${JSON.stringify(heads, null, 2)}\n`, { mode: 0o600 });
  await rename(`${book}.new`, book);
}
