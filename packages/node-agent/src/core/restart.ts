/**
 * Whether and when something that ended is begun again. Pure: time and chance are arguments.
 *
 * Promises:
 * R1. At most `intensity` restarts within `periodMs`; one more and it is given up as `failed` (the supervision principle of OTP).
 * R2. Delays grow with each restart in the period and are jittered, so that a thousand replicas do not come back at once.
 * R3. `strikes` endings by its own misdeed (memory, time) within `strikePeriodMs` give `quarantined`. Running stably does not wipe
 *     strikes off: what kills its cell every two minutes is no good neighbour.
 * R4. Having run for `stableMs` wipes the restarts off.
 * R5. What no repetition can mend (`retry: no` of the error table) is not tried again where nothing but the fetch failed.
 */
import { type BackoffPolicy, backoffDelay, type ErrorCode, errorTable } from '@cim/contracts';

export interface RestartPolicy {
  /** Restarts allowed within the period. */
  readonly intensity: number;
  readonly periodMs: number;
  readonly strikes: number;
  readonly strikePeriodMs: number;
  /** Running this long without an end counts as stable, ms. */
  readonly stableMs: number;
  readonly backoff: BackoffPolicy;
}

export const defaultRestartPolicy: RestartPolicy = {
  intensity: 5,
  periodMs: 60_000,
  strikes: 3,
  strikePeriodMs: 600_000,
  stableMs: 60_000,
  // Short first: a cell killed by a neighbour's fault should answer again before a caller notices.
  backoff: { base: 100, cap: 30_000, factor: 2 },
};

/** How a replica ended, as far as policy cares. */
export interface Ending {
  readonly kind: 'closed' | 'faulted' | 'not-started' | 'unhealthy' | 'cell-died' | 'out-of-memory' | 'out-of-time';
  readonly code: ErrorCode;
  readonly detail: string;
  /** How long it had been ready, ms; 0 when it never was. */
  readonly ranMs: number;
  /** Same for endings with one cause (a cell that took several replicas with it): they count once. */
  readonly incident?: string;
}

/** Endings that still count, oldest first. Times in ms of the clock `now` is read from. */
export interface RestartHistory {
  readonly restarts: readonly number[];
  readonly strikes: readonly number[];
  readonly lastIncident: string | undefined;
}

export const emptyHistory: RestartHistory = { restarts: [], strikes: [], lastIncident: undefined };

export type Decision =
  | { readonly kind: 'restart'; readonly afterMs: number; readonly history: RestartHistory }
  | {
      readonly kind: 'give-up';
      readonly verdict: 'failed' | 'quarantined';
      readonly reason: string;
      readonly history: RestartHistory;
    };

const isStrike = (ending: Ending): boolean => ending.kind === 'out-of-memory' || ending.kind === 'out-of-time';

/** What to do about an ending. @param random a number in [0, 1) */
export function decideRestart(
  policy: RestartPolicy,
  history: RestartHistory,
  ending: Ending,
  now: number,
  random: number,
): Decision {
  const fresh = (times: readonly number[], period: number) => times.filter((at) => now - at < period);
  const before = ending.ranMs >= policy.stableMs ? [] : fresh(history.restarts, policy.periodMs);
  const strikesBefore = fresh(history.strikes, policy.strikePeriodMs);
  const again = ending.incident !== undefined && ending.incident === history.lastIncident;
  const restarts = again ? before : [...before, now];
  const strikes = isStrike(ending) && !again ? [...strikesBefore, now] : strikesBefore;
  const next: RestartHistory = { restarts, strikes, lastIncident: ending.incident ?? history.lastIncident };

  if (strikes.length >= policy.strikes) {
    const reason = `${strikes.length} times over a limit within ${seconds(policy.strikePeriodMs)} (last: ${ending.kind}, ${ending.detail})`;
    return { kind: 'give-up', verdict: 'quarantined', reason, history: next };
  }
  if (restarts.length > policy.intensity) {
    const reason = `ended ${restarts.length} times within ${seconds(policy.periodMs)} (last: ${ending.kind}, ${ending.detail})`;
    return { kind: 'give-up', verdict: 'failed', reason, history: next };
  }
  return {
    kind: 'restart',
    afterMs: backoffDelay(policy.backoff, Math.max(restarts.length - 1, 0), random),
    history: next,
  };
}

/** What to do about a bundle that could not be had; `attempt` counts from 0 (R5). */
export function decideRefetch(
  policy: RestartPolicy,
  attempt: number,
  code: ErrorCode,
  random: number,
): { readonly kind: 'restart'; readonly afterMs: number } | { readonly kind: 'give-up' } {
  // "not-found" is final for a caller, but a hub that is being restored gets its objects back.
  if (errorTable[code].retry === 'no' && code !== 'not-found') return { kind: 'give-up' };
  return { kind: 'restart', afterMs: backoffDelay(policy.backoff, attempt, random) };
}

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
