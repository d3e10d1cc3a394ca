/**
 * What a workload says of itself, from its state. Pure but for remembering since when it says so.
 */
import type { WorkloadState, WorkloadStatus } from '@cim/contracts';
import type { RouteStats } from './router.ts';
import { type Edition, type Reason, readyOf, type Workload } from './workload.ts';

/** How far an edition is, apart from whether calls go to it. */
function stateOf(workload: Workload, edition: Edition | undefined): WorkloadState {
  if (!edition) return 'pending';
  const phases = [...workload.replicas.values()].flatMap((r) => (r.edition === edition.id ? [r.phase().kind] : []));
  if (phases.includes('ready')) return 'ready';
  if (edition.hold.kind === 'given-up') return edition.hold.verdict === 'quarantined' ? 'quarantined' : 'failed';
  if (phases.includes('starting')) return 'starting';
  if (edition.bundle.kind === 'fetching') return 'fetching';
  if (edition.hold.kind === 'until') return 'backing-off';
  return 'pending';
}

function reasonOf(edition: Edition | undefined): Reason | undefined {
  if (edition?.reason) return edition.reason;
  return edition?.blocked === undefined ? undefined : { code: 'resources-exhausted', detail: edition.blocked };
}

/** True when everything the document asks for is so; what drains may still drain. */
export function isConverged(workload: Workload): boolean {
  const { wanted, serving } = workload;
  if (wanted.state === 'removed') return workload.replicas.size === 0;
  if (wanted.replicas === 0) return serving?.edition === wanted.edition && living(workload) === 0;
  return serving?.edition === wanted.edition && readyOf(workload, wanted.edition).length === wanted.replicas;
}

const living = (workload: Workload): number =>
  [...workload.replicas.values()].filter((r) => r.phase().kind === 'ready' || r.phase().kind === 'starting').length;

/** @param now wall time, ms */
export function statusOf(workload: Workload, stats: RouteStats, now: number): WorkloadStatus {
  const { wanted, serving, record, editions } = workload;
  const current = serving ? editions.get(serving.edition) : editions.get(wanted.edition);
  const shown = current ?? editions.get(wanted.edition);
  const answering = serving ? readyOf(workload, serving.edition) : [];
  const ready = answering.length;
  const passive = answering.filter((replica) => {
    const phase = replica.phase();
    return phase.kind === 'ready' && phase.isolate.asleep === true;
  }).length;
  const state = overall(workload, shown, ready);
  if (workload.shown.state !== state) workload.shown = { state, since: now };
  const reason = state === 'ready' && ready === (serving?.replicas ?? 0) ? undefined : reasonOf(shown);
  const coming =
    wanted.state === 'running' && serving && serving.edition !== wanted.edition ? editions.get(wanted.edition) : undefined;
  const comingBundle =
    wanted.state === 'running' && serving && serving.edition !== wanted.edition ? record.document.bundle : undefined;
  const comingReason = reasonOf(coming);
  const bundle = serving ? shown?.record.document.bundle : undefined;
  return {
    kind: workload.kind,
    name: record.document.name,
    ...(bundle === undefined ? {} : { version: bundle.version, digest: bundle.digest }),
    state,
    ...(reason === undefined ? {} : { reason: { ...reason } }),
    ...(comingBundle === undefined
      ? {}
      : {
          next: {
            version: comingBundle.version,
            digest: comingBundle.digest,
            // Ready but not yet serving is still on its way in.
            state: nextState(stateOf(workload, coming)),
            ...(comingReason === undefined ? {} : { reason: { ...comingReason } }),
          },
        }),
    generation: record.document.generation,
    converged: isConverged(workload),
    replicas: { desired: wanted.state === 'removed' ? 0 : wanted.replicas, ready, ...(passive > 0 ? { passive } : {}) },
    restarts: workload.restarts,
    isolation: shown && shown.history.strikes.length > 0 ? 'dedicated' : record.document.isolation,
    capabilities: shown?.bundle.kind === 'here' ? [...shown.bundle.capabilities] : [],
    calls: stats,
    since: new Date(workload.shown.since).toISOString(),
  };
}

const nextState = (state: WorkloadState): WorkloadState => (state === 'ready' ? 'starting' : state);

function overall(workload: Workload, shown: Edition | undefined, ready: number): WorkloadState {
  const { wanted } = workload;
  if (wanted.state === 'removed') return workload.replicas.size > 0 ? 'draining' : 'stopped';
  if (ready > 0) return 'ready';
  if (wanted.replicas === 0 && workload.serving?.edition === wanted.edition)
    return workload.replicas.size > 0 ? 'draining' : 'stopped';
  return stateOf(workload, shown);
}
