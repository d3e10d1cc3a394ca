/**
 * The configuration file, read once.
 *
 * Promises:
 * C1. Every wrong field is named with its path; nothing starts on half a configuration.
 * C2. Relative paths inside the file are relative to the file, so that the file means the same from every directory.
 * C3. Quantities are numbers from here on, in bytes.
 */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { bytesOf, decodeJson, Fault, msOf, type NatsClientConfig, RegistryConfig } from '@cim/contracts';

/** The configuration with every gap filled. */
export interface Settings extends Omit<RegistryConfig, 'limits' | 'http'> {
  readonly http: Omit<RegistryConfig['http'], 'bodyTimeout'> & {
    /** ms. */
    readonly bodyTimeoutMs: number;
  };
  readonly limits: {
    /** Bytes. */
    readonly maxBundle: number;
    /** Bytes. */
    readonly maxBody: number;
    readonly requestsPerMinute: number;
    readonly failuresPerMinute: number;
  };
}

/** @throws Fault `configuration-invalid` naming the file or every wrong field */
export async function readConfig(file: string): Promise<Settings> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new Fault('configuration-invalid', `--config: cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
  return settingsOf(decodeJson(RegistryConfig, text, file, 'configuration-invalid'), dirname(resolve(file)));
}

/** @param base directory that relative paths are relative to */
export function settingsOf(config: RegistryConfig, base: string): Settings {
  const at = (path: string) => resolve(base, path);
  const { limits } = config;
  const { bodyTimeout, tls, ...http } = config.http;
  return {
    ...config,
    nats: {
      ...natsPaths(config.nats, at),
      domain: config.nats.domain,
      ...(config.nats.insecureDev === undefined ? {} : { insecureDev: config.nats.insecureDev }),
    },
    tokensFile: at(config.tokensFile),
    transparency: config.transparency.seedFile === undefined ? {} : { seedFile: at(config.transparency.seedFile) },
    identity: config.identity && { ...config.identity, signingSeedFile: at(config.identity.signingSeedFile) },
    http: {
      ...http,
      bodyTimeoutMs: msOf(bodyTimeout),
      ...(tls === undefined
        ? {}
        : {
            tls: {
              clients: tls.clients,
              certFile: at(tls.certFile),
              keyFile: at(tls.keyFile),
              ...(tls.clientCaFile === undefined ? {} : { clientCaFile: at(tls.clientCaFile) }),
            },
          }),
    },
    limits: {
      maxBundle: bytesOf(limits.maxBundle),
      maxBody: bytesOf(limits.maxBody),
      requestsPerMinute: limits.requestsPerMinute,
      failuresPerMinute: limits.failuresPerMinute,
    },
  };
}

function natsPaths({ url, user, credentialsFile, passwordFile, tls }: NatsClientConfig, at: (path: string) => string) {
  return {
    url,
    ...(user === undefined ? {} : { user }),
    ...(credentialsFile === undefined ? {} : { credentialsFile: at(credentialsFile) }),
    ...(passwordFile === undefined ? {} : { passwordFile: at(passwordFile) }),
    ...(tls === undefined
      ? {}
      : {
          tls: Object.fromEntries(Object.entries(tls).map(([key, path]) => [key, path && at(path)])) as NonNullable<typeof tls>,
        }),
  } satisfies NatsClientConfig;
}

/** Who may connect without saying who: nobody who has not asked for it. @throws Fault `configuration-invalid` */
export function demandIdentity({ nats }: Pick<Settings, 'nats'>): void {
  if (nats.user !== undefined || nats.credentialsFile !== undefined || nats.tls?.certFile !== undefined || nats.insecureDev)
    return;
  const message =
    'expected user and passwordFile, or credentialsFile; without any, set nats.insecureDev (or start with --insecure-dev)';
  throw new Fault('configuration-invalid', `nats.user: ${message}`, { issues: [{ path: 'nats.user', message }] });
}
