/**
 * The command line as a whole: verbs, help, and what happens when the line itself is wrong.
 *
 * Promises:
 * L1. A wrong line exits 2 and names the flag or argument, what was found and what was expected; an unknown verb names the nearest.
 * L2. Nothing but this, the verbs and commander is loaded for `--help`.
 */
import { Command, CommanderError } from 'commander';
import { register as audit } from './commands/audit.ts';
import { register as bundle } from './commands/bundle.ts';
import { register as call } from './commands/call.ts';
import { register as catalog } from './commands/catalog.ts';
import { register as channel } from './commands/channel.ts';
import { register as completion } from './commands/completion.ts';
import { register as creds } from './commands/creds.ts';
import { register as debug } from './commands/debug.ts';
import { register as deploy } from './commands/deploy.ts';
import { register as doctor } from './commands/doctor.ts';
import { register as events } from './commands/events.ts';
import { register as hub } from './commands/hub.ts';
import { register as init } from './commands/init.ts';
import { register as instance } from './commands/instance.ts';
import { register as keys } from './commands/keys.ts';
import { register as logs } from './commands/logs.ts';
import { register as nodes } from './commands/nodes.ts';
import { register as publish } from './commands/publish.ts';
import { register as secrets } from './commands/secrets.ts';
import { registerSign as sign, registerSubmit as submit } from './commands/sign.ts';
import { register as status } from './commands/status.ts';
import { register as token } from './commands/token.ts';
import { register as trust } from './commands/trust.ts';
import { register as undeploy } from './commands/undeploy.ts';
import { register as verify } from './commands/verify.ts';
import { register as version } from './commands/version.ts';
import { register as workloads } from './commands/workloads.ts';
import { EXIT_HELP, exits } from './exit.ts';
import type { Io } from './io.ts';
import { createRender } from './render.ts';
import type { Stage } from './session.ts';
import { packageVersion } from './version.ts';

const groups: readonly (readonly [title: string, verbs: readonly ((program: Command, stage: Stage) => void)[]])[] = [
  ['Write and publish:', [init, keys, bundle, publish, verify]],
  ['Run:', [deploy, undeploy, sign, submit, secrets, call, catalog, channel]],
  ['Set up:', [hub, instance, creds, token, trust]],
  ['Watch:', [status, nodes, workloads, logs, events, audit, doctor, debug]],
  ['More:', [completion, version]],
];

/** Runs one command line. @returns the exit code */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const stage: Stage = { io, exit: exits.ok };
  const render = createRender(io, argv.includes('--json'));
  const program = new Command('alchemist')
    .description('Write, publish, deploy, call and watch agents and services of a CIM fleet.')
    .usage('<verb> [arguments] [flags]')
    .version(packageVersion(), '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this')
    .helpCommand('help [verb]', 'show the help of a verb')
    .enablePositionalOptions()
    .addHelpText(
      'after',
      `
Example:
  $ alchemist init my-agent && cd my-agent
  $ alchemist deploy . --instance cim-a
  $ alchemist call my-agent.hello @sample/input.json

Where things are: flags, then CIM_REGISTRY_URL, CIM_TOKEN, CIM_NATS_URL and their like, then .cim/profile.json.
${EXIT_HELP}`,
    );
  // A verb inherits what stands here when it is added.
  program.exitOverride();
  program.configureOutput({
    writeOut: render.raw,
    writeErr: () => {},
    getOutHelpWidth: () => Math.min(io.columns, 120),
    getErrHelpWidth: () => Math.min(io.columns, 120),
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
  for (const [title, verbs] of groups) {
    program.commandsGroup(title);
    for (const register of verbs) register(program, stage);
  }
  if (argv.length === 0) {
    render.raw(program.helpInformation());
    return exits.usage;
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return stage.exit;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return exits.ok;
    await usage(render, error, argv);
    return exits.usage;
  }
}

/** Says what is wrong with the line, as a fault like any other. */
async function usage(render: ReturnType<typeof createRender>, error: CommanderError, argv: readonly string[]): Promise<void> {
  const { Fault } = await import('@cim/contracts');
  const said = error.message
    .replace(/^error: /, '')
    .replaceAll('\n', ' ')
    .trim();
  const words = argv.filter((word) => !word.startsWith('-'));
  const verb = ['keys', 'secrets', 'hub', 'instance', 'creds', 'token', 'audit', 'trust'].includes(words[0] ?? '')
    ? words.slice(0, 2).join(' ')
    : words[0];
  const about = said === '' || said === '(outputHelp)' ? 'expected a verb after it' : said;
  const path =
    /--[a-z-]+/.exec(about)?.[0] ?? /argument(?: for)? '([^']+)'|(?:command|argument) '([^']+)'/.exec(about)?.[1] ?? 'verb';
  const hint =
    error.code === 'commander.unknownCommand' || verb === undefined ? 'alchemist --help' : `alchemist ${verb} --help`;
  render.fault(new Fault('invalid-input', `${about}; see ${hint}`, { issues: [{ path, message: about }] }));
}
