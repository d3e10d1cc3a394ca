/**
 * Entry of the node-agent: arguments, the log, signals and exit codes. Everything else is in node.ts.
 * Exit codes: 0 stopped in order, 1 could not start or fell, 2 bad arguments or configuration.
 */
import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Fault, REDACTED, systemClock } from '@cim/contracts';
import closeWithGrace from 'close-with-grace';
import pino from 'pino';
import { readConfig } from './config.ts';
import { enrolCommand } from './enrol/command.ts';
import { demandIdentity } from './enrol/identity.ts';
import { loadSealingKey } from './host/sealing-key.ts';
import { startNode } from './node.ts';

const USAGE = `Usage: cim-node-agent --config FILE

Runs the node-agent of one CIM instance. FILE is JSON; docs/config.md lists every key.
cim-node-agent enrol --help gives a machine its identity.

  --config FILE   configuration
  --insecure-dev  connect to the nats-server without user or credentials: for a laptop only
  --check         read and check the configuration, then end
  --identity      print the instance and the key its secrets are sealed to, then end
  --version       print the version
  --help          print this

Example: cim-node-agent --config /etc/cim/config.json
`;

async function main(): Promise<void> {
  if (process.argv[2] === 'enrol') return void process.stdout.write(await enrolCommand(process.argv.slice(3), systemClock.now));
  const { values } = parseArgs({
    options: {
      config: { type: 'string' },
      check: { type: 'boolean' },
      'insecure-dev': { type: 'boolean' },
      identity: { type: 'boolean' },
      version: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) return void process.stdout.write(USAGE);
  if (values.version) return void process.stdout.write(`${(await import('./version.ts')).version}\n`);
  if (values.config === undefined) throw new Fault('configuration-invalid', '--config: expected a file; see --help');
  const read = await readConfig(values.config);
  const config = values['insecure-dev'] ? { ...read, nats: { ...read.nats, insecureDev: true } } : read;
  demandIdentity(config);
  if (values.check) return void process.stdout.write(`${values.config}: good\n`);
  if (values.identity) {
    await mkdir(config.stateDirectory, { recursive: true, mode: 0o700 });
    const { publicKey } = await loadSealingKey(config.stateDirectory);
    return void process.stdout.write(`${JSON.stringify({ instance: config.instance.id, sealingKey: publicKey })}\n`);
  }
  const log = pino(
    {
      level: config.log.level,
      base: { instance: config.instance.id },
      redact: [...REDACTED],
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    pino.destination({ fd: 2, sync: true }),
  );
  const node = await startNode({
    config,
    clock: systemClock,
    random: Math.random,
    log,
    environment: process.env,
    nodeVersion: process.versions.node,
  });
  process.stdout.write(`${JSON.stringify({ ready: true, url: node.url, pid: process.pid, instance: config.instance.id })}\n`);
  closeWithGrace({ delay: node.stopDeadlineMs + 2_000 }, async ({ signal, err }) => {
    if (err) log.error({ error: err.stack }, 'unexpected error, stopping');
    else log.info({ signal }, 'stopping');
    await node.stop();
  });
}

main().catch((error: unknown) => {
  const fault = Fault.of(error, error instanceof Error ? error.message : String(error));
  process.stderr.write(`cim-node-agent: ${fault.detail}\n`);
  for (const { path, message } of fault.issues) process.stderr.write(`  ${path}: ${message}\n`);
  if (fault.code === 'internal' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  else process.stderr.write(`  ${fault.row.advice}\n`);
  process.exit(fault.code === 'configuration-invalid' ? 2 : 1);
});
