/** `alchemist hub`: makes a hub with identities of its own, and brings its account to the servers. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type CommonFlags, commonFlags, perform, type Session, type Stage, verb } from '../session.ts';

interface InitFlags extends CommonFlags {
  readonly dir: string;
  readonly name: string;
  readonly host: string;
  readonly port: string;
  readonly leafPort: string;
  readonly registryPort: string;
  readonly publicHost?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly leafCert?: string;
  readonly leafKey?: string;
  readonly leafCa?: string;
  readonly maxFile?: string;
}

const YEAR_S = 365 * 86_400;

export function register(program: Command, stage: Stage): void {
  const hub = program
    .command('hub')
    .summary('make a hub with identities of its own')
    .description('Makes the hub: operator, accounts, credentials, and the configuration of its nats-server and registry.')
    .helpOption('-h, --help', 'show this')
    .helpCommand(false);

  const init = verb(hub, 'init', {
    summary: 'make operator, accounts, credentials and configuration',
    description:
      'Makes the operator and its keys, the accounts, a signing key for each role, credentials, and the configuration of nats-server and registry. Nothing that exists is written over; run again, it says what is there.',
    examples: [
      'hub init --dir hub',
      'hub init --dir /etc/cim/hub --host 0.0.0.0 --public-host hub.example.com --leaf-cert c.pem --leaf-key k.pem',
    ],
  })
    .option('--dir <directory>', 'where to put it', 'hub')
    .option('--name <name>', 'name of the operator', 'CIM')
    .option('--host <address>', 'address its nats-server listens on', '127.0.0.1')
    .option('--port <port>', 'port for clients', '4222')
    .option('--leaf-port <port>', 'port for leaves', '7422')
    .option('--registry-port <port>', 'port of the registry beside it', '8484')
    .option('--public-host <name>', 'name under which leaves reach it')
    .option('--cert <file>', 'certificate of the port for clients, PEM')
    .option('--key <file>', 'its key')
    .option('--leaf-cert <file>', 'certificate of the port for leaves, PEM')
    .option('--leaf-key <file>', 'its key')
    .option('--leaf-ca <file>', 'authority that must have signed the certificates of leaves')
    .option('--max-file <bytes>', 'what JetStream may keep on disk, e.g. 64GB');
  commonFlags(init).action((flags: InitFlags) => perform(stage, flags, (session) => make(session, flags)));

  const push = verb(hub, 'push', {
    summary: 'sign the account anew and bring it to the servers',
    description:
      'Signs the account CIM anew, with the permissions of this version and all revocations, and pushes it to the running servers. Do it after an upgrade.',
    examples: ['hub push --dir hub'],
  })
    .option('--dir <directory>', 'directory of the hub', 'hub')
    .option('--ca <file>', "authority of the server's certificate, PEM");
  commonFlags(push).action((flags: CommonFlags & { dir: string; ca?: string }) =>
    perform(stage, flags, async ({ io, render }) => {
      const [{ openHub }, { pushAccount }] = await Promise.all([import('../../hub/directory.ts'), import('../../hub/push.ts')]);
      const pushed = await pushAccount(openHub(resolve(io.cwd, flags.dir)), {}, flags.nats, flags.ca);
      render.answer(pushed, () => `pushed     ${pushed.account} to ${pushed.servers.join(', ')}`);
      return undefined;
    }),
  );
}

async function make({ io, render, around, alchemist }: Session, flags: InitFlags): Promise<undefined> {
  const [{ initHub }, { Fault }, { signerOf }] = await Promise.all([
    import('../../hub/init.ts'),
    import('@cim/contracts'),
    import('../../keys.ts'),
  ]);
  const port = (name: string, value: string) => {
    const number = Number(value);
    if (/^\d{1,5}$/.test(value) && number >= 1 && number <= 65_535) return number;
    const message = `expected a port from 1 to 65535, found ${JSON.stringify(value)}`;
    throw new Fault('invalid-input', `--${name}: ${message}`, { issues: [{ path: `--${name}`, message }] });
  };
  const pair = (what: string, cert: string | undefined, key: string | undefined, ca?: string) => {
    if (cert === undefined && key === undefined && ca === undefined) return undefined;
    if (cert !== undefined && key !== undefined) {
      const at = (file: string) => resolve(io.cwd, file);
      return { certFile: at(cert), keyFile: at(key), ...(ca === undefined ? {} : { caFile: at(ca) }) };
    }
    const message = 'expected a certificate and its key together';
    throw new Fault('invalid-input', `${what}: ${message}`, { issues: [{ path: what, message }] });
  };
  const { profile } = await alchemist();
  const trusted = (file: string | undefined) => (file === undefined ? [] : [{ name: 'you', key: signerOf(file).publicKey }]);
  const result = await initHub({
    directory: resolve(io.cwd, flags.dir),
    name: flags.name,
    host: flags.host,
    port: port('port', flags.port),
    leafPort: port('leaf-port', flags.leafPort),
    registryPort: port('registry-port', flags.registryPort),
    publicHost: flags.publicHost,
    tls: pair('--cert', flags.cert, flags.key),
    leafTls: pair('--leaf-cert', flags.leafCert, flags.leafKey, flags.leafCa),
    maxFile: flags.maxFile,
    trust: { publishers: trusted(profile.publisherSeedFile), operators: trusted(profile.operatorSeedFile) },
    peopleExpireAt: Math.floor(around.clock.now() / 1000) + YEAR_S,
  });
  const { hub } = result;
  const wide = Math.max(...result.files.map(({ file }) => file.length));
  render.answer(result, () =>
    [
      result.made ? render.paint(`hub ${hub.name} is made`, 'good') : `hub ${hub.name} is there already; nothing was changed`,
      `operator   ${hub.operator}`,
      `account    ${hub.account}`,
      `clients    ${hub.url}`,
      `leaves     ${hub.leafUrl}`,
      '',
      ...result.files.map(({ file, what }) => `${file.padEnd(wide)}  ${what}`),
      '',
      `next       nats-server -c ${result.files[0]?.file}`,
    ].join('\n'),
  );
  if (profile.publisherSeedFile === undefined)
    render.warning(
      'no publisher key is set, so registry.json trusts none yet: alchemist keys new publisher, then add it to trust.publishers',
    );
}
