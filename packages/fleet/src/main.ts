/**
 * The program behind `npm start`: a fleet, the examples on it, real work through calls, and then it stays.
 *
 * Promises:
 * M1. `--once` ends with 0 only when every step and every answer was as it should be; else with 1 and the reason.
 * M2. However it ends, no process of the fleet stays behind. Ctrl-C stops in order, a second Ctrl-C at once.
 * Exit codes: 0 good, 1 a step was not as it should be, 2 bad arguments, 130 stopped at once.
 */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Alchemist } from '@cim/alchemist';
import { Fault, systemClock } from '@cim/contracts';
import { deployExamples, showAnswers, shown, showPlaces, showWorkloads } from './demo/demonstration.ts';
import { duration, jsonReport, type Report, StepFailure, screenReport } from './demo/report.ts';
import { type Fleet, startFleet } from './fleet.ts';
import { writeReadyFile } from './ready-file.ts';

const USAGE = `Usage: npm start [-- OPTIONS]

Brings up a fleet of real processes on this machine (a hub, a registry, two leaves with node-agents), publishes and deploys the examples,
processes real documents and invoices through calls, and stays up until Ctrl-C.

  --once              end after the demonstration: exit code 0 when everything was as it should be, else 1 with the reason
  --keep              no demonstration: deploy the examples, then stay up
  --ready-file FILE   write addresses, token and process ids as JSON when ready
  --state DIR         directory of all state (default .cim/fleet); it survives a restart
  --nats-server PATH  the nats-server to run (default: CIM_NATS_SERVER, PATH, what npm run setup fetched)
  --json              one JSON object a line instead of text
  --help              print this

Example: npm start -- --keep --ready-file /tmp/fleet.json --state /tmp/fleet
`;

interface Options {
  readonly once: boolean;
  readonly keep: boolean;
  readonly readyFile: string | undefined;
  /** Undefined: the default one, whose profile the alchemist command finds by itself. */
  readonly state: string | undefined;
  readonly json: boolean;
}

const DEFAULT_STATE = join('.cim', 'fleet');
const WISHED_PORTS = { hub: 4222, registry: 8484, agents: [9090, 9190] };

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      once: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      'ready-file': { type: 'string' },
      state: { type: 'string' },
      'nats-server': { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  if (values.once && values.keep) throw new Error('--once and --keep: expected one of them, found both');
  if (values['nats-server'] !== undefined) process.env['CIM_NATS_SERVER'] = resolve(values['nats-server']);
  return { once: values.once, keep: values.keep, readyFile: values['ready-file'], state: values.state, json: values.json };
}

function reportFor(json: boolean): Report {
  const { stdout, env } = process;
  const write = (text: string) => void stdout.write(text);
  const colour = stdout.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  return json ? jsonReport(write) : screenReport({ write, isTty: stdout.isTTY === true, colour, width: stdout.columns ?? 110 });
}

/** Resolves at the first signal to end; the second ends at once (M2). */
function untilAsked(fleet: () => Fleet | undefined, told: () => void): { readonly asked: Promise<void>; isAsked(): boolean } {
  const { promise, resolve: ask } = Promise.withResolvers<void>();
  let count = 0;
  const heard = () => {
    if (++count === 1) {
      told();
      ask();
    } else {
      fleet()?.abandon();
      process.exit(130);
    }
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, heard);
  // Nobody reads any more (`npm start | head`): as good as a wish to end, and never a reason to leave processes behind.
  process.stdout.on('error', () => {
    if (count === 0) heard();
  });
  return { asked: promise, isAsked: () => count > 0 };
}

class Interrupted extends Error {}

