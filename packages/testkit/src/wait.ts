/** Waiting for a condition, never for a time. */
import { systemClock, waitUntil } from '@cim/contracts';

/**
 * The first value of `condition` that is neither undefined, null nor false. A condition that throws has not been met yet; what it threw
 * last is said when the deadline passes.
 * @param deadlineMs from now
 * @param what completes "waited … for"
 * @throws Error when the deadline passes first
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  deadlineMs: number,
  what: string,
): Promise<Exclude<T, undefined | null | false>> {
  let value: T | undefined;
  let failure: unknown;
  const met = await waitUntil(systemClock, deadlineMs, async () => {
    try {
      value = await condition();
      failure = undefined;
    } catch (error) {
      failure = error;
      return false;
    }
    return value !== undefined && value !== null && value !== false;
  });
  if (met) return value as Exclude<T, undefined | null | false>;
  throw new Error(`waited ${deadlineMs} ms for ${what}`, failure === undefined ? {} : { cause: failure });
}
