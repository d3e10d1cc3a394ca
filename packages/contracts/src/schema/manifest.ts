/**
 * What a bundle says of itself. Strict: a node refuses a key it does not know, since it may be a limit or a wish it would not keep.
 */
import { z } from 'zod';
import { Capability, CapabilityPattern, SecretName, SubjectPattern, Version, WorkloadKind, WorkloadName } from '../ids.ts';
import { Bytes, Cpu, DurationText } from '../quantity.ts';
import { HttpGrant } from './http-grant.ts';

/** JSON Schema as data; checked inside the isolate, never compiled to code outside. */
export const JsonSchema = z.union([z.boolean(), z.record(z.string(), z.unknown())]);

export const Resources = z.strictObject({
  cpu: Cpu.optional().describe('Share of cores the workload may use for long, e.g. "500m" or "2".'),
  memory: Bytes.optional().describe('Memory the workload may hold in all, e.g. "256Mi".'),
  storage: Bytes.optional().describe('Bytes its KV bucket may hold, e.g. "64Mi".'),
  gpu: z.union([z.string(), z.number()]).optional().describe('GPUs it needs; a requirement on the instance.'),
});
export type Resources = z.infer<typeof Resources>;

export const Configuration = z.strictObject({
  maxConcurrent: z.number().int().min(1).max(100_000).optional().describe('Calls one replica serves at a time. Default 16.'),
  timeout: DurationText.optional().describe('Deadline of one call. Default "30s".'),
  turn: DurationText.optional().describe(
    'Longest stretch of synchronous work before the isolate is interrupted. Default "2s".',
  ),
});
export type Configuration = z.infer<typeof Configuration>;

export const Grants = z.strictObject({
  publish: z.array(SubjectPattern).max(64).default([]),
  subscribe: z.array(SubjectPattern).max(64).default([]),
  call: z.array(CapabilityPattern).max(64).default([]),
  kv: z.boolean().default(false),
  secrets: z.array(SecretName).max(64).default([]),
  http: z.array(HttpGrant).max(64).optional().describe('Hosts it may fetch from.'),
  wasm: z.boolean().optional().describe('WebAssembly; the instance must allow it (sandbox.allow).'),
  sharedMemory: z.boolean().optional().describe('SharedArrayBuffer and Atomics; the instance must allow it (sandbox.allow).'),
  codegen: z.boolean().optional().describe('eval and new Function; the instance must allow it (sandbox.allow).'),
});
export type Grants = z.infer<typeof Grants>;

export const Manifest = z.strictObject({
  api: z.literal(1).describe('Version of this format; a node refuses what it does not know.'),
  name: WorkloadName,
  version: Version,
  kind: WorkloadKind,
  description: z.string().max(1000).optional(),
  runtime: z
    .literal('nodejs')
    .default('nodejs')
    .describe("Accepted as the guide writes it; means the isolate's standard library."),
  capabilities: z
    .record(
      Capability,
      z.strictObject({
        description: z.string().max(1000).optional(),
        input: JsonSchema.optional(),
        output: JsonSchema.optional(),
      }),
    )
    .refine((all) => Object.keys(all).length <= 64, 'expected at most 64 capabilities'),
  subscribe: z.array(SubjectPattern).max(64).default([]).describe('Subjects whose messages it handles.'),
  schedule: z
    .record(
      z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected a schedule name such as "nightly"'),
      z
        .strictObject({ every: DurationText.optional(), cron: z.string().max(100).optional() })
        .refine((s) => (s.every === undefined) !== (s.cron === undefined), 'expected either "every" or "cron"'),
    )
    .default({}),
  config: z.record(z.string(), z.unknown()).default({}).describe('Defaults of ctx.config.'),
  configSchema: JsonSchema.optional(),
  configuration: Configuration.default({}),
  resources: Resources.default({}),
  grants: Grants.default({ publish: [], subscribe: [], call: [], kv: false, secrets: [] }),
  requires: z
    .strictObject({
      capabilities: z.array(z.string().max(63)).max(64).default([]).describe('What the instance must offer, e.g. "gpu".'),
      gpu: z.boolean().default(false),
    })
    .default({ capabilities: [], gpu: false }),
  hooks: z
    .strictObject({ start: z.boolean().default(false), stop: z.boolean().default(false), health: z.boolean().default(false) })
    .default({ start: false, stop: false, health: false })
    .describe('Which of start, stop and health the definition has.'),
});
export type Manifest = z.infer<typeof Manifest>;

/** What applies where the manifest and the desired document are silent. */
export const defaults = {
  maxConcurrent: 16,
  timeoutMs: 30_000,
  turnMs: 2_000,
  memoryBytes: 128 * 2 ** 20,
  milliCpu: 1000,
  storageBytes: 64 * 2 ** 20,
} as const;

/** Limits with every gap filled: what a cell enforces. */
export interface Limits {
  /** Calls in flight in one replica. */
  readonly maxConcurrent: number;
  /** Deadline of a call in ms, waiting included. */
  readonly timeoutMs: number;
  /** Longest synchronous stretch in ms. */
  readonly turnMs: number;
  /** Bytes of heap; the kernel or the watchdog holds the whole to this plus a fixed allowance. */
  readonly memoryBytes: number;
  /** Thousandths of a core, sustained. */
  readonly milliCpu: number;
  /** Bytes of the workload's KV bucket. */
  readonly storageBytes: number;
}
