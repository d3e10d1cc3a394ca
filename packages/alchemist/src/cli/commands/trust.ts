/** `alchemist trust`: who may publish in this fleet, as operators sign it; adding and revoking. */
import { resolve } from 'node:path';
import type { TrustedKey, TrustRecord } from '@cim/contracts';
import type { Command } from 'commander';
import type { TrustChange } from '../../trust/document.ts';
import { duration, jsonObject } from '../flags.ts';
import { type CommonFlags, commonFlags, type Ending, perform, type Session, type Stage, verb } from '../session.ts';

interface ChangeFlags extends CommonFlags {
  readonly reason?: string;
  readonly expires?: string;
  readonly refreshWithin?: string;
  readonly out?: string;
}

export function register(program: Command, stage: Stage): void {
  const trust = program
    .command('trust')
    .summary('who may publish: show, add, revoke')
    .description(
      'The trust document of the fleet: publishers beside those in configuration, and keys and bundles that are revoked. Operators sign it, nodes obey it.',
    )
    .helpOption('-h, --help', 'show this')
    .helpCommand(false);

  const show = verb(trust, 'show', {
    summary: 'print the trust document of the registry, or of a file',
    examples: ['trust show', 'trust show ./trust-7.json'],
  }).argument('[file]', 'a document on its way between operators');
  commonFlags(show).action((file: string | undefined, flags: CommonFlags) =>
    perform(stage, flags, (session) => print(session, file)),
  );

  change(trust, stage, 'revoke <key|digest|name@version>', {
    summary: 'revoke a key or a bundle, for ever',
    description: `Revokes a key (of a publisher or an operator) or a bundle. Nodes stop at once what it signed, or that bundle, and start it no
more, with or without the hub. A revocation cannot be taken back.`,
    examples: [
      'trust revoke AB… --reason "laptop stolen"',
      'trust revoke hello@1.0.0 --reason "leaks tokens" --out trust-7.json',
    ],
  }).action((what: string, flags: ChangeFlags) =>
    perform(stage, flags, async (session) => alter(session, await revocation(session, what), flags)),
  );

  change(trust, stage, 'add <key>', {
    summary: 'trust a publisher on every node',
    examples: [
      'trust add AB… --name acme',
      'trust add AB… --name acme --valid-until 2027-01-01T00:00:00Z --scopes \'{"names":["invoice-*"]}\'',
    ],
  })
    .requiredOption('-n, --name <name>', 'whose key it is')
    .option('--valid-from <time>', 'from when it may sign, ISO')
    .option('--valid-until <time>', 'until when it may sign, ISO')
    .option('--scopes <json>', 'what it may sign; docs/config.md, trust.publishers', jsonObject)
    .action((key: string, flags: ChangeFlags & { name: string; validFrom?: string; validUntil?: string; scopes?: object }) =>
      perform(stage, flags, async (session) => {
        const { decode, TrustedKey: Schema } = await import('@cim/contracts');
        const { name, validFrom, validUntil, scopes } = flags;
        const given = Object.fromEntries(
          Object.entries({ validFrom, validUntil, scopes }).filter(([, value]) => value !== undefined),
        );
        const publisher: TrustedKey = decode(Schema, { name, key, ...given }, 'publisher');
        return alter(session, { kind: 'add', publisher }, flags);
      }),
    );

  change(trust, stage, 'remove <key|name>', {
    summary: 'no longer trust a publisher that was added',
    examples: ['trust remove acme'],
  }).action((key: string, flags: ChangeFlags) =>
    perform(stage, flags, (session) => alter(session, { kind: 'remove', key }, flags)),
  );

  change(trust, stage, 'renew', {
    summary: 'the same document again, newly signed, e.g. after operators changed',
    examples: ['trust renew --expires 2027-01-01T00:00:00Z', 'trust renew --refresh-within 30d'],
  }).action((flags: ChangeFlags) => perform(stage, flags, (session) => alter(session, { kind: 'renew' }, flags)));

  change(trust, stage, 'restart-log <hash>', {
    summary: 'let the transparency log begin anew, with the first entry that has this hash',
    examples: ['trust restart-log sha256:… --reason "the hub was lost"'],
  }).action((hash: string, flags: ChangeFlags) =>
    perform(stage, flags, (session) => alter(session, { kind: 'log-start', hash }, flags)),
  );

  for (const [name, summary] of [
    ['sign', 'add your signature to a document on its way (also: alchemist sign)'],
    ['publish', 'give a document that is signed enough to the registry (also: alchemist submit)'],
  ] as const) {
    const command = verb(trust, `${name} <file>`, { summary, examples: [`trust ${name} trust-7.json`] });
    if (name === 'sign') command.option('--operator-seed <file...>', 'keys to sign with, instead of those of the profile');
    commonFlags(command).action((file: string, flags: CommonFlags) =>
      perform(stage, flags, async (session) => {
        const { signFile, submitFile } = await import('./sign.ts');
        return name === 'sign' ? signFile(session, file) : submitFile(session, file, { wait: false });
      }),
    );
  }
}

