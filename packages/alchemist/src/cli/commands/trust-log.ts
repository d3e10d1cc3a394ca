/** `alchemist audit transparency`: walks the transparency log as an auditor. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { ChainHead } from '@cim/contracts';
import type { Command } from 'commander';
import { exits } from '../exit.ts';
import { commonFlags, type Ending, perform, type Session, type Stage, verb } from '../session.ts';
import { checkLines, type RootFlags, rootFlags, rootsOf } from './trust-flags.ts';

interface LogFlags extends RootFlags {
  readonly head?: string;
  readonly save: boolean;
}

export function registerTransparency(audit: Command, stage: Stage): void {
  const command = rootFlags(
    verb(audit, 'transparency', {
      summary: 'walk the whole transparency log: was anything published behind your back?',
      description: `Reads every entry of the transparency log and checks hashes, signatures, order, the head saved last time, the heads nodes vouch
for, and that everything published is in it. Exits 3 when anything is not as it should be.`,
      examples: ['audit transparency --log-key AB…', 'audit transparency --head ./head.json'],
    }),
  )
    .option('--head <file>', 'where the head of last time lies (default: in the configuration directory)')
    .option('--no-save', 'do not keep the head for next time');
  commonFlags(command).action((flags: LogFlags) => perform(stage, flags, (session) => auditTransparency(session, flags)));
}

/** Walks the log, compares with the head kept from last time, and keeps the new one when all is well. */
async function auditTransparency(session: Session, flags: LogFlags): Promise<Ending> {
  const { io, render, around } = session;
  const [{ Fault }, { configDirectory }] = await Promise.all([import('@cim/contracts'), import('../../profile.ts')]);
  const cim = await session.alchemist();
  const roots = await rootsOf(session, flags);
  let logs = roots.logs;
  const unpinned = logs.length === 0;
  if (unpinned) {
    const { key } = await cim.registry.logHead();
    if (key === null) throw new Fault('not-found', 'this registry keeps no transparency log (transparency.seedFile)');
    const { decode, PublicKey } = await import('@cim/contracts');
    logs = [{ name: 'as the registry says', key: decode(PublicKey, key, 'key') }];
  }
  const file = flags.head === undefined ? headFile(configDirectory(around), cim.registry.url) : resolve(io.cwd, flags.head);
  const saved = await readHead(file);
  const { checks, head } = await cim.trust.audit(logs, saved);
  const results = [
    unpinned
      ? {
          check: 'log key',
          result: 'not-applicable' as const,
          evidence: `${logs[0]!.key}, as the registry itself says: pin it with --log-key or trust.logs of the profile`,
        }
      : { check: 'log key', result: 'ok' as const, evidence: logs.map(({ name, key }) => `${name} (${key})`).join(', ') },
    ...(saved === undefined
      ? [{ check: 'head', result: 'not-applicable' as const, evidence: `none was saved before at ${file}` }]
      : []),
    ...checks,
  ];
  const ok = results.every(({ result }) => result !== 'failed');
  if (ok && head && flags.save) await writeHead(file, head);
  render.answer({ ok, head: head ?? null, file, results }, () =>
    [
      ...checkLines(session, results),
      ok
        ? render.paint('the log is whole', 'good')
        : render.paint('the log is not what it should be: treat the hub as compromised until it is explained', 'bad'),
    ].join('\n'),
  );
  return ok ? exits.ok : exits.refused;
}

/** One file per registry: heads of two hubs have nothing to do with each other. */
const headFile = (directory: string, url: string) =>
  join(directory, 'log-heads', `${url.replace(/[^A-Za-z0-9.-]+/g, '_')}.json`);

async function readHead(file: string): Promise<ChainHead | undefined> {
  const { ChainHead, decodeJson } = await import('@cim/contracts');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : decodeJson(ChainHead, text, file);
}

async function writeHead(file: string, head: ChainHead): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(head)}\n`);
}
