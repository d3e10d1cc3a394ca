/**
 * How an edition fares: fetched, admitted, held back, given up. The supervisor's inner room for everything that is about an edition and
 * not about one replica.
 *
 * Promises:
 * E1. What a fetch brings is admitted before it counts as here; a refusal is final until the document changes.
 * E2. Every hold comes from core/restart; every giving up is told once as `<kind>.failed`, with the reason in the status.
 */
import { type Clock, Fault, type Logger, type Policy } from '@cim/contracts';
import type { Floors } from '../bundle/floors.ts';
import type { BundleStore } from '../bundle/store.ts';
import type { VerifiedBundle } from '../bundle/verified.ts';
import { admit, type Capacity, type HostFacts } from '../core/admit.ts';
import { demandOf, effectiveLimits } from '../core/limits.ts';
import { decideRefetch, decideRestart, type Ending, emptyHistory, type RestartPolicy } from '../core/restart.ts';
import type { Edition, Workload } from './workload.ts';

/** Says something to the fleet; `subject` is what it is about, mostly a workload's name. */
export type Emit = (type: string, data: Record<string, unknown>, subject: string) => void;

export interface EditionDeps {
  readonly bundles: BundleStore;
  readonly floors: Floors;
  readonly host: HostFacts;
  readonly capacity: () => Capacity;
  readonly policy: Policy;
  readonly restart: RestartPolicy;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly emit: Emit;
  /** Told when the edition is not what it was. */
  readonly changed: (workload: Workload) => void;
}

export interface Editions {
  fetch(workload: Workload, edition: Edition): void;
  /** A replica of it ended, or did not start. */
  ended(workload: Workload, edition: Edition, ending: Ending): void;
  /** Nothing of it may run any more: its bundle is let go, and it stays off until trust or the document changes. */
  withdraw(workload: Workload, edition: Edition, fault: Fault): void;
  /** Takes off what holds it back, as after a changed document. */
  release(edition: Edition): void;
  /** Ends what it still waits for. */
  abandon(edition: Edition): void;
}

export function createEditions(deps: EditionDeps): Editions {
  const { clock, log, emit } = deps;

  const giveUp = (
    workload: Workload,
    edition: Edition,
    verdict: 'failed' | 'quarantined' | 'withdrawn',
    fault: Fault,
    mendable: boolean,
  ) => {
    edition.hold = { kind: 'given-up', verdict };
    edition.reason = { code: fault.code, detail: fault.detail };
    edition.mendable = mendable;
    const { version, digest } = edition.record.document.bundle;
    const { generation } = edition.record.document;
    log.error({ workload: workload.key, version, verdict, code: fault.code, detail: fault.detail }, 'a workload was given up');
    emit(
      `${workload.kind}.failed`,
      { version, digest, generation, verdict, code: fault.code, detail: fault.detail },
      workload.name,
    );
  };

  const refused = (workload: Workload, edition: Edition, fault: Fault) => {
    const { version, digest } = edition.record.document.bundle;
    emit('bundle.refused', { version, digest, code: fault.code, detail: fault.detail }, workload.name);
    giveUp(workload, edition, 'failed', fault, false);
  };

  const arrived = (workload: Workload, edition: Edition, verified: VerifiedBundle) => {
    const { document } = edition.record;
    const { manifest, statement, publisher } = verified;
    const demand = demandOf(manifest, document);
    const limits = effectiveLimits(manifest, document, deps.policy);
    const admission = admit(
      {
        manifest,
        demand,
        replicas: document.replicas,
        limits,
        publisher: publisher.name,
        sequence: statement.sequence,
        floor: deps.floors.floorOf(manifest.name, publisher.key),
        rollback: document.rollback,
      },
      deps.host,
      deps.capacity(),
      deps.policy,
    );
    if (admission.kind === 'refused') {
      edition.bundle = { kind: 'absent' };
      refused(workload, edition, admission.fault);
      return;
    }
    log.debug({ workload: workload.key, version: manifest.version, reasons: admission.reasons }, 'a bundle was admitted');
    edition.bundle = { kind: 'here', verified, limits, demand, capabilities: Object.keys(manifest.capabilities).sort() };
    edition.reason = undefined;
    edition.attempts = 0;
  };

  const failed = (workload: Workload, edition: Edition, fault: Fault) => {
    edition.bundle = { kind: 'absent' };
    const decision = decideRefetch(deps.restart, edition.attempts, fault.code, deps.random());
    if (decision.kind === 'give-up') return refused(workload, edition, fault);
    edition.attempts++;
    edition.reason = { code: fault.code, detail: fault.detail };
    edition.hold = { kind: 'until', at: clock.monotonic() + decision.afterMs };
    log.warn(
      { workload: workload.key, code: fault.code, detail: fault.detail, afterMs: decision.afterMs },
      'a bundle could not be had; trying again',
    );
  };

  return {
    fetch(workload, edition) {
      const controller = new AbortController();
      edition.bundle = { kind: 'fetching', controller };
      const { document } = edition.record;
      const { version, digest, size } = document.bundle;
      const stale = () => edition.bundle.kind !== 'fetching' || edition.bundle.controller !== controller;
      const pulled = () => emit('bundle.fetched', { version, digest, size }, workload.name);
      deps.bundles
        .get(document.bundle, document, controller.signal, pulled)
        .then(
          (verified) => {
            if (!stale()) arrived(workload, edition, verified);
          },
          (error) => {
            if (!stale())
              failed(workload, edition, Fault.of(error, `bundle ${digest}: ${(error as Error | undefined)?.message}`));
          },
        )
        .finally(() => deps.changed(workload));
    },
    ended(workload, edition, ending) {
      const decision = decideRestart(deps.restart, edition.history, ending, clock.monotonic(), deps.random());
      edition.history = decision.history;
      const { version, digest } = edition.record.document.bundle;
      const facts = { version, digest, ending: ending.kind, code: ending.code, detail: ending.detail };
      log.warn({ workload: workload.key, ...facts, decision: decision.kind }, 'a replica ended');
      if (ending.kind === 'out-of-memory' || ending.kind === 'out-of-time') emit('node.limit-hit', facts, workload.name);
      // The disk has changed under a verified bundle: it must be verified, and perhaps fetched, again.
      if (ending.code === 'digest-mismatch') edition.bundle = { kind: 'absent' };
      edition.recovering = { code: ending.code, detail: ending.detail };
      // What was given up before stays so: the last replicas of a quarantined edition end one after the other.
      if (edition.hold.kind === 'given-up') return;
      if (decision.kind === 'restart') {
        edition.hold = { kind: 'until', at: clock.monotonic() + decision.afterMs };
        edition.reason = { code: ending.code, detail: ending.detail };
        workload.restarts++;
      } else {
        const quarantined = decision.verdict === 'quarantined';
        giveUp(
          workload,
          edition,
          decision.verdict,
          new Fault(quarantined ? 'quarantined' : ending.code, decision.reason),
          !quarantined,
        );
      }
      deps.changed(workload);
    },
    withdraw(workload, edition, fault) {
      edition.bundle = { kind: 'absent' };
      giveUp(workload, edition, 'withdrawn', fault, false);
    },
    release(edition) {
      edition.hold = { kind: 'free' };
      edition.history = emptyHistory;
      edition.attempts = 0;
      edition.reason = undefined;
      edition.mendable = false;
    },
    abandon(edition) {
      if (edition.bundle.kind === 'fetching') edition.bundle.controller.abort(new Fault('internal', 'no longer wanted'));
      edition.bundle = { kind: 'absent' };
    },
  };
}
