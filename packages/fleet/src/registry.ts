/** The registry of a fleet: its configuration and its process. */
import { join } from 'node:path';
import { decode, RegistryConfig } from '@cim/contracts';
import { type Daemon, startDaemon } from './daemon.ts';
import { readJson, writeJson } from './files.ts';
import type { Identities } from './identities.ts';
import { ledgerDirectory } from './machine/lock.ts';
import { freePort } from './machine/ports.ts';
import { rootsOf, type Secrets } from './secrets.ts';

/** What a caller wants otherwise, section by section. */
export type Overlay = Readonly<Record<string, unknown>>;

export interface RegistryOptions {
  /** State directory of the fleet. */
  readonly directory: string;
  readonly secrets: Secrets;
  readonly identities?: Identities | undefined;
  readonly hubUrl: string;
  readonly wishedPort?: number | undefined;
  readonly overlay?: Overlay | undefined;
  /** Tells several registries on one hub apart. */
  readonly name?: string;
}

export function startRegistry({
  directory,
  secrets,
  identities,
  hubUrl,
  wishedPort,
  overlay,
  name = 'registry',
}: RegistryOptions): Promise<Daemon> {
  const own = join(directory, name);
  const configFile = join(own, 'registry.json');
  const tokensFile = join(own, 'tokens.json');
  return startDaemon({
    name,
    package: '@cim/registry',
    directory: own,
    logFile: join(own, 'registry.log'),
    ledgerFile: join(ledgerDirectory(directory), `${name}.json`),
    configure: async (again) => {
      writeJson(tokensFile, secrets.tokens);
      const config = {
        nats:
          identities === undefined
            ? { url: hubUrl, user: 'registry', passwordFile: secrets.passwordFile('registry'), domain: 'hub' }
            : { url: hubUrl, credentialsFile: identities.creds('registry'), domain: 'hub' },
        ...(identities === undefined
          ? {}
          : { identity: { account: identities.account, signingSeedFile: identities.nodeSeedFile, perMinute: 10_000 } }),
        http: { host: '127.0.0.1', port: await portFor(configFile, again ? undefined : wishedPort, again) },
        tokensFile,
        trust: rootsOf(secrets),
      };
      secrets.password('registry');
      const whole = overlaid(config, overlay);
      decode(RegistryConfig, whole, 'registry configuration', 'configuration-invalid');
      writeJson(configFile, whole);
      return configFile;
    },
  });
}

/** The port the configuration had before, then the one wished for, each when free, else any. */
export function portFor(configFile: string, wished: number | undefined, again: boolean): Promise<number> {
  const before = readJson(configFile) as { http?: { port?: number } } | undefined;
  return freePort('127.0.0.1', (again ? undefined : before?.http?.port) ?? wished, new Set());
}

/** Sections of `overlay` laid over those of `base`, one level deep. */
export function overlaid(base: Overlay, overlay: Overlay | undefined): Overlay {
  const out: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(overlay ?? {})) {
    const under = out[key];
    out[key] = isSection(under) && isSection(value) ? { ...under, ...value } : value;
  }
  return out;
}

const isSection = (value: unknown): value is Overlay => typeof value === 'object' && value !== null && !Array.isArray(value);
