/** `alchemist creds`: makes, shows, rotates and revokes credentials of the hub. */
import { resolve } from 'node:path';
import { Argument, type Command } from 'commander';
import { type CommonFlags, commonFlags, perform, type Session, type Stage, verb } from '../session.ts';

interface DirFlags extends CommonFlags {
  readonly dir: string;
}
interface IssueFlags extends DirFlags {
  readonly serves: string[];
  readonly valid: string;
  readonly out?: string;
  readonly publicKey?: string;
}
interface RotateFlags extends DirFlags {
  readonly valid: string;
  readonly revokeOld?: boolean;
  readonly ca?: string;
}

const collect = (value: string, before: string[]) => [...before, value];

export function register(program: Command, stage: Stage): void {
  const creds = program
    .command('creds')
    .summary('make, show, rotate and revoke credentials')
    .description('Makes, shows, rotates and revokes credentials of the hub. All but show need the directory `hub init` made.')
    .helpOption('-h, --help', 'show this')
    .helpCommand(false);

  const issue = verb(creds, 'issue', {
    summary: 'make a credential of a role',
    description:
      'Makes a key and a credentials file for a user of a role. With --public-key only the JWT for a key made elsewhere: for machines that enrol without a registry that may sign.',
    examples: [
      'creds issue alchemist ada --out ada.creds',
      "creds issue node cim-a --serves 'document.*' --public-key UAB… --out cim-a.jwt",
    ],
  })
    .addArgument(new Argument('<role>', 'what it may do').choices(['node', 'registry', 'alchemist', 'monitoring']))
    .argument('<name>', 'whose it is; of a node its instance')
    .option('--serves <pattern>', 'of a node: capability pattern it may answer; again for more', collect, [])
    .option('--valid <time>', 'how long it is good; "for-ever" for no end', '90d')
    .option('--out <file>', 'where to write it (default: <name>.creds)')
    .option('--public-key <key>', 'sign for this key instead of making one')
    .option('--dir <directory>', 'directory of the hub', 'hub');
  commonFlags(issue).action((role: Role, name: string, flags: IssueFlags) =>
    perform(stage, flags, (session) => make(session, role, name, flags)),
  );

  const show = verb(creds, 'show', {
    summary: 'what a credential says; never its seed',
    examples: ['creds show leaf.creds', 'creds show hub/creds/alchemist.creds --dir hub'],
  })
    .argument('<file>', 'credentials file or JWT')
    .option('--dir <directory>', 'directory of the hub, to name role and permissions', 'hub');
  commonFlags(show).action((file: string, flags: DirFlags) => perform(stage, flags, (session) => print(session, file, flags)));

  const rotate = verb(creds, 'rotate', {
    summary: 'a new key for the same user, in the same file',
    description:
      'Makes a new key for the user of a file and writes it there. The old key stays good until it ends, so that whoever uses it is not cut off; --revoke-old ends it now. Nodes rotate by themselves.',
    examples: ['creds rotate hub/creds/alchemist.creds', 'creds rotate ada.creds --revoke-old'],
  })
    .argument('<file>', 'credentials file')
    .option('--valid <time>', 'how long it is good; "for-ever" for no end', '90d')
    .option('--revoke-old', 'revoke the old key at once')
    .option('--ca <file>', "authority of the server's certificate, PEM")
    .option('--dir <directory>', 'directory of the hub', 'hub');
  commonFlags(rotate).action((file: string, flags: RotateFlags) =>
    perform(stage, flags, (session) => renew(session, file, flags)),
  );

  const revoke = verb(creds, 'revoke', {
    summary: 'end credentials now',
    description:
      'Ends credentials at once: the account with the revocation is pushed to the servers, which cut the connections. Of an instance all its keys, and the registry gives it no more.',
    examples: ['creds revoke cim-prod-001', 'creds revoke ada.creds', 'creds revoke UAB…'],
  })
    .argument('<who>', 'an instance, a credentials file, or the public key of a user')
    .option('--ca <file>', "authority of the server's certificate, PEM")
    .option('--dir <directory>', 'directory of the hub', 'hub');
  commonFlags(revoke).action((who: string, flags: DirFlags & { ca?: string }) =>
    perform(stage, flags, (session) => end(session, who, flags)),
  );
}

type Role = 'node' | 'registry' | 'alchemist' | 'monitoring';

const doors = async () => {
  const [hub, creds, push, files, { Duration }] = await Promise.all([
    import('../../hub/directory.ts'),
    import('../../creds/creds.ts'),
    import('../../hub/push.ts'),
    import('../../hub/files.ts'),
    import('../../duration.ts'),
  ]);
  const endOf = (valid: string, now: number) =>
    valid === 'for-ever' ? undefined : Math.floor((now + Duration.from(valid, '--valid').milliseconds) / 1000);
  return { ...hub, ...creds, ...push, ...files, endOf };
};

