/**
 * Where the registry and NATS are and which keys to use: flags over environment over profile file.
 *
 * Promises:
 * P1. A secret goes only where it was written for: when a flag or variable names another address than the profile file, the file's
 *     token or password is not sent there.
 * P2. Relative paths in a profile file are relative to that file, those of flags and variables to the current directory.
 * P3. Secrets are read when they are needed, not when the profile is found; a missing file is named.
 */
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { decodeJson, Fault } from '@cim/contracts';
import { z } from 'zod';
import type { Surroundings } from './surroundings.ts';
import { Roots } from './trust/roots.ts';

const text = z.string().min(1);

/** The file `.cim/profile.json`. */
export const ProfileFile = z.strictObject({
  registry: z.strictObject({ url: z.url(), token: text.optional(), tokenFile: text.optional() }).optional(),
  nats: z
    .strictObject({
      url: z.union([text, z.array(text).min(1)]),
      user: text.optional(),
      password: text.optional(),
      passwordFile: text.optional(),
      credentialsFile: text.optional(),
    })
    .optional(),
  publisherSeedFile: text.optional(),
  /** Several where more than one operator must sign. */
  operatorSeedFile: z.union([text, z.array(text).min(1)]).optional(),
  /** Whom this desk trusts when it verifies; as in a node's configuration. */
  trust: Roots.optional(),
});
export type ProfileFile = z.infer<typeof ProfileFile>;

export interface RegistryAddress {
  readonly url: string;
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
}
export interface NatsAddress {
  readonly url: string | readonly string[];
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly passwordFile?: string | undefined;
  readonly credentialsFile?: string | undefined;
}

export interface ConnectOptions {
  readonly registry?: Partial<RegistryAddress>;
  readonly nats?: Partial<NatsAddress>;
  /** Path of a profile file, instead of looking for one. */
  readonly profile?: string;
  readonly publisherSeedFile?: string;
  readonly operatorSeedFile?: string | readonly string[];
  /** Why what is changed is changed: kept in the audit log. */
  readonly reason?: string;
}

export interface Profile {
  readonly registry: RegistryAddress | undefined;
  readonly nats: NatsAddress | undefined;
  readonly publisherSeedFile: string | undefined;
  /** The first of `operatorSeedFiles`. */
  readonly operatorSeedFile: string | undefined;
  readonly operatorSeedFiles: readonly string[];
  readonly trust: Roots | undefined;
  /** Where each part comes from, for people: `flag`, `environment` or a file. */
  readonly origin: { readonly file: string | undefined; readonly registry: string; readonly nats: string };
}

/** One source of settings: any of them may be unset. */
type Layer<T> = { readonly [K in keyof T]?: T[K] | undefined } & { readonly origin: string };

/** Where keys and a profile live when no project has its own: `$XDG_CONFIG_HOME/cim`. */
export function configDirectory({ env, home }: Surroundings): string {
  return join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'cim');
}

/** Path of the profile file that applies, or undefined. @throws Fault when one is named and absent */
function findProfile(around: Surroundings, named?: string): string | undefined {
  const wanted = named ?? around.env['CIM_PROFILE'];
  if (wanted !== undefined && wanted !== '') {
    const path = resolve(around.cwd, wanted);
    if (!existsSync(path)) throw wrong(named === undefined ? 'CIM_PROFILE' : '--profile', `no file at ${path}`);
    return path;
  }
  for (let directory = around.cwd; ; directory = dirname(directory)) {
    const path = join(directory, '.cim', 'profile.json');
    if (existsSync(path)) return path;
    if (dirname(directory) === directory) break;
  }
  const path = join(configDirectory(around), 'profile.json');
  return existsSync(path) ? path : undefined;
}

