/**
 * What a node says of itself: facts of the machine, the state of every workload, and health conditions with codes.
 * Loose on reading, so that an older registry shows a newer node.
 */
import { z } from 'zod';
import { ChainHead } from '../chain.ts';
import { ErrorCode } from '../errors.ts';
import { Digest, InstanceId, Version, WorkloadKind, WorkloadName } from '../ids.ts';
import { LayerState } from './sandbox-layers.ts';

/** A thing worth knowing about health. `error` makes the node unhealthy, `warning` degraded. */
export const Condition = z.object({
  code: z.string().regex(/^[a-z][a-z0-9-]*$/),
  severity: z.enum(['info', 'warning', 'error']),
  title: z.string(),
  detail: z.string(),
  since: z.iso.datetime(),
});
export type Condition = z.infer<typeof Condition>;

/**
 * Life of a workload on a node:
 *
 *   pending -> fetching -> starting -> ready <-> backing-off
 *                 |           |          |
 *                 v           v          v
 *               failed     failed     draining -> stopped
 *                                     quarantined
 */
export const WorkloadState = z.enum([
  'pending',
  'fetching',
  'starting',
  'ready',
  'backing-off',
  'draining',
  'stopped',
  'failed',
  'quarantined',
]);
export type WorkloadState = z.infer<typeof WorkloadState>;

export const WorkloadStatus = z.object({
  kind: WorkloadKind,
  name: WorkloadName,
  /** What answers calls now (absent before the first start). */
  version: Version.optional(),
  digest: Digest.optional(),
  state: WorkloadState,
  /** Why it is not ready, by the error table. */
  reason: z.object({ code: ErrorCode, detail: z.string() }).optional(),
  /** Version on its way in, while the one above still serves. */
  next: z
    .object({
      version: Version,
      digest: Digest,
      state: WorkloadState,
      reason: z.object({ code: ErrorCode, detail: z.string() }).optional(),
    })
    .optional(),
  /** Generation of the desired document this state answers to. */
  generation: z.number().int().nonnegative(),
  /** True when everything the document asks for is so. */
  converged: z.boolean(),
  /** `passive` of the ready ones are idle and have given their memory back; the next call wakes them. Absent: none. */
  replicas: z.object({ desired: z.number().int(), ready: z.number().int(), passive: z.number().int().optional() }),
  restarts: z.number().int(),
  isolation: z.enum(['shared', 'dedicated']),
  capabilities: z.array(z.string()),
  calls: z.object({ total: z.number(), failed: z.number(), inFlight: z.number() }),
  since: z.iso.datetime(),
});
export type WorkloadStatus = z.infer<typeof WorkloadStatus>;

/** Facts the node found out about its machine. Sizes in bytes, load as the kernel's one-minute average. */
export const MachineFacts = z.object({
  arch: z.string(),
  kernel: z.string(),
  os: z.string(),
  cores: z.number(),
  memoryBytes: z.number(),
  memoryFreeBytes: z.number(),
  diskBytes: z.number(),
  diskFreeBytes: z.number(),
  loadAverage: z.number(),
  gpus: z.array(z.string()),
  versions: z.record(z.string(), z.string()),
});
export type MachineFacts = z.infer<typeof MachineFacts>;

export const NodeStatus = z.object({
  api: z.literal(1),
  instance: InstanceId,
  name: z.string(),
  location: z.string().optional(),
  /** Declared in the configuration plus detected (`gpu`). */
  capabilities: z.array(z.string()),
  /** What callers can call here now. */
  offers: z.array(z.string()),
  machine: MachineFacts,
  phase: z.enum(['starting', 'running', 'draining', 'stopped']),
  health: z.enum(['healthy', 'degraded', 'unhealthy']),
  /** Sequence of the trust document that counts here, and the last entry of the transparency log this node vouches for. */
  trust: z.object({ sequence: z.number().int().optional(), log: ChainHead.optional() }).optional(),
  conditions: z.array(Condition),
  workloads: z.array(WorkloadStatus),
  /** How limits on memory and cpu are kept: by the kernel or by a watchdog in the node-agent. */
  limits: z.enum(['cgroup', 'watchdog']),
  /** What stands around guest code beyond its isolate, and what does not, with the reason; absent from older nodes. */
  layers: z.array(LayerState).optional(),
  startedAt: z.iso.datetime(),
  /** When this was written, by the node's clock. */
  at: z.iso.datetime(),
  /** Seconds until the next one is due. */
  heartbeatSeconds: z.number(),
  http: z.string().optional(),
  /** Public curve key that secrets for this instance are sealed to; absent from nodes that have none. */
  sealingKey: z.string().optional(),
});
export type NodeStatus = z.infer<typeof NodeStatus>;
