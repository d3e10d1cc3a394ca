/** `alchemist keys`: makes, shows and imports signing keys. */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Argument, type Command } from 'commander';
import type { KeyRole } from '../../keys.ts';
import { type CommonFlags, commonFlags, perform, type Session, type Stage, verb } from '../session.ts';

interface OutFlags extends CommonFlags {
  readonly name: string;
  readonly out?: string;
}

const role = () =>
  new Argument(
    '<role>',
    'publisher signs bundles, operator signs deployments and trust, log signs what a registry published',
  ).choices(['publisher', 'operator', 'log']);

export function register(program: Command, stage: Stage): void {
  const keys = program
    .command('keys')
    .summary('make, show and import signing keys')
    .description('Makes, shows and imports signing keys. A seed is never printed unless asked for.')
    .helpOption('-h, --help', 'show this')
    .helpCommand(false);

  const make = verb(keys, 'new', {
    summary: 'make a key pair',
    description: 'Makes a key pair, writes the seed to a file only you can read, and prints the public key.',
    examples: ['keys new publisher --name acme', 'keys new operator --out ./ops.seed'],
  })
    .addArgument(role())
    .option('-n, --name <name>', 'whose key it is, for the line that makes a node trust it', 'you')
    .option('-o, --out <file>', 'where to write the seed (default: in the configuration directory)');
  commonFlags(make).action((who: KeyRole, flags: OutFlags) =>
    perform(stage, flags, async (session) => {
      const { newSeed } = await import('../../keys.ts');
      return store(session, who, newSeed(who).seed, flags);
    }),
  );

  const show = verb(keys, 'show', {
    summary: 'print public keys',
    description: 'Prints the public keys of this profile with the lines that make a node trust them.',
    examples: ['keys show', 'keys show publisher --seed'],
  })
    .addArgument(role().argOptional())
    .option('--seed', 'print the seed too: whoever has it can sign as you');
  commonFlags(show).action((who: KeyRole | undefined, flags: CommonFlags & { seed?: boolean }) =>
    perform(stage, flags, (session) => print(session, who, flags.seed === true)),
  );

  const take = verb(keys, 'import', {
    summary: 'store a seed made elsewhere',
    description: 'Stores a seed made elsewhere (for instance with the nk tool). Without a file it is read from standard input.',
    examples: ['keys import publisher ./publisher.nk'],
  })
    .addArgument(role())
    .argument('[file]', 'file that holds the seed')
    .option('-n, --name <name>', 'whose key it is, for the line that makes a node trust it', 'you')
    .option('-o, --out <file>', 'where to write the seed (default: in the configuration directory)');
  commonFlags(take).action((who: KeyRole, file: string | undefined, flags: OutFlags) =>
    perform(stage, flags, async (session) => {
      const { Fault } = await import('@cim/contracts');
      const text = await (file === undefined ? session.io.stdin() : readFile(resolve(session.io.cwd, file), 'utf8')).catch(
        (cause) => {
          throw new Fault('invalid-input', `file: cannot read ${file}: ${(cause as Error).message}`, { cause });
        },
      );
      return store(session, who, text.trim(), flags);
    }),
  );
}

async function store({ io, render, around }: Session, who: KeyRole, seed: string, { out, name }: OutFlags): Promise<undefined> {
  const [{ writeSeed }, { configDirectory }] = await Promise.all([import('../../keys.ts'), import('../../profile.ts')]);
  const file = out === undefined ? join(configDirectory(around), `${who}.seed`) : resolve(io.cwd, out);
  const publicKey = await writeSeed(file, seed, who);
  render.answer({ role: who, name, publicKey, file }, () =>
    [
      `${render.paint(who, 'strong')}  ${publicKey}`,
      `seed       ${file} (only you can read it; keep a copy somewhere safe)`,
      `trust      ${trustLine(who, publicKey, name)}`,
      ...(who === 'log'
        ? [`use        "transparency": { "seedFile": ${JSON.stringify(file)} } in the registry's configuration`]
        : out === undefined
          ? []
          : [`use        export CIM_${who.toUpperCase()}_SEED_FILE=${file}`]),
    ].join('\n'),
  );
}

async function print({ render, alchemist }: Session, who: KeyRole | undefined, seed: boolean): Promise<undefined> {
  const [{ signerOf, readSeed }, { Fault }] = await Promise.all([import('../../keys.ts'), import('@cim/contracts')]);
  const { profile } = await alchemist();
  const files = {
    publisher: profile.publisherSeedFile === undefined ? [] : [profile.publisherSeedFile],
    operator: profile.operatorSeedFiles,
  };
  const found = (['publisher', 'operator'] as const)
    .filter((one) => who === undefined || one === who)
    .flatMap((one) =>
      files[one].map((file) => ({
        role: one,
        publicKey: signerOf(file).publicKey,
        file,
        ...(seed ? { seed: readSeed(file) } : {}),
      })),
    );
  if (found.length === 0) {
    throw new Fault('not-found', `no ${who ?? 'signing'} key is set: alchemist keys new ${who ?? 'publisher'}`);
  }
  render.answer({ keys: found }, () =>
    found
      .flatMap(({ role: one, publicKey, file, seed: secret }) => [
        `${render.paint(one, 'strong')}  ${publicKey}`,
        `file       ${file}`,
        `trust      ${trustLine(one, publicKey, 'you')}`,
        ...(secret === undefined ? [] : [`seed       ${secret}`]),
      ])
      .join('\n'),
  );
}

const trustLine = (who: KeyRole, key: string, name: string) =>
  `cim.trust.${who}s = [ { name = ${JSON.stringify(name)}; key = "${key}"; } ];`;
