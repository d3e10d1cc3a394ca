/** What a cell is told of a workload: the manifest's names in the order their numbers mean, the limits it enforces itself. */
import type { LanguageGrant, Manifest } from '@cim/contracts';
import type { Opening } from './protocol.ts';
import type { OpenOptions } from './sandbox.ts';

/** isolated-vm takes no less, MB. */
const LEAST_MEMORY_MB = 8;

/** What a manifest asks for beyond the plain language. */
export const languageOf = ({ grants }: Manifest): LanguageGrant[] =>
  (['wasm', 'sharedMemory', 'codegen'] as const).filter((part) => grants[part] === true);

/** @param maxReply largest answer in bytes; characters are at most as many */
export function openingOf({ id, bundle, limits, config, isolation }: OpenOptions, maxReply: number, inspect: boolean): Opening {
  const { manifest } = bundle;
  const { kind, name, version, instance, replica } = id;
  return {
    workload: { kind, name, version, instance, replica },
    config,
    ...(manifest.configSchema === undefined ? {} : { configSchema: manifest.configSchema }),
    capabilities: Object.entries(manifest.capabilities).map(([capability, { input, output }]) => ({
      name: capability,
      ...(input === undefined ? {} : { input }),
      ...(output === undefined ? {} : { output }),
    })),
    subscribe: manifest.subscribe,
    schedule: Object.keys(manifest.schedule),
    hooks: manifest.hooks,
    memoryMb: Math.max(LEAST_MEMORY_MB, Math.floor(limits.memoryBytes / 2 ** 20)),
    turnMs: limits.turnMs,
    maxReply,
    language: languageOf(manifest),
    ...(isolation === 'shared' ? { neighbours: true } : {}),
    ...(inspect ? { inspect } : {}),
  };
}
