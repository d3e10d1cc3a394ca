/**
 * Entry of the registry: arguments, the log, signals and exit codes. Everything else is in registry.ts.
 * Exit codes: 0 stopped in order, 1 could not start or fell, 2 bad arguments or configuration.
 * Standard output carries one line, when the API is up: {"ready":true,"url":…,"pid":…}. The log is JSON on standard error.
 */
import { parseArgs } from 'node:util';
import { Fault, REDACTED, systemClock } from '@cim/contracts';
import closeWithGrace from 'close-with-grace';
import pino from 'pino';
import { demandIdentity, readConfig } from './config.ts';
import { STOP_DEADLINE_MS, startRegistry } from './registry.ts';
import { version } from './version.ts';

const USAGE = `Usage: cim-registry --config FILE

Runs a registry of a CIM hub. FILE is JSON; docs/config.md lists every key.

  --config FILE   configuration
  --insecure-dev  connect to the hub without user or credentials: for a laptop only
  --check         read and check the configuration, then end
  --version       print the version
  --help          print this

Example: cim-registry --config /etc/cim/registry.json
`;

async function main(): Promise<void> {
  const values = flags();
  if (values.help) return void process.stdout.write(USAGE);
  if (values.version) return void process.stdout.write(`${version}\n`);
  if (values.config === undefined) throw new Fault('configuration-invalid', '--config: expected a file; see --help');
  const read = await readConfig(values.config);
  const settings = values['insecure-dev'] ? { ...read, nats: { ...read.nats, insecureDev: true } } : read;
  demandIdentity(settings);
  if (values.check) return void process.stdout.write(`${values.config}: good\n`);
  const log = pino(
    { level: settings.log.level, base: { part: 'registry' }, redact: [...REDACTED], timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
  const registry = await startRegistry({
    settings,
    clock: systemClock,
    random: Math.random,
    log,
    nodeVersion: process.versions.node,
  });
  closeWithGrace({ delay: STOP_DEADLINE_MS + 5_000, logger: false }, async ({ signal, err }) => {
    if (err) log.error({ error: err.stack }, 'unexpected error, stopping');
    else log.info({ signal }, 'stopping');
    await registry.stop();
  });
  process.stdout.write(`${JSON.stringify({ ready: true, url: registry.url, pid: process.pid })}\n`);
}

function flags() {
  try {
    return parseArgs({
      options: {
        config: { type: 'string' },
        check: { type: 'boolean' },
        'insecure-dev': { type: 'boolean' },
        version: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (cause) {
    throw new Fault('configuration-invalid', `${(cause as Error).message}; see --help`, { cause });
  }
}

main().catch((error: unknown) => {
  const fault = Fault.of(error, error instanceof Error ? error.message : String(error));
  process.stderr.write(`cim-registry: ${fault.detail}\n`);
  for (const { path, message } of fault.issues) process.stderr.write(`  ${path}: ${message}\n`);
  if (fault.code === 'internal' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  else process.stderr.write(`  ${fault.row.advice}\n`);
  process.exit(fault.code === 'configuration-invalid' ? 2 : 1);
});
