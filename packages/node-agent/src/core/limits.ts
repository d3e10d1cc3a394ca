/**
 * What a replica may use, and what it asks its instance to set aside. Pure.
 *
 * Promises:
 * L1. Resources: the desired document may lower what the manifest sets and may set where the manifest is silent; it never raises.
 * L2. Configuration: the desired document overrides the manifest (that is the operator's to tune).
 * L3. Every gap is filled from contracts' `defaults`, or from the instance's policy where that is less: who asks for nothing is not refused.
 */
import {
  bytesOf,
  type Desired,
  defaults,
  type Limits,
  type Manifest,
  milliCpuOf,
  msOf,
  type NodeAgentConfig,
  type Policy,
} from '@cim/contracts';

type Overrides = Pick<Desired, 'resources' | 'configuration'>;

const capped = (manifest: number | undefined, desired: number | undefined): number | undefined =>
  manifest === undefined ? desired : desired === undefined ? manifest : Math.min(manifest, desired);

const read = <T>(value: T | undefined, parse: (value: T) => number): number | undefined =>
  value === undefined ? undefined : parse(value);

/** The limits a cell enforces (L1, L2, L3). */
export function effectiveLimits(
  manifest: Pick<Manifest, 'resources' | 'configuration'>,
  desired: Overrides,
  policy: Pick<Policy, 'memory' | 'cpu' | 'storage'> = {},
): Limits {
  const own = manifest.resources;
  const over = desired.resources;
  const configuration = { ...manifest.configuration, ...definedOf(desired.configuration) };
  return {
    maxConcurrent: configuration.maxConcurrent ?? defaults.maxConcurrent,
    timeoutMs: read(configuration.timeout, msOf) ?? defaults.timeoutMs,
    turnMs: read(configuration.turn, msOf) ?? defaults.turnMs,
    memoryBytes:
      capped(read(own.memory, bytesOf), read(over.memory, bytesOf)) ??
      Math.min(defaults.memoryBytes, read(policy.memory, bytesOf) ?? Infinity),
    milliCpu:
      capped(read(own.cpu, milliCpuOf), read(over.cpu, milliCpuOf)) ??
      Math.min(defaults.milliCpu, read(policy.cpu, milliCpuOf) ?? Infinity),
    storageBytes:
      capped(read(own.storage, bytesOf), read(over.storage, bytesOf)) ??
      Math.min(defaults.storageBytes, read(policy.storage, bytesOf) ?? Infinity),
  };
}

const definedOf = <T extends object>(value: T): Partial<T> =>
  Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as Partial<T>;

/** What one replica asks the instance to set aside: bytes and thousandths of a core. */
export interface Demand {
  readonly memoryBytes: number;
  readonly milliCpu: number;
}

/**
 * What a replica counts for where nobody asked for memory: the measured size of an idle one, rounded up, alone in a cell or among
 * others. Its ceiling (`defaults.memoryBytes`) is not set aside, or a machine could hold a few dozen idle agents instead of a thousand.
 */
export const SILENT_MEMORY = { shared: 4 * 2 ** 20, dedicated: 32 * 2 ** 20 } as const;

/** What is set aside for one replica: what was asked for in so many words, else what an idle one takes. */
export function demandOf(manifest: Pick<Manifest, 'resources'>, desired: Pick<Desired, 'resources' | 'isolation'>): Demand {
  const own = manifest.resources;
  const over = desired.resources;
  return {
    memoryBytes: capped(read(own.memory, bytesOf), read(over.memory, bytesOf)) ?? SILENT_MEMORY[desired.isolation],
    milliCpu: capped(read(own.cpu, milliCpuOf), read(over.cpu, milliCpuOf)) ?? 0,
  };
}

/** What this instance gives to workloads in all: what is configured, else four fifths of its memory and all of its cores. */
export function capacityOf(
  config: NodeAgentConfig['sandbox'],
  machine: { readonly memoryBytes: number; readonly cores: number },
): Demand & { readonly replicas: number } {
  return {
    memoryBytes: read(config.memory, bytesOf) ?? Math.floor(machine.memoryBytes * 0.8),
    milliCpu: read(config.cpu, milliCpuOf) ?? machine.cores * 1000,
    replicas: config.maxWorkloads,
  };
}
