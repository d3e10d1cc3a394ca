/**
 * Makes the host door of each replica as it is opened: its grants, its own bucket, its bundle's assets.
 */
import type { Desired, Limits } from '@cim/contracts';
import type { VerifiedBundle } from '../bundle/verified.ts';
import { createHostDoor, type HostPorts } from '../host/host-door.ts';
import type { HostDoor, ReplicaId } from '../sandbox/sandbox.ts';
import type { Leaf } from './leaf.ts';
import { openWorkloadBucket } from './leaf-streams.ts';
import { createWorkloadKv } from './workload-kv.ts';

export type OpenDoor = (
  id: ReplicaId,
  bundle: VerifiedBundle,
  limits: Limits,
  /** Sealed secrets of the newest document. */
  sealed: () => Desired['secrets'],
) => HostDoor;

/** @returns what makes the door of one replica */
export function hostDoors(leaf: Leaf, ports: HostPorts): OpenDoor {
  return (id, bundle, limits, sealed) =>
    createHostDoor({
      id,
      manifest: bundle.manifest,
      ports,
      kv: createWorkloadKv({
        ready: () => leaf.ready(5_000),
        open: (connection) => openWorkloadBucket(connection, id.kind, id.name, limits.storageBytes),
      }),
      asset: (path) => bundle.asset(path),
      sealed,
    });
}
