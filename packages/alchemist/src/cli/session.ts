/**
 * What every verb gets: the flags all verbs share, the renderer, and the SDK, loaded when a verb first asks for it so that `--help`
 * costs nothing.
 */
import type { Command } from 'commander';
import type { Alchemist } from '../alchemist.ts';
import type { ConnectOptions } from '../profile.ts';
import type { Surroundings } from '../surroundings.ts';
import { EXIT_HELP, exitOf, exits } from './exit.ts';
import type { Io } from './io.ts';
import { createRender, type Render } from './render.ts';

/** Flags of every verb. */
export interface CommonFlags {
  readonly json?: boolean;
  readonly profile?: string;
  readonly registry?: string;
  readonly tokenFile?: string;
  readonly nats?: string;
  /** Keys to sign with; a flag of the verbs that sign as an operator. */
  readonly operatorSeed?: readonly string[];
  /** Of verbs that change something. */
  readonly reason?: string;
}

export interface Session {
  readonly io: Io;
  readonly render: Render;
  readonly around: Surroundings;
  /** The SDK under this verb's flags. Closed by itself when the verb ends. */
  alchemist(): Promise<Alchemist>;
  /** Waits for what goes on until Ctrl-C; from here on Ctrl-C is the ordinary end and exits 0. */
  follow(ended: Promise<unknown>): Promise<void>;
}

/** How a verb ended: an exit code, or nothing for 0. */
export type Ending = number | undefined;

/** Where the one verb that runs leaves its exit code. */
export interface Stage {
  readonly io: Io;
  exit: number;
}

export interface VerbText {
  readonly summary: string;
  /** What `--help` says above the flags. */
  readonly description?: string;
  /** Command lines that work, without the leading `alchemist`. */
  readonly examples: readonly string[];
}

/** A verb with the flags all verbs share, its examples and the exit codes in its help. */
export function verb(program: Command, usage: string, { summary, description, examples }: VerbText): Command {
  return program
    .command(usage)
    .summary(summary)
    .description((description ?? summary).replaceAll('\n', ' '))
    .helpOption('-h, --help', 'show this')
    .addHelpText(
      'after',
      `\nExample${examples.length > 1 ? 's' : ''}:\n${examples.map((line) => `  $ alchemist ${line}`).join('\n')}\n\n${EXIT_HELP}`,
    );
}

/** The flag of verbs that change something at the registry. */
export const withReason = (command: Command): Command => command.option('--reason <text>', 'why: kept in the audit log');

/** Adds the flags all verbs share; after a verb's own, so that help lists those first. */
export function commonFlags(command: Command): Command {
  return command
    .optionsGroup('Options of every verb:')
    .option('--json', 'answer in JSON; a fault is a problem document')
    .option('--profile <file>', 'profile file instead of .cim/profile.json')
    .option('--registry <url>', 'registry instead of the one in the profile')
    .option('--token-file <file>', 'file with the token of the registry (or CIM_TOKEN)')
    .option('--nats <url>', 'NATS server instead of the one in the profile');
}

/** Runs a verb: faults become output and exit codes here and nowhere else. */
export async function perform(stage: Stage, flags: CommonFlags, work: (session: Session) => Promise<Ending>): Promise<void> {
  const { io } = stage;
  const render = createRender(io, flags.json === true);
  const interrupted = new Promise<'interrupted'>((resolve) => {
    if (io.signal.aborted) resolve('interrupted');
    io.signal.addEventListener('abort', () => resolve('interrupted'), { once: true });
  });
  let atInterrupt: number = exits.interrupted;
  let opened: Promise<Alchemist> | undefined;
  try {
    const around = await io.around();
    const session: Session = {
      io,
      render,
      around,
      alchemist() {
        opened ??= import('../alchemist.ts').then(({ Alchemist }) => Alchemist.connect(connectOptions(flags), around));
        return opened;
      },
      async follow(ended) {
        atInterrupt = exits.ok;
        await Promise.race([ended, interrupted]);
      },
    };
    const ended = await Promise.race([work(session), interrupted]);
    stage.exit = ended === 'interrupted' ? atInterrupt : (ended ?? exits.ok);
  } catch (error) {
    if (io.signal.aborted) stage.exit = atInterrupt;
    else {
      const { Fault } = await import('@cim/contracts');
      const fault = Fault.of(error, `${(error as Error)?.stack ?? error}`);
      render.fault(fault);
      stage.exit = exitOf(fault.code);
    }
  } finally {
    await opened?.then((alchemist) => alchemist.close()).catch(() => {});
  }
}

function connectOptions({ profile, registry, tokenFile, nats, reason, operatorSeed }: CommonFlags): ConnectOptions {
  return {
    ...(operatorSeed === undefined ? {} : { operatorSeedFile: operatorSeed }),
    ...(reason === undefined ? {} : { reason }),
    ...(profile === undefined ? {} : { profile }),
    ...(registry === undefined && tokenFile === undefined
      ? {}
      : { registry: { ...(registry === undefined ? {} : { url: registry }), tokenFile } }),
    ...(nats === undefined ? {} : { nats: { url: nats } }),
  };
}
