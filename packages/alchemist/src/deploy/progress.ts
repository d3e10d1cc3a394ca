/**
 * How far a node is with a desired document, read from what it says of the workload. Pure.
 *
 * Promises:
 * G1. A status that answers to an older generation says nothing about this one.
 * G2. Retrying (`backing-off`) is no failure; `failed` and `quarantined` are, with the node's own reason.
 */
import { errorTable, Fault, type WorkloadStatus } from '@cim/contracts';

export type StepKind =
  | 'built'
  | 'published'
  | 'stored'
  /** Signed and handed on, to be signed by others; nothing is stored. */
  | 'drafted'
  | 'unchanged'
  | 'seen'
  | 'fetching'
  | 'starting'
  | 'backing-off'
  | 'ready'
  | 'draining'
  | 'removed'
  | 'done';

/** One thing that happened on the way. */
export interface DeployStep {
  readonly kind: StepKind;
  readonly detail: string;
  /** Milliseconds since the deployment began. */
  readonly elapsedMs: number;
}

export interface Expectation {
  readonly instance: string;
  readonly kind: 'agent' | 'service';
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly generation: number;
  readonly removal: boolean;
}

export type Reading =
  | { readonly kind: 'waiting'; readonly steps: readonly StepKind[]; readonly detail: string }
  | { readonly kind: 'done'; readonly steps: readonly StepKind[] }
  | { readonly kind: 'failed'; readonly fault: Fault };

/** What a status says about the expectation. `undefined`: the node does not list the workload. */
export function read(status: WorkloadStatus | undefined, expected: Expectation): Reading {
  const { name, version, instance, generation, digest, removal } = expected;
  if (removal) {
    if (status === undefined) return { kind: 'done', steps: ['removed', 'done'] };
    if (status.generation < generation) return { kind: 'waiting', steps: [], detail: 'the node has not seen it yet' };
    if (status.state === 'stopped') return { kind: 'done', steps: ['seen', 'removed', 'done'] };
    return { kind: 'waiting', steps: status.state === 'draining' ? ['seen', 'draining'] : ['seen'], detail: status.state };
  }
  if (status === undefined) return { kind: 'waiting', steps: [], detail: 'the node has not seen it yet' };
  if (status.generation < generation) {
    return { kind: 'waiting', steps: [], detail: `the node still answers to generation ${status.generation}` };
  }
  const onItsWay = status.next?.digest === digest ? status.next : undefined;
  const state = onItsWay?.state ?? status.state;
  const reason = onItsWay?.reason ?? status.reason;
  if (status.converged && (status.digest ?? digest) === digest) return { kind: 'done', steps: ['seen', 'ready', 'done'] };
  const refused =
    reason !== undefined && state === 'ready' && status.digest !== digest && errorTable[reason.code].retry === 'no';
  if (state === 'failed' || state === 'quarantined' || refused) {
    const stays = status.version !== undefined && status.digest !== digest ? `; ${status.version} keeps serving` : '';
    const { code, detail } = reason ?? { code: 'start-failed' as const, detail: `the node says ${state} and no reason` };
    return { kind: 'failed', fault: new Fault(code, `${name}@${version} on ${instance}: ${detail}${stays}`) };
  }
  const steps: StepKind[] = ['seen'];
  if (state === 'fetching' || state === 'starting' || state === 'backing-off') steps.push(state);
  if (state === 'ready') steps.push('ready');
  if (state === 'draining') steps.push('ready', 'draining');
  const { ready, desired } = status.replicas;
  return {
    kind: 'waiting',
    steps,
    detail:
      reason === undefined ? `${state}, ${ready} of ${desired} replicas ready` : `${state}: ${reason.detail.split('\n', 1)[0]}`,
  };
}
