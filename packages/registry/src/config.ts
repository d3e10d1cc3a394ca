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
import { bytesOf, decodeJson, Fault, type NatsClientConfig, RegistryConfig } from '@cim/contracts';

/** The configuration with every gap filled. */
export interface Settings extends Omit<RegistryConfig, 'limits'> {
  readonly limits: {
    /** Bytes. */
    readonly maxBundle: number;
    /** Bytes. */
    readonly maxBody: number;
    readonly requestsPerMinute: number;
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
  return {
    ...config,
    nats: { ...natsPaths(config.nats, at), domain: config.nats.domain },
    tokensFile: at(config.tokensFile),
    limits: {
      maxBundle: bytesOf(limits.maxBundle),
      maxBody: bytesOf(limits.maxBody),
      requestsPerMinute: limits.requestsPerMinute,
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
