/**
 * The node's own word about itself: facts, workloads and conditions in one document, for heartbeats, commands and HTTP alike.
 * Conditions that follow from a state are derived here at each reading, so that none can be left standing by mistake.
 */
import {
  type Clock,
  type Condition,
  type NodeAgentConfig,
  type NodeStatus,
  renderBytes,
  type WorkloadStatus,
} from '@cim/contracts';
import { type Conditions, healthOf } from './conditions.ts';
import type { MachineReader } from './machine.ts';
import type { Sandbox } from './sandbox/sandbox.ts';
import type { TrustRoom } from './trust/trust.ts';

export interface StatusSources {
  readonly clock: Clock;
  readonly config: NodeAgentConfig;
  readonly machine: MachineReader;
  readonly conditions: Conditions;
  readonly phase: () => NodeStatus['phase'];
  readonly workloads: () => readonly WorkloadStatus[];
  /** False while one of these capabilities is on its way to the server: its workload is not there yet. */
  readonly reached: (capabilities: readonly string[]) => boolean;
  readonly offers: () => readonly string[];
  readonly others: () => readonly Condition[];
  /** The trust document that counts and the log this node vouches for. */
  readonly trust: Pick<TrustRoom, 'now' | 'logHead'>;
  readonly sandbox: Pick<Sandbox, 'limits' | 'layers'>;
  readonly heartbeatSeconds: number;
  readonly http: () => string | undefined;
  readonly sealingKey: string;
  readonly startedAt: string;
}

/** Less of the disk free than this is worth a warning. */
const DISK_LOW = 0.05;

export function statusReader(from: StatusSources): () => NodeStatus {
  const { config, conditions, clock } = from;
  return () => {
    const workloads = from
      .workloads()
      .map((w) => (w.converged && !from.reached(w.capabilities) ? { ...w, converged: false } : w));
    const machine = from.machine.read();
    for (const { kind, name, state, reason } of workloads) {
      const subject = `${kind}.${name}`;
      const bad = state === 'failed' || state === 'quarantined';
      if (bad)
        conditions.set(
          `workload-${state}`,
          'warning',
          `${kind} ${name} is ${state}`,
          reason?.detail ?? 'no reason given',
          subject,
        );
      for (const other of ['failed', 'quarantined']) if (state !== other) conditions.clear(`workload-${other}`, subject);
    }
    if (machine.diskFreeBytes < machine.diskBytes * DISK_LOW) {
      conditions.set(
        'disk-low',
        'warning',
        'The disk is almost full',
        `${renderBytes(machine.diskFreeBytes)} free where the state directory lies`,
      );
    } else conditions.clear('disk-low');
    const all = [...conditions.list(), ...from.others()];
    const capabilities = new Set(config.instance.capabilities);
    if (machine.gpus.length > 0) capabilities.add('gpu');
    return {
      api: 1,
      instance: config.instance.id,
      name: config.instance.name ?? config.instance.id,
      ...(config.instance.location === undefined ? {} : { location: config.instance.location }),
      capabilities: [...capabilities].sort(),
      offers: [...from.offers()],
      machine,
      phase: from.phase(),
      health: healthOf(all),
      conditions: all,
      ...trustFacts(from.trust),
      workloads,
      limits: from.sandbox.limits,
      layers: [...from.sandbox.layers],
      startedAt: from.startedAt,
      at: new Date(clock.now()).toISOString(),
      heartbeatSeconds: from.heartbeatSeconds,
      sealingKey: from.sealingKey,
      ...(from.http() === undefined ? {} : { http: from.http()! }),
    };
  };
}

function trustFacts({ now, logHead }: StatusSources['trust']): Pick<NodeStatus, 'trust'> {
  const sequence = now().document?.sequence;
  const log = logHead();
  if (sequence === undefined && log === undefined) return {};
  return { trust: { ...(sequence === undefined ? {} : { sequence }), ...(log === undefined ? {} : { log }) } };
}
