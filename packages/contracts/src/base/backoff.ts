/**
 * Delays between tries: exponential with jitter, so that a thousand leaves that lost the same hub do not come back at once.
 * Source of the algorithm: "Exponential Backoff And Jitter", AWS Architecture Blog (2015), the variant "equal jitter".
 */

export interface BackoffPolicy {
  /** First delay in ms. */
  readonly base: number;
  /** Longest delay in ms. */
  readonly cap: number;
  /** Growth per try. */
  readonly factor: number;
}

export const defaultBackoff: BackoffPolicy = { base: 100, cap: 30_000, factor: 2 };

/**
 * Delay in ms before try number `attempt` (from 0): between half of the exponential step and the whole of it.
 * @param random a number in [0, 1)
 */
export function backoffDelay(policy: BackoffPolicy, attempt: number, random: number): number {
  const step = Math.min(policy.cap, policy.base * policy.factor ** Math.min(Math.max(attempt, 0), 64));
  return Math.round(step / 2 + (step / 2) * random);
}
