/**
 * Makes the host door of each replica as it is opened: its grants, its own bucket, its bundle's assets.
 */
import type { Limits, Manifest } from '@cim/contracts';
import type { VerifiedBundle } from '../bundle/verified.ts';
import { createHostDoor, type HostPorts } from '../host/host-door.ts';
import type { HostDoor, ReplicaId } from '../sandbox/sandbox.ts';
import type { Leaf } from './leaf.ts';
import { openWorkloadBucket } from './leaf-streams.ts';
import { createWorkloadKv } from './workload-kv.ts';

export interface HostDoors {
  open(id: ReplicaId, bundle: VerifiedBundle, limits: Limits): HostDoor;
  /** Manifest of the version of a workload that was opened last. */
  manifest(workload: string): Manifest | undefined;
}

export function createHostDoors(leaf: Leaf, ports: HostPorts): HostDoors {
  const manifests = new Map<string, Manifest>();
  return {
    open(id, bundle, limits) {
      manifests.set(id.name, bundle.manifest);
      return createHostDoor({
        id,
        manifest: bundle.manifest,
        ports,
        kv: createWorkloadKv({
          ready: () => leaf.ready(5_000),
          open: (connection) => openWorkloadBucket(connection, id.kind, id.name, limits.storageBytes),
        }),
        asset: (path) => bundle.asset(path),
      });
    },
    manifest: (workload) => manifests.get(workload),
  };
}