/** The profile that applies (P1, P2). @throws Fault `configuration-invalid` naming every wrong field of the file */
export function resolveProfile(around: Surroundings, flags: ConnectOptions = {}): Profile {
  const file = findProfile(around, flags.profile);
  const base = file === undefined ? around.cwd : dirname(file);
  const found: ProfileFile = file === undefined ? {} : readProfile(file);
  const { env, cwd } = around;
  const from = (origin: string, path: string | undefined) => (path === undefined ? undefined : resolve(origin, path));
  const set = (name: string) => env[name] || undefined;

  const registries: Layer<RegistryAddress>[] = [
    { origin: 'flag', ...flags.registry, tokenFile: from(cwd, flags.registry?.tokenFile) },
    {
      origin: 'environment',
      url: set('CIM_REGISTRY_URL'),
      token: set('CIM_TOKEN'),
      tokenFile: from(cwd, set('CIM_TOKEN_FILE')),
    },
    { origin: `${file}`, ...found.registry, tokenFile: from(base, found.registry?.tokenFile) },
  ];
  const nats: Layer<NatsAddress>[] = [
    {
      origin: 'flag',
      ...flags.nats,
      passwordFile: from(cwd, flags.nats?.passwordFile),
      credentialsFile: from(cwd, flags.nats?.credentialsFile),
    },
    {
      origin: 'environment',
      url: set('CIM_NATS_URL'),
      user: set('CIM_NATS_USER'),
      password: set('CIM_NATS_PASSWORD'),
      credentialsFile: from(cwd, set('CIM_NATS_CREDENTIALS')),
    },
    {
      origin: `${file}`,
      ...found.nats,
      passwordFile: from(base, found.nats?.passwordFile),
      credentialsFile: from(base, found.nats?.credentialsFile),
    },
  ];
  const registryAt = registries.find(({ url }) => url !== undefined);
  const natsAt = nats.find(({ url }) => url !== undefined);
  // P1: a secret of a lower layer counts only where that layer names the same address or none of its own.
  const registrySecret = registries.find(
    ({ url, token, tokenFile }) => (token ?? tokenFile) !== undefined && (url === undefined || url === registryAt?.url),
  );
  const natsSecret = nats.find(
    (at) =>
      (at.user ?? at.password ?? at.passwordFile ?? at.credentialsFile) !== undefined &&
      (at.url === undefined || `${at.url}` === `${natsAt?.url}`),
  );
  const operatorSeedFiles = seedFiles(
    list(flags.operatorSeedFile),
    set('CIM_OPERATOR_SEED_FILE')?.split(delimiter),
    list(found.operatorSeedFile),
  );
  return {
    registry:
      registryAt?.url === undefined
        ? undefined
        : {
            url: registryAt.url.replace(/\/+$/, ''),
            token: registrySecret?.token,
            tokenFile: registrySecret?.token === undefined ? registrySecret?.tokenFile : undefined,
          },
    nats:
      natsAt?.url === undefined
        ? undefined
        : {
            url: natsAt.url,
            user: natsSecret?.user,
            password: natsSecret?.password,
            passwordFile: natsSecret?.password === undefined ? natsSecret?.passwordFile : undefined,
            credentialsFile: natsSecret?.credentialsFile,
          },
    publisherSeedFile: seedFile('publisher', flags.publisherSeedFile, set('CIM_PUBLISHER_SEED_FILE'), found.publisherSeedFile),
    operatorSeedFile: operatorSeedFiles[0],
    operatorSeedFiles,
    trust: found.trust,
    origin: { file, registry: registryAt?.origin ?? 'nowhere', nats: natsAt?.origin ?? 'nowhere' },
  };

  /** Of operators: as many as are named; else the one of the configuration directory. */
  function seedFiles(
    flag: readonly string[] | undefined,
    variable: readonly string[] | undefined,
    inFile: readonly string[] | undefined,
  ): readonly string[] {
    const here = flag ?? variable;
    if (here) return here.map((path) => resolve(cwd, path));
    if (inFile) return inFile.map((path) => resolve(base, path));
    const own = seedFile('operator', undefined, undefined, undefined);
    return own === undefined ? [] : [own];
  }

  function seedFile(role: string, flag: string | undefined, variable: string | undefined, inFile: string | undefined) {
    const named = from(cwd, flag ?? variable) ?? from(base, inFile);
    if (named !== undefined) return named;
    const own = join(configDirectory(around), `${role}.seed`);
    return existsSync(own) ? own : undefined;
  }
}

const list = (one: string | readonly string[] | undefined): readonly string[] | undefined =>
  typeof one === 'string' ? [one] : one;

function readProfile(file: string): ProfileFile {
  return decodeJson(ProfileFile, readFileSync(file), `profile ${file}`, 'configuration-invalid');
}

/** The trimmed text of a file that holds one secret. @throws Fault naming what the file is for */
export function readSecret(file: string, what: string): string {
  try {
    const secret = readFileSync(file, 'utf8').trim();
    if (secret !== '') return secret;
  } catch (cause) {
    throw wrong(what, `cannot read ${file}: ${(cause as Error).message}`, cause);
  }
  throw wrong(what, `${file} is empty`);
}

/** The token to send, or undefined where none is set. */
export function tokenOf(address: RegistryAddress): string | undefined {
  return address.token ?? (address.tokenFile === undefined ? undefined : readSecret(address.tokenFile, 'registry.tokenFile'));
}

/** A fault about one setting. */
export function wrong(path: string, message: string, cause?: unknown): Fault {
  return new Fault('configuration-invalid', `${path}: ${message}`, { issues: [{ path, message }], cause });
}