function change(trust: Command, stage: Stage, usage: string, text: Parameters<typeof verb>[2]): Command {
  void stage;
  return commonFlags(
    verb(trust, usage, text)
      .option('--reason <text>', 'why, for those who read it later')
      .option('--expires <time>', 'when what this document adds may sign nothing new any more, ISO')
      .option(
        '--refresh-within <time>',
        'promise a newer document within this time, e.g. 30d: nodes that have none say so; 0s: no more',
        duration,
      )
      .option('--out <file>', 'write the document for other operators to sign, instead of publishing it')
      .option('--operator-seed <file...>', 'keys to sign with, instead of those of the profile'),
  );
}

async function print({ io, render, alchemist }: Session, file: string | undefined): Promise<Ending> {
  const [{ linesOf, readPaper }, { Fault }] = await Promise.all([import('../../trust/papers.ts'), import('@cim/contracts')]);
  if (file !== undefined) {
    const paper = await readPaper(resolve(io.cwd, file));
    render.answer(paper, () => linesOf(paper).join('\n'));
    return undefined;
  }
  const record: TrustRecord | undefined = await (await alchemist()).trust.show();
  if (!record) throw new Fault('not-found', 'the registry has no trust document: only configuration counts');
  render.answer(record, () => linesOf({ kind: 'trust', record }).join('\n'));
  return undefined;
}

/** A key, a digest, or a version whose digest is looked up. */
async function revocation({ alchemist }: Session, what: string): Promise<TrustChange> {
  if (/^[AO][A-Z2-7]{55}$/.test(what)) return { kind: 'revoke-key', key: what };
  if (what.startsWith('sha256:')) return { kind: 'revoke-bundle', digest: what };
  const at = what.indexOf('@', 1);
  const { Fault } = await import('@cim/contracts');
  if (at < 0)
    throw new Fault(
      'invalid-input',
      `expected a public key ("A…", "O…"), a digest ("sha256:…") or <name>@<version>, found "${what}"`,
    );
  const { digest } = await (await alchemist()).registry.resolve(what.slice(0, at), what.slice(at + 1));
  return { kind: 'revoke-bundle', digest };
}

async function alter(session: Session, wish: TrustChange, flags: ChangeFlags): Promise<Ending> {
  const { io, render, alchemist } = session;
  const [{ linesOf, writePaper }, { Duration }, { Fault }] = await Promise.all([
    import('../../trust/papers.ts'),
    import('../../duration.ts'),
    import('@cim/contracts'),
  ]);
  const door = (await alchemist()).trust;
  const refreshWithinMs =
    flags.refreshWithin === undefined ? undefined : Duration.from(flags.refreshWithin, '--refresh-within').milliseconds;
  const paper = await door.draft(wish, { reason: flags.reason, expires: flags.expires, refreshWithinMs });
  const { sequence } = paper.record.document;
  if (flags.out !== undefined) {
    const file = resolve(io.cwd, flags.out);
    await writePaper(file, paper);
    render.answer({ file, ...paper }, () =>
      [
        ...linesOf(paper),
        `written   ${file}`,
        `next      another operator: alchemist sign ${flags.out}; then alchemist submit ${flags.out}`,
      ].join('\n'),
    );
    return undefined;
  }
  try {
    await door.publish(paper.record);
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'threshold-unmet') throw error;
    throw new Fault(
      error.code,
      `${error.detail}; write it to a file with --out, have another operator sign it, then submit it`,
      { cause: error },
    );
  }
  render.answer(paper.record, () => [...linesOf(paper), render.paint(`published document ${sequence}`, 'good')].join('\n'));
  return undefined;
}