async function make({ io, render, around }: Session, role: Role, name: string, flags: IssueFlags): Promise<undefined> {
  const [{ openHub, issueCreds, issueJwt, writeNew, endOf }, { servesOf }, contracts] = await Promise.all([
    doors(),
    import('../../instance/enrol.ts'),
    import('@cim/contracts'),
  ]);
  contracts.decode(contracts.InstanceId, name, 'name', 'invalid-input');
  const serves = role === 'node' ? contracts.decode(contracts.Serves, servesOf(flags.serves), '--serves', 'invalid-input') : [];
  const options = { role, name, serves, expiresAt: endOf(flags.valid, around.clock.now()) };
  const hub = openHub(resolve(io.cwd, flags.dir));
  if (flags.publicKey !== undefined) {
    const key = contracts.decode(contracts.UserKey, flags.publicKey, '--public-key', 'invalid-input');
    const { jwt, claims } = await issueJwt(hub, options, key);
    if (flags.out === undefined) render.answer({ jwt, claims }, () => jwt);
    else {
      writeNew(resolve(io.cwd, flags.out), `${jwt}\n`);
      render.answer({ file: flags.out, claims }, () => `jwt        ${flags.out}`);
    }
    return;
  }
  const file = resolve(io.cwd, flags.out ?? `${name}.creds`);
  const { claims } = await issueCreds(hub, options, file);
  render.answer({ role, file, claims }, () => [`file       ${file} (only you can read it)`, ...facts(role, claims)].join('\n'));
}

async function print({ io, render }: Session, file: string, flags: DirFlags): Promise<undefined> {
  const { openHub, showCreds, readText, exists, hubPaths } = await doors();
  const directory = resolve(io.cwd, flags.dir);
  const hub = exists(hubPaths(directory).file) ? openHub(directory).hub : undefined;
  const path = resolve(io.cwd, file);
  const shown = showCreds(readText(path, 'credentials'), path, hub);
  const lists = (title: string, subjects: readonly string[] | undefined) =>
    subjects === undefined ? [] : ['', `${title}:`, ...subjects.map((subject) => `  ${subject}`)];
  render.answer({ ...shown }, () =>
    [
      ...facts(shown.role, shown.claims),
      ...lists('may publish', shown.permissions?.publish.allow),
      ...lists('may subscribe', shown.permissions?.subscribe.allow),
    ].join('\n'),
  );
}

async function renew({ io, render, around }: Session, file: string, flags: RotateFlags): Promise<undefined> {
  const { openHub, rotateCreds, pushAccount, endOf } = await doors();
  const hub = openHub(resolve(io.cwd, flags.dir));
  const path = resolve(io.cwd, file);
  const now = around.clock.now();
  const { role, claims, old } = await rotateCreds(hub, path, endOf(flags.valid, now));
  const pushed = flags.revokeOld ? await pushAccount(hub, { [old]: Math.floor(now / 1000) }, flags.nats, flags.ca) : undefined;
  render.answer({ role, file: path, claims, old, revoked: pushed !== undefined }, () =>
    [
      `file       ${path}`,
      ...facts(role, claims),
      pushed === undefined
        ? `old key    ${old} is good until it ends: alchemist creds revoke ${old}`
        : `old key    ${old} is revoked`,
    ].join('\n'),
  );
}

async function end(
  { io, render, around, alchemist }: Session,
  who: string,
  flags: DirFlags & { ca?: string },
): Promise<undefined> {
  const [{ openHub, pushAccount, readText, exists }, contracts] = await Promise.all([doors(), import('@cim/contracts')]);
  const hub = openHub(resolve(io.cwd, flags.dir));
  const path = resolve(io.cwd, who);
  let keys: readonly string[];
  if (contracts.UserKey.safeParse(who).success) keys = [who];
  else if (exists(path)) keys = [contracts.readCreds(readText(path, 'credentials'), path).claims.subject];
  else {
    const id = contracts.decode(contracts.InstanceId, who, 'who', 'invalid-input');
    // First no more are given, then those that are end: the other way round one could be given in between.
    keys = (await (await alchemist()).registry.revokeIdentity(id)).keys.map(({ key }) => key);
  }
  const at = Math.floor(around.clock.now() / 1000);
  const pushed = await pushAccount(hub, Object.fromEntries(keys.map((key) => [key, at])), flags.nats, flags.ca);
  render.answer({ who, keys, servers: pushed.servers }, () =>
    [...keys.map((key) => `revoked    ${key}`), `told       ${pushed.servers.join(', ')}`].join('\n'),
  );
}

function facts(role: string | undefined, claims: import('@cim/contracts').UserClaims): string[] {
  const time = (seconds: number | undefined) => (seconds === undefined ? 'never' : new Date(seconds * 1000).toISOString());
  return [
    `role       ${role ?? 'unknown (no hub directory at hand)'}`,
    `name       ${claims.name}`,
    `key        ${claims.subject}`,
    `account    ${claims.account}`,
    `signed by  ${claims.issuer}`,
    `issued     ${time(claims.issuedAt)}`,
    `ends       ${time(claims.expiresAt)}`,
    ...(role === 'node' ? [`serves     ${claims.serves.join(' ') || '(nothing)'}`] : []),
  ];
}
