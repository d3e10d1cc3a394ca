/**
 * The subjects a serving workload listens to, as something the composition root can subscribe.
 */
import type { Router } from './router.ts';
import type { Workload } from './workload.ts';

/** One subject a serving workload listens to. */
export interface WorkloadSubscription {
  /** The same for as long as this workload serves and listens to this pattern, whatever its version. */
  readonly id: string;
  readonly kind: 'agent' | 'service';
  readonly name: string;
  readonly version: string;
  readonly pattern: string;
  /** Hands a message to one replica. @param data JSON text. @throws Fault overloaded, deadline-exceeded, those of the isolate */
  deliver(subject: string, data: string): Promise<void>;
}

const NONE: readonly WorkloadSubscription[] = [];

/** Those of one workload; a restart does not take them away, since what arrives meanwhile can wait. */
export function subscriptionsOf(workload: Workload, router: Router): readonly WorkloadSubscription[] {
  const { key, kind, name, wanted } = workload;
  const bundle = wanted.state === 'running' ? servingBundle(workload) : undefined;
  // Most listen to nothing, and a node has a thousand of them.
  if (!bundle || bundle.verified.manifest.subscribe.length === 0) return NONE;
  const { manifest } = bundle.verified;
  return manifest.subscribe.map((pattern) => ({
    id: `${key} ${pattern}`,
    kind,
    name,
    version: manifest.version,
    pattern,
    // The version of the moment, not the one of the time of subscribing.
    deliver: (subject, data) =>
      router.work(key, servingBundle(workload)?.limits.timeoutMs ?? 0, ({ isolate }) =>
        isolate.message(pattern, subject, data),
      ),
  }));
}

function servingBundle({ serving, editions }: Workload) {
  const edition = serving && editions.get(serving.edition);
  return edition?.hold.kind !== 'given-up' && edition?.bundle.kind === 'here' ? edition.bundle : undefined;
}
