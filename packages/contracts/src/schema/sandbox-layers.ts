/**
 * The layers around a guest and the limits it is held to, as an operator sets them: keys of `sandbox` in the node-agent's configuration.
 */
import { z } from 'zod';
import { Bytes } from '../quantity.ts';

/** What may stand between a guest that broke out of its isolate and the machine. docs/security.md says what each stops. */
export const SandboxLayer = z.enum([
  'permission-model',
  'empty-environment',
  'own-descriptors',
  'parent-death',
  'no-new-privileges',
  'no-capabilities',
  'own-user',
  'resource-limits',
  'namespaces',
  'no-network',
  'own-files',
  'seccomp',
  'cgroup',
  'jitless',
]);
export type SandboxLayer = z.infer<typeof SandboxLayer>;

/** Whether a layer is active, and by what, or why not. */
export const LayerState = z.object({ layer: SandboxLayer, active: z.boolean(), detail: z.string() });
export type LayerState = z.infer<typeof LayerState>;

/** Parts of the language that are closed to a guest unless its manifest asks and the configuration allows. */
export const LanguageGrant = z.enum(['wasm', 'sharedMemory', 'codegen']);
export type LanguageGrant = z.infer<typeof LanguageGrant>;

const perSecond = (of: number) => z.number().int().min(1).max(1_000_000).default(of);

export const GuestRates = z.strictObject({
  kv: perSecond(5_000).describe('Key-value operations a second of one replica; twice as many in a burst.'),
  publish: perSecond(2_000).describe('Messages a second of one replica; twice as many in a burst.'),
  emit: perSecond(200).describe('Events a second of one replica; five times as many in a burst.'),
  call: perSecond(5_000).describe('Calls of other workloads a second of one replica; twice as many in a burst.'),
  fetch: perSecond(50).describe('Requests to other hosts a second of one replica; twice as many in a burst.'),
  other: perSecond(1_000).describe('Other requests (secrets, assets) a second of one replica; twice as many in a burst.'),
  log: perSecond(100).describe('Log lines a second of one workload that leave the node; ten times as many in a burst.'),
});
export type GuestRates = z.infer<typeof GuestRates>;

/** Keys that `sandbox` of the node-agent's configuration has from here. */
export const sandboxLayerKeys = {
  isolation: z
    .enum(['auto', 'off'])
    .default('auto')
    .describe(
      '"auto" puts every layer around cells that this machine allows (namespaces, no network, seccomp, a file system of their own); "off" leaves Node\'s permission model and resource limits.',
    ),
  requireLayers: z
    .array(SandboxLayer)
    .default([])
    .describe('Layers without which the node-agent does not start, e.g. `["no-network", "seccomp", "cgroup"]`.'),
  bwrap: z.string().min(1).max(4096).optional().describe('Path of bubblewrap. Default: found in PATH.'),
  jitless: z
    .enum(['off', 'all'])
    .default('off')
    .describe(
      '"all" runs every guest without the just-in-time compiler: a smaller target, numeric code about nine times slower.',
    ),
  jitlessPublishers: z
    .array(z.string().min(1).max(100))
    .default([])
    .describe('Publishers, by their name under trust.publishers, whose guests run without the just-in-time compiler.'),
  allow: z
    .array(LanguageGrant)
    .default([])
    .describe('What manifests may ask for in grants beyond the plain language: "wasm", "sharedMemory", "codegen".'),
  rates: GuestRates.prefault({} as never).describe('What one guest may ask of the host in a second.'),
  maxFetches: z
    .number()
    .int()
    .min(1)
    .max(1_000)
    .default(8)
    .describe('Requests to other hosts under way in one replica, and connections to one host.'),
  maxValue: Bytes.default('1MB').describe('Largest value a guest may store, publish, emit or call with.'),
  metricNames: z.number().int().min(0).max(10_000).default(50).describe('Metrics of its own one workload may have.'),
  debug: z
    .boolean()
    .default(false)
    .describe(
      "Allows alchemist debug: an inspector on this machine, for a developer's machine only. The node-agent must listen on loopback.",
    ),
};
