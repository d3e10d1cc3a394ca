/**
 * `cim-node-agent enrol`: a machine trades its one-time token for a credential of its own, and says what comes next.
 */
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { decode, Fault, InstanceId } from '@cim/contracts';
import { readConfig } from '../config.ts';
import { credentialsFile } from './credentials-file.ts';
import { enrol } from './enrol.ts';
import { credentialsPath, registryDoor } from './identity.ts';

const ENROL_USAGE = `Usage: cim-node-agent enrol --registry URL --token-file FILE (--config FILE | --instance ID --state DIR)

Gives this machine its identity: makes a key, which never leaves it, and gets a credential for it from the registry.

  --registry URL      the registry; https, or http on this machine itself
  --token-file FILE   the one-time token of alchemist instance enroll; - reads standard input
  --config FILE       configuration of the node-agent: says instance, state directory, and where the credential goes
  --instance ID       without a configuration: the instance
  --state DIR         and the state directory; the credential is DIR/leaf.creds
  --ca FILE           authority of the registry's certificate, PEM
  --replace           although a credential in force is there
  --json              answer in JSON

Example: cim-node-agent enrol --config /etc/cim/config.json --registry https://hub.example.com:8484 --token-file token
`;

/** @returns what to print. @throws Fault naming the flag, or what the registry says */
export async function enrolCommand(argv: readonly string[], now: () => number): Promise<string> {
  const { values } = parse(argv);
  if (values.help) return ENROL_USAGE;
  const need = (flag: 'registry' | 'token-file' | 'instance' | 'state') => {
    const value = values[flag];
    if (value !== undefined && value !== '') return value;
    throw new Fault('configuration-invalid', `--${flag}: expected a value; see cim-node-agent enrol --help`);
  };
  const registry = need('registry');
  const tokenFile = need('token-file');
  const config = values.config === undefined ? undefined : await readConfig(values.config);
  const instance = config?.instance.id ?? decode(InstanceId, need('instance'), '--instance', 'configuration-invalid');
  const stateDirectory = config?.stateDirectory ?? need('state');
  const path = config === undefined ? join(stateDirectory, 'leaf.creds') : credentialsPath(config);
  await mkdir(stateDirectory, { recursive: true, mode: 0o700 });
  const claims = await enrol(
    {
      instance,
      door: registryDoor(registry, values.ca, '--ca'),
      file: credentialsFile(stateDirectory, path),
      now: now(),
    },
    tokenOf(tokenFile),
    values.replace === true,
  );
  const ends = claims.expiresAt === undefined ? undefined : new Date(claims.expiresAt * 1000).toISOString();
  const answer = { instance, credentialsFile: path, key: claims.subject, serves: claims.serves, expiresAt: ends ?? null };
  if (values.json) return `${JSON.stringify(answer)}\n`;
  return [
    `${instance} is enrolled`,
    `key        ${claims.subject}`,
    `serves     ${claims.serves.join(' ') || '(nothing)'}`,
    `ends       ${ends ?? 'never'}`,
    `credential ${path} (only you can read it)`,
    '',
    "next: let the leaf's nats-server join with it",
    `  leafnodes { reconnect: "250ms", remotes: [ { url: "nats-leaf://HUB:7422", credentials: ${JSON.stringify(path)} } ] }`,
    'and let the node-agent renew it, in its configuration',
    `  "identity": { "registry": ${JSON.stringify(registry)} }`,
    '',
  ].join('\n');
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        registry: { type: 'string' },
        'token-file': { type: 'string' },
        config: { type: 'string' },
        instance: { type: 'string' },
        state: { type: 'string' },
        ca: { type: 'string' },
        replace: { type: 'boolean' },
        json: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    });
  } catch (cause) {
    throw new Fault('configuration-invalid', `${(cause as Error).message}; see cim-node-agent enrol --help`, { cause });
  }
}

function tokenOf(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8').trim();
  } catch (cause) {
    throw new Fault('configuration-invalid', `--token-file: cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
}