async function run(options: Options, report: Report): Promise<number> {
  const begun = systemClock.monotonic();
  let fleet: Fleet | undefined;
  const ending = untilAsked(
    () => fleet,
    () => report.note('stopping; press Ctrl-C again to end at once'),
  );
  const interrupted = ending.asked.then(() => Promise.reject(new Interrupted()));
  interrupted.catch(() => {});
  const directory = resolve(options.state ?? DEFAULT_STATE);
  const profileFile = options.state === undefined ? resolve('.cim', 'profile.json') : join(directory, 'profile.json');
  let code = 0;
  let starting: string | undefined;
  try {
    report.section('A fleet on this machine', `state in ${shown(directory)}`);
    fleet = await startFleet({
      directory,
      profileFile,
      wishedPorts: WISHED_PORTS,
      revive: !options.once,
      told: (line) => report.note(line),
      onPart: (event) => {
        starting = event.kind === 'starting' ? event.part : undefined;
        if (event.kind === 'starting') report.begin(event.part);
        else report.done(event.part, event.detail, event.ms);
      },
    });
    if (ending.isAsked()) throw new Interrupted();
    if (fleet.leftovers > 0) report.note(`ended ${fleet.leftovers} processes that an earlier start had left`);
    await Promise.race([interrupted, work(options, report, fleet)]);
    report.fact('ready', {
      ms: Math.round(systemClock.monotonic() - begun),
      registryUrl: fleet.registry.url,
      natsUrl: fleet.hub.url,
    });
    if (!options.once) {
      showPlaces(report, fleet, options.state === undefined);
      const how = 'Ctrl-C stops everything; the next start finds it as it is now.';
      report.section(`Up after ${duration(systemClock.monotonic() - begun)}.`, how);
      await ending.asked;
    }
  } catch (error) {
    if (!(error instanceof Interrupted)) {
      code = 1;
      if (starting !== undefined) report.failed(starting);
      explain(report, error, fleet);
    }
  }
  const stopping = systemClock.monotonic();
  const left = (await fleet?.stop()) ?? [];
  if (left.length > 0) report.note(`ended the hard way: ${left.join(', ')}`);
  if (fleet && code === 0) {
    const what = options.once ? 'Everything was as it should be. ' : '';
    report.section(`${what}Stopped in ${duration(systemClock.monotonic() - stopping)}.`);
  }
  report.fact('end', { ok: code === 0, code });
  return options.once && ending.isAsked() ? 130 : code;
}

async function work(options: Options, report: Report, fleet: Fleet): Promise<void> {
  const alchemist = await Alchemist.connect({ profile: fleet.profileFile });
  try {
    const deployment = await deployExamples(report, alchemist);
    await showWorkloads(report, alchemist);
    if (!options.keep) await showAnswers(report, fleet, alchemist, deployment);
    const { readyFile } = options;
    if (readyFile === undefined) return;
    writeReadyFile(readyFile, fleet, process.pid);
    fleet.onChange(() => writeReadyFile(readyFile, fleet, process.pid));
    report.note(`wrote ${shown(resolve(readyFile))}`);
  } finally {
    await alchemist.close();
  }
}

/** Which step, what was expected, what was found, where to read on. */
function explain(report: Report, error: unknown, fleet: Fleet | undefined): void {
  const { paint } = report;
  const lines: string[] = [];
  const add = (what: string, text: string) => lines.push(`  ${what.padEnd(9)} ${text}`);
  if (error instanceof StepFailure) {
    lines.push(`\n${paint.red('✗')} ${paint.bold(error.step)} was not as it should be`);
    add('expected', error.expected);
    add('found', error.found);
  } else if (error instanceof Fault) {
    const [first = '', ...rest] = error.detail.split('\n');
    lines.push(`\n${paint.red('✗')} ${paint.bold(first)}`, ...rest.map((line) => `    ${line}`));
    for (const { path, message } of error.issues) lines.push(`    ${path}: ${message}`);
    // The advice of a wrong configuration speaks of fields.
    if (error.code !== 'configuration-invalid' || error.issues.length > 0) add('advice', error.row.advice);
  } else {
    lines.push(`\n${paint.red('✗')} ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  for (const [name, file] of Object.entries(fleet?.logs() ?? {}))
    add(name === 'hub' ? 'logs' : '', `${name.padEnd(12)} ${shown(file)}`);
  report.failure(lines.join('\n'));
  const known = error instanceof StepFailure ? { step: error.step, expected: error.expected, found: error.found } : {};
  report.fact('failure', {
    ...known,
    ...(error instanceof Fault ? { code: error.code, detail: error.detail } : {}),
    message: error instanceof Error ? error.message : String(error),
    logs: fleet?.logs(),
  });
}

let options: Options | undefined;
try {
  options = readOptions();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
  process.exit(2);
}
if (options === undefined) process.stdout.write(USAGE);
else process.exit(await run(options, reportFor(options.json)));
