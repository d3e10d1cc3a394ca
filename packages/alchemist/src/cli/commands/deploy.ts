/** `alchemist deploy`: makes an instance run a version and shows how it gets there. */

import { type Command, Option } from 'commander';
import type { WorkloadResources, WorkloadSettings } from '../../definitions.ts';
import type { DeployResult } from '../../deploy/deploy.ts';
import { drafting, draftText } from '../drafts.ts';
import { duration, instanceId, jsonObject, looksLikePath, nameAndRef, wholeNumber } from '../flags.ts';
import { type Render, seconds } from '../render.ts';
import { type CommonFlags, commonFlags, perform, type Session, type Stage, verb } from '../session.ts';
import { bundleAt } from '../source.ts';

interface Flags extends CommonFlags {
  readonly instance: string;
  readonly kind?: 'agent' | 'service';
  readonly version?: string;
  readonly channel?: string;
  readonly replicas?: number;
  readonly isolation?: 'shared' | 'dedicated';
  readonly cpu?: string;
  readonly memory?: string;
  readonly storage?: string;
  readonly maxConcurrent?: number;
  readonly callTimeout?: string;
  readonly turn?: string;
  readonly config?: Record<string, unknown>;
  readonly secret?: readonly string[];
  readonly reset?: boolean;
  readonly rollback?: boolean;
  readonly reason?: string;
  readonly retryConflicts?: number;
  readonly wait: boolean;
  readonly timeout?: string;
  readonly out?: string;
}

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'deploy <name|dir>', {
    summary: 'make an instance run a bundle',
    description: `Makes an instance run a bundle of the catalog ("hello", "hello@1.2.0", "hello@^1", "hello@stable"), or builds and
publishes a project first ("./hello"). Waits until the node has done it and shows the steps. What no flag mentions stays as it is
deployed.`,
    examples: [
      'deploy hello --instance cim-a',
      'deploy hello@1.2.0 -i cim-a --replicas 2 --memory 256Mi',
      'deploy ./hello -i cim-a --config \'{"language":"de"}\'',
      'deploy hello@1.0.0 -i cim-a --rollback --reason "1.1.0 loses umlauts"',
    ],
  })
    .requiredOption('-i, --instance <id>', 'where to run it', instanceId)
    .option('--version <version>', 'version or range, instead of <name>@<version>')
    .addOption(new Option('--channel <name>', 'version the channel points at').conflicts('version'))
    .addOption(new Option('--kind <kind>', 'refuse when the bundle is of the other kind').choices(['agent', 'service']))
    .option('--replicas <n>', 'living copies', wholeNumber(0, 64))
    .addOption(
      new Option('--isolation <how>', 'cell with others of the publisher, or of its own').choices(['shared', 'dedicated']),
    )
    .option('--cpu <cores>', 'cores, e.g. 2 or 500m')
    .option('--memory <amount>', 'memory, e.g. 256Mi')
    .option('--storage <amount>', 'size of its key-value bucket, e.g. 64Mi')
    .option('--max-concurrent <n>', 'calls one replica serves at a time', wholeNumber(1, 100_000))
    .option('--call-timeout <time>', 'deadline of one call, e.g. 30s', duration)
    .option('--turn <time>', 'longest stretch of synchronous work, e.g. 2s', duration)
    .option('--config <json>', 'values of ctx.config', jsonObject)
    .option('--secret <name=file...>', 'seal the content of a file to the node as a secret of this name')
    .option('--reset', 'begin at the defaults instead of at what is deployed')
    .option('--rollback', 'allow a version older than the newest already run')
    .option('--reason <text>', 'why, for those who read the events later')
    .option('--retry-conflicts <n>', 'read and write again when someone else wrote first', wholeNumber(0, 100))
    .option('--wait', 'wait until the node has done it (default)', true)
    .option('--no-wait', 'do not wait for the node')
    .option('--timeout <time>', 'longest wait (default: 60s)', duration)
    .option('--operator-seed <file...>', 'keys to sign with, instead of those of the profile')
    .option('--out <file>', 'write the signed document for other operators to sign, instead of deploying');
  commonFlags(command).action((what: string, flags: Flags) =>
    perform(stage, flags, async (session) => {
      const { render, alchemist, io } = session;
      const cim = await alchemist();
      const code = looksLikePath(what) ? await bundleAt(session, what) : undefined;
      const { name, ref } = nameAndRef(what);
      const version = flags.version ?? ref;
      const secrets = await secretsIn(session, flags.secret);
      const draft = await drafting(session, flags.out);
      const bar = render.progress('upload');
      const result = await cim
        .deploy({
          instance: flags.instance,
          ...(code
            ? { bundle: code, ...given({ version: flags.version }) }
            : { name, ...(version === undefined ? {} : { version }) }),
          ...given({ channel: flags.channel, kind: flags.kind, replicas: flags.replicas, isolation: flags.isolation }),
          ...given({ config: flags.config, reset: flags.reset, rollback: flags.rollback, reason: flags.reason }),
          ...given({ secrets, draft }),
          ...given({ retryConflicts: flags.retryConflicts, timeout: flags.timeout }),
          ...given({ resources: resourcesOf(flags), configuration: settingsOf(flags) }),
          wait: flags.wait,
          onStep: render.step,
          publish: { onProgress: bar.update, signal: io.signal },
          signal: io.signal,
        })
        .finally(bar.end);
      render.answer(result, () => (flags.out === undefined ? deployText(render, result, flags.wait) : draftText(flags.out)));
      return undefined;
    }),
  );
}

/** Leaves out what was not given. */
function given<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

/** Reads `name=file` pairs. @throws Fault naming the pair */
async function secretsIn({ io }: Session, pairs: readonly string[] | undefined): Promise<Record<string, string> | undefined> {
  if (pairs === undefined) return undefined;
  const [{ Fault }, { readFile }, { resolve }] = await Promise.all([
    import('@cim/contracts'),
    import('node:fs/promises'),
    import('node:path'),
  ]);
  const read = pairs.map(async (pair) => {
    const at = pair.indexOf('=');
    if (at < 1) throw new Fault('invalid-input', `--secret: expected <name>=<file>, found "${pair}"`);
    const text = await readFile(resolve(io.cwd, pair.slice(at + 1)), 'utf8').catch((cause) => {
      throw new Fault('invalid-input', `--secret ${pair.slice(0, at)}: cannot read ${pair.slice(at + 1)}: ${cause.message}`, {
        cause,
      });
    });
    return [pair.slice(0, at), text.replace(/\r?\n$/, '')] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}

function resourcesOf({ cpu, memory, storage }: Flags): WorkloadResources | undefined {
  const resources = given({ cpu, memory, storage });
  return Object.keys(resources).length === 0 ? undefined : resources;
}

function settingsOf({ maxConcurrent, callTimeout, turn }: Flags): WorkloadSettings | undefined {
  const settings = given({ maxConcurrent, timeout: callTimeout, turn });
  return Object.keys(settings).length === 0 ? undefined : settings;
}

function deployText(
  render: Render,
  { name, version, instance, changed, elapsedMs, status }: DeployResult,
  waited: boolean,
): string {
  const what = `${name}@${version} on ${instance}`;
  if (!waited) return `${render.paint('stored', 'good')} ${what}; alchemist status --instance ${instance} shows how far it is`;
  if (!changed) return `${render.paint('unchanged', 'good')} ${what} already runs`;
  const offers = status?.capabilities.length ? `, answers ${status.capabilities.join(', ')}` : '';
  return `${render.paint('deployed', 'good')} ${what} in ${seconds(elapsedMs)}${offers}`;
}
