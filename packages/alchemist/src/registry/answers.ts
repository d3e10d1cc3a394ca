/**
 * What the registry answers, decoded where it enters. Loose: a newer registry may say more than this asks for.
 */
import {
  ChainHead,
  CimEvent,
  DesiredRecord,
  Digest,
  InstanceId,
  NodeStatus,
  TokenView,
  Version,
  WorkloadKind,
  WorkloadName,
  WorkloadStatus,
} from '@cim/contracts';
import { z } from 'zod';

export const Published = z.object({
  name: WorkloadName,
  version: Version,
  kind: WorkloadKind,
  digest: Digest,
  size: z.number(),
  sequence: z.number(),
  /** False when these very bytes were published before. */
  created: z.boolean(),
});
export type Published = z.infer<typeof Published>;

export const CatalogItem = z.object({
  name: WorkloadName,
  kind: WorkloadKind,
  description: z.string().optional(),
  /** Newest first. */
  versions: z.array(
    z.object({ version: Version, digest: Digest, size: z.number(), publishedAt: z.string(), publishedBy: z.string() }),
  ),
  /** Channel to version. */
  channels: z.record(z.string(), z.string()),
});
export type CatalogItem = z.infer<typeof CatalogItem>;
export const CatalogList = z.object({ bundles: z.array(CatalogItem) });

export const StoredDesired = z.object({ revision: z.number(), record: DesiredRecord });
export type StoredDesired = z.infer<typeof StoredDesired>;
export const DesiredList = z.object({ desired: z.array(StoredDesired) });

/** `unknown`: its heartbeat is gone, so nobody can say; never taken for dead. */
const Presence = z.enum(['online', 'unknown']);

export const NodeView = z.object({
  instance: InstanceId,
  presence: Presence,
  /** Age of the status in seconds. */
  ageSeconds: z.number().nullish(),
  status: NodeStatus.nullable(),
});
export type NodeView = z.infer<typeof NodeView>;
export const NodeList = z.object({ nodes: z.array(NodeView) });

export const WorkloadView = z.object({
  instance: InstanceId,
  kind: WorkloadKind,
  name: WorkloadName,
  presence: Presence,
  desired: z
    .object({
      version: Version,
      digest: Digest,
      replicas: z.number(),
      generation: z.number(),
      state: z.enum(['running', 'removed']),
      revision: z.number(),
    })
    .nullable(),
  observed: WorkloadStatus.nullable(),
  converged: z.boolean(),
});
export type WorkloadView = z.infer<typeof WorkloadView>;
export const WorkloadList = z.object({ workloads: z.array(WorkloadView) });

export const SequencedEvent = z.object({ sequence: z.number(), event: CimEvent });
export type SequencedEvent = z.infer<typeof SequencedEvent>;
export const EventList = z.object({ events: z.array(SequencedEvent) });

export const TokenList = z.object({ tokens: z.array(TokenView) });
/** The one answer that holds a token. */
export const MadeToken = TokenView.extend({ token: z.string() });
export type MadeToken = z.infer<typeof MadeToken>;

export const AuditEnd = z.object({ head: ChainHead.nullable(), open: z.number() });

export const WhoAmI = z.object({ name: z.string(), roles: z.array(z.string()) });
export type WhoAmI = z.infer<typeof WhoAmI>;
