/**
 * The identity room of the running node: the credential kept good, answers held back while the link changes over, and what is said aloud
 * where there is none.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, Fault, type Logger, type NodeAgentConfig } from '@cim/contracts';
import type { Conditions } from '../conditions.ts';
import { hubSign } from '../hub/hub-sign.ts';
import type { Leaf } from '../hub/leaf.ts';
import type { RegistryDoor } from './ask-registry.ts';
import { credentialsFile } from './credentials-file.ts';
import { createAnswerHold } from './hold.ts';
import { createCredentialKeeper } from './keeper.ts';

export interface Identity {
  start(): void;
  /** When the credential ends, seconds since 1970. */
  expiresAt(): number | undefined;
  /** What an answer to a call waits for now; see hold.ts. */
  hold(): Promise<void> | undefined;
  stop(): Promise<void>;
}

export interface IdentityDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly config: NodeAgentConfig;
  readonly conditions: Conditions;
  readonly hubLink: Leaf;
}

/** Where the credential of an instance lies. */
export const credentialsPath = ({ identity, stateDirectory }: Pick<NodeAgentConfig, 'identity' | 'stateDirectory'>): string =>
  identity?.credentialsFile ?? join(stateDirectory, 'leaf.creds');

/** @throws Fault `configuration-invalid` when the authority's file cannot be read */
export function registryDoor(url: string, caFile: string | undefined, field: string): RegistryDoor {
  if (caFile === undefined) return { url };
  try {
    return { url, ca: readFileSync(caFile, 'utf8') };
  } catch (cause) {
    throw new Fault('configuration-invalid', `${field}: cannot read ${caFile}: ${(cause as Error).message}`, { cause });
  }
}

export function createIdentity({ clock, random, log, config, conditions, hubLink }: IdentityDeps): Identity {
  if (config.nats.insecureDev) {
    conditions.set(
      'insecure-dev',
      'warning',
      'Connected without an identity',
      'nats.insecureDev is set: whoever reaches the nats-server is whoever they say; for a laptop only',
    );
  }
  if (config.identity === undefined)
    return { start() {}, expiresAt: () => undefined, hold: () => undefined, stop: async () => {} };
  const { registry, caFile } = config.identity;
  const hold = createAnswerHold({
    clock,
    askHub: () => hubSign(hubLink, config.nats.hubDomain, config.instance.id),
  });
  const keeper = createCredentialKeeper({
    clock,
    random,
    log,
    conditions,
    instance: config.instance.id,
    file: credentialsFile(config.stateDirectory, credentialsPath(config)),
    door: registry === undefined ? undefined : registryDoor(registry, caFile, 'identity.caFile'),
    replaced: hold.plan,
  });
  return {
    start: keeper.start,
    expiresAt: keeper.expiresAt,
    hold: hold.closed,
    async stop() {
      hold.stop();
      await keeper.stop();
    },
  };
}

/**
 * Who may connect without saying who: nobody who has not asked for it. Over TLS it is the server that asks, and a certificate may be all it
 * takes. @throws Fault `configuration-invalid`
 */
export function demandIdentity({ nats }: Pick<NodeAgentConfig, 'nats'>): void {
  if (nats.user !== undefined || nats.credentialsFile !== undefined || nats.tls !== undefined || nats.insecureDev) return;
  const message =
    'expected user and passwordFile, or credentialsFile; without any, set nats.insecureDev (or start with --insecure-dev)';
  throw new Fault('configuration-invalid', `nats.user: ${message}`, { issues: [{ path: 'nats.user', message }] });
}
