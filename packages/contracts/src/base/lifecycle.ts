/**
 * Begin in order, end in reverse, leave nothing behind.
 *
 * Promises:
 * L1. Parts start in the order given; when one fails to start, those already started are stopped in reverse and the failure is thrown.
 * L2. `stop` runs in reverse under one deadline for all; a part that fails or is late is reported and does not keep the rest from stopping.
 * L3. `stop` twice is one stop.
 */
import { type Clock, DeadlineError, withDeadline } from './time.ts';

export interface Part {
  readonly name: string;
  start(): Promise<void>;
  /** Ends the part. `deadline` is in ms; what is left then is abandoned. */
  stop(deadline: number): Promise<void>;
}

/** What `stop` could not end properly, in the order it was met. */
export interface StopReport {
  readonly late: readonly string[];
  readonly failed: readonly { readonly name: string; readonly error: unknown }[];
}

export interface Running {
  stop(deadline: number): Promise<StopReport>;
}

/** Starts the parts (L1). @throws whatever the failing part threw, after unwinding */
export async function startParts(clock: Clock, parts: readonly Part[], unwindDeadline = 5_000): Promise<Running> {
  const started: Part[] = [];
  for (const part of parts) {
    try {
      await part.start();
      started.push(part);
    } catch (error) {
      await stopAll(clock, started, unwindDeadline);
      throw error;
    }
  }
  let stopping: Promise<StopReport> | undefined;
  return {
    stop(deadline) {
      stopping ??= stopAll(clock, started, deadline);
      return stopping;
    },
  };
}

async function stopAll(clock: Clock, parts: readonly Part[], deadline: number): Promise<StopReport> {
  const late: string[] = [];
  const failed: { name: string; error: unknown }[] = [];
  const end = clock.monotonic() + deadline;
  for (const part of [...parts].reverse()) {
    // Past the common deadline each part still gets a moment: closing a socket or killing a child takes no longer.
    const left = Math.max(end - clock.monotonic(), 250);
    try {
      await withDeadline(clock, left, `stopping ${part.name}`, () => part.stop(left));
    } catch (error) {
      if (error instanceof DeadlineError) late.push(part.name);
      else failed.push({ name: part.name, error });
    }
  }
  return { late, failed };
}
