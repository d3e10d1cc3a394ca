/**
 * Secrets of a deployed workload: sealed here, for one node; the hub stores boxes.
 *
 * Promises:
 * Z1. A value leaves this process only sealed to the key the operator knows the node by.
 * Z2. Setting and removing are compare-and-set writes of the desired document, signed as every deployment; nothing else in it changes.
 *     With a draft they end in its hands: what it gets holds boxes, never a value.
 */
import { type Desired, decode, Fault, type SealContext, type SealedSecret, SealingKey, sealSecret } from '@cim/contracts';
import { type Course, change, type Deployer, type DeployResult, standing } from '../deploy/deploy.ts';
import { withSecrets } from '../deploy/document.ts';
import type { DeployDefaults } from '../options.ts';
import { keyOf } from './known-nodes.ts';

export interface SecretTarget {
  readonly instance: string;
  /** Workload's name. */
  readonly name: string;
  readonly kind?: 'agent' | 'service' | undefined;
  readonly reason?: string | undefined;
}

export interface SealedName {
  readonly secret: string;
  /** Key it is sealed to. */
  readonly to: string;
}

export interface Secrets {
  /**
   * Seals values for a workload's node and deploys them.
   * @param values by secret name
   * @param key the node's key as read on the machine, instead of the one it shows
   * @returns the deployment, and the key when it was seen for the first time
   */
  set(
    target: SecretTarget,
    values: Readonly<Record<string, string>>,
    options?: DeployDefaults & { readonly key?: string | undefined },
  ): Promise<DeployResult & { readonly firstSeen?: string }>;
  remove(target: SecretTarget, names: readonly string[], options?: DeployDefaults): Promise<DeployResult>;
  list(target: SecretTarget): Promise<SealedName[]>;
}

/** What seals for one instance, once its key is settled. */
interface Seal {
  readonly key: SealingKey;
  /** True when the key was taken as shown, since nobody knew another. */
  readonly first: boolean;
  box(value: string, context: Omit<SealContext, 'instance'>): SealedSecret;
}

/** @throws Fault `node-key-changed`, `not-found`, `invalid-input` for a value that is empty or too large */
async function sealerFor(
  deployer: Deployer,
  knownNodesFile: string,
  instance: string,
  given: string | undefined,
  signal: AbortSignal | undefined,
): Promise<Seal> {
  const { node } = await deployer.look(instance)(signal);
  const stated = given === undefined ? undefined : decode(SealingKey, given, '--key');
  const { key, first } = await keyOf(knownNodesFile, instance, node?.sealingKey, stated, deployer.clock.now());
  return {
    key,
    first,
    box(value, context) {
      if (value === '') throw new Fault('invalid-input', `secret "${context.secret}": expected a value, found nothing`);
      return sealSecret(value, key, { ...context, instance });
    },
  };
}

/** Seals several values for one workload. */
export async function sealValues(
  deployer: Deployer,
  knownNodesFile: string,
  { instance, kind, name }: { readonly instance: string; readonly kind: 'agent' | 'service'; readonly name: string },
  values: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<NonNullable<Desired['secrets']>> {
  const seal = await sealerFor(deployer, knownNodesFile, instance, undefined, signal);
  return Object.fromEntries(
    Object.entries(values).map(([secret, value]) => [secret, seal.box(value, { kind, name, secret })] as const),
  );
}

/** @param deployerOf with the draft of the options: who takes the signed document instead of the registry */
export function secretsOf(
  deployerOf: (draft: DeployDefaults['draft']) => Deployer,
  knownNodesFile: string,
  courseOf: (options: DeployDefaults) => Course,
): Secrets {
  const rewrite = (target: SecretTarget, options: DeployDefaults, next: (before: Desired) => Desired['secrets']) =>
    change(deployerOf(options.draft), target, courseOf(options), (before, author) =>
      withSecrets(before, next(before), author, target.reason),
    );
  return {
    async set(target, values, { key: given, ...options } = {}) {
      const names = Object.keys(values);
      if (names.length === 0) throw new Fault('invalid-input', 'secrets: expected at least one name and value');
      const seal = await sealerFor(deployerOf(undefined), knownNodesFile, target.instance, given, options.signal);
      const result = await rewrite(target, options, ({ kind, name, secrets }) => ({
        ...secrets,
        ...Object.fromEntries(names.map((secret) => [secret, seal.box(values[secret]!, { kind, name, secret })])),
      }));
      return seal.first ? { ...result, firstSeen: seal.key } : result;
    },
    remove: (target, names, options = {}) =>
      rewrite(target, options, ({ secrets = {}, name }) => {
        for (const secret of names) {
          if (!Object.hasOwn(secrets, secret)) throw new Fault('not-found', `no secret "${secret}" is sealed for ${name}`);
        }
        return Object.fromEntries(Object.entries(secrets).filter(([secret]) => !names.includes(secret)));
      }),
    async list(target) {
      const { record } = await standing(deployerOf(undefined).registry, target);
      return Object.entries(record.document.secrets ?? {})
        .map(([secret, { to }]) => ({ secret, to }))
        .sort((a, b) => (a.secret < b.secret ? -1 : 1));
    },
  };
}
