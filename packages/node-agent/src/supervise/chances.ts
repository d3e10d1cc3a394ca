/**
 * Second chances and withdrawals: what all editions of the node go through when something outside them has changed, a link that is back or
 * a key that is no longer trusted.
 */
import type { ErrorCode, Fault } from '@cim/contracts';
import type { VerifiedBundle } from '../bundle/verified.ts';
import type { Editions } from './editions.ts';
import type { Workload } from './workload.ts';

/** Refusals that another trust may lift. */
const trustCodes: ReadonlySet<string> = new Set<ErrorCode>([
  'signer-unknown',
  'signer-expired',
  'publisher-revoked',
  'bundle-revoked',
  'scope-exceeded',
  'log-missing',
  'log-forked',
]);

export interface Chances {
  retryFailed(): void;
  retrust(judge: (bundle: VerifiedBundle) => Fault | undefined): void;
}

export function createChances(deps: {
  readonly workloads: () => readonly Workload[];
  readonly editions: Editions;
  /** Told of each workload whose editions stand otherwise now. */
  readonly lifted: (workload: Workload) => void;
}): Chances {
  const { editions } = deps;
  return {
    retryFailed() {
      for (const workload of deps.workloads()) {
        for (const edition of workload.editions.values()) {
          const failed = edition.hold.kind === 'given-up' && edition.hold.verdict === 'failed' && edition.mendable;
          const waiting = edition.hold.kind === 'until' && edition.bundle.kind === 'absent';
          if (!failed && !waiting) continue;
          editions.release(edition);
          deps.lifted(workload);
        }
      }
    },
    retrust(judge) {
      for (const workload of deps.workloads()) {
        for (const edition of workload.editions.values()) {
          const fault = edition.bundle.kind === 'here' ? judge(edition.bundle.verified) : undefined;
          if (fault) {
            editions.withdraw(workload, edition, fault);
            for (const replica of workload.replicas.values()) if (replica.edition === edition.id) replica.stop(0);
          } else if (edition.hold.kind === 'given-up' && edition.reason && trustCodes.has(edition.reason.code)) {
            editions.release(edition);
          } else continue;
          deps.lifted(workload);
        }
      }
    },
  };
}
