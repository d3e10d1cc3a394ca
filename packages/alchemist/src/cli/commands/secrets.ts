/** `alchemist secrets`: seals a workload's secrets to its node, lists and removes them. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { DeployResult } from '../../deploy/deploy.ts';
import { drafting, draftText } from '../drafts.ts';
import { duration, instanceId } from '../flags.ts';
import { type CommonFlags, commonFlags, perform, type Session, type Stage, verb } from '../session.ts';

interface Flags extends CommonFlags {
  readonly instance: string;
  readonly kind?: 'agent' | 'service';
  readonly reason?: string;
  readonly file?: string;
  readonly key?: string;
  readonly wait: boolean;
  readonly timeout?: string;
  readonly out?: string;
}

export function register(program: Command, stage: Stage): void {
  const secrets = program
    .command('secrets')
    .summary('seal secrets to the node that runs a workload')
    .description("Seals a workload's secrets to the key of its node: the hub keeps boxes that only that node opens.")
    .helpOption('-h, --help', 'show this')
    .helpCommand(false);

  const set = where(
    verb(secrets, 'set <workload> <name>', {
      summary: 'seal a secret and deploy it',
      description: `Reads a value from standard input or --file (one newline at its end is dropped), seals it to the key of the node and deploys
it. The workload reads it with ctx.secrets when its definition grants the name; a new value counts from the next read on, without a
restart. The key of a node is remembered when it is first seen; a changed one is refused. Where several operators have to sign, --out writes
the document with the sealed box to a file: the value is not in it.`,
      examples: [
        'secrets set mailer smtp-password -i cim-a < password.txt',
        'secrets set mailer tls-key -i cim-a --file key.pem',
        'secrets set mailer smtp-password -i cim-a --out secret.json < password.txt',
      ],
    })
      .option('--file <file>', 'read the value from a file')
      .option('--key <key>', 'sealing key of the node, as read on the machine itself: cim-node-agent --identity --config FILE'),
  );
  write(set).action((name: string, secret: string, flags: Flags) =>
    perform(stage, flags, async (session) => {
      const value = await readValue(session, flags.file);
      const result = await (await session.alchemist()).secrets.set(
        targetOf(name, flags),
        { [secret]: value },
        { ...(await courseOf(session, flags)), key: flags.key },
      );
      const { firstSeen } = result;
      session.render.answer(result, () =>
        [
          ...(firstSeen === undefined
            ? []
            : [
                `${session.render.paint('new', 'warn')}    ${flags.instance} was not known before; its key is taken to be ${firstSeen}`,
              ]),
          done(session, 'sealed', secret, result, flags),
        ].join('\n'),
      );
      return undefined;
    }),
  );

  const remove = where(
    verb(secrets, 'remove <workload> <name...>', {
      summary: 'take sealed secrets away',
      examples: ['secrets remove mailer smtp-password -i cim-a'],
    }),
  );
  write(remove).action((name: string, names: string[], flags: Flags) =>
    perform(stage, flags, async (session) => {
      const result = await (await session.alchemist()).secrets.remove(
        targetOf(name, flags),
        names,
        await courseOf(session, flags),
      );
      session.render.answer(result, () => done(session, 'removed', names.join(', '), result, flags));
      return undefined;
    }),
  );

  const list = where(
    verb(secrets, 'list <workload>', {
      summary: 'names of what is sealed, and to which key',
      examples: ['secrets list mailer -i cim-a'],
    }),
  );
  commonFlags(list).action((name: string, flags: Flags) =>
    perform(stage, flags, async ({ render, alchemist }) => {
      const found = await (await alchemist()).secrets.list(targetOf(name, flags));
      render.answer({ secrets: found }, () =>
        found.length === 0 ? 'nothing is sealed' : found.map(({ secret, to }) => `${secret}  ${to}`).join('\n'),
      );
      return undefined;
    }),
  );
}

const where = (command: Command): Command =>
  command
    .requiredOption('-i, --instance <id>', 'where the workload runs', instanceId)
    .addOption(new Option('--kind <kind>', 'where an agent and a service share the name').choices(['agent', 'service']));

const write = (command: Command): Command =>
  commonFlags(
    command
      .option('--reason <text>', 'why, for those who read the events later')
      .option('--wait', 'wait until the node has it (default)', true)
      .option('--no-wait', 'do not wait for the node')
      .option('--timeout <time>', 'longest wait (default: 60s)', duration)
      .option('--operator-seed <file...>', 'keys to sign with, instead of those of the profile')
      .option('--out <file>', 'write the signed document for other operators to sign, instead of deploying it'),
  );

const targetOf = (name: string, { instance, kind, reason }: Flags) => ({ instance, name, kind, reason });

async function courseOf(session: Session, { wait, timeout, out }: Flags) {
  const draft = await drafting(session, out);
  return {
    wait,
    signal: session.io.signal,
    onStep: session.render.step,
    ...(draft === undefined ? {} : { draft }),
    ...(timeout === undefined ? {} : { timeout }),
  };
}

async function readValue({ io }: Session, file: string | undefined): Promise<string> {
  const text = await (file === undefined ? io.stdin() : readFile(resolve(io.cwd, file), 'utf8')).catch(async (cause) => {
    const { Fault } = await import('@cim/contracts');
    throw new Fault('invalid-input', `--file: cannot read ${file}: ${(cause as Error).message}`, { cause });
  });
  return text.replace(/\r?\n$/, '');
}

function done({ render }: Session, word: string, what: string, { name, instance }: DeployResult, { wait, out }: Flags): string {
  if (out !== undefined) return draftText(out);
  return wait
    ? `${render.paint(word, 'good')} ${what} of ${name} on ${instance}`
    : `${render.paint('stored', 'good')} ${what} of ${name}; ${instance} has yet to take it`;
}
