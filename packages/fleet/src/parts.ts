/** Parts of a fleet for `startParts` of contracts: one process, or several of a kind at once; with words for what came up. */
import { type Part, systemClock } from '@cim/contracts';

export type PartEvent =
  | { readonly kind: 'starting'; readonly part: string }
  | { readonly kind: 'up'; readonly part: string; readonly detail: string; readonly ms: number };

/** Longest stop of those that came up beside one that did not, ms. */
const UNWIND_MS = 10_000;

interface Stoppable {
  stop(deadlineMs?: number): Promise<unknown>;
}

export interface DetailedPart extends Part {
  readonly detail: () => string;
}

export function one(name: string, start: () => Promise<Stoppable>, detail: () => string): DetailedPart {
  let started: Stoppable | undefined;
  return {
    name,
    detail,
    async start() {
      started = await start();
    },
    stop: async (deadline) => void (await started?.stop(deadline)),
  };
}

/** Several of a kind at once; when one fails, the others of its kind are stopped too. */
export function many<T extends Stoppable>(
  name: string,
  instances: readonly string[],
  into: Map<string, T>,
  start: (instance: string, index: number) => Promise<T>,
  detail: () => string,
): DetailedPart {
  const stop = async (deadline: number) => {
    await Promise.all([...into.values()].map((started) => started.stop(deadline)));
  };
  return {
    name,
    detail,
    async start() {
      const begun = instances.map(async (instance, index) => [instance, await start(instance, index)] as const);
      const outcomes = await Promise.allSettled(begun);
      // In the order of the instances, whichever came first.
      for (const outcome of outcomes) if (outcome.status === 'fulfilled') into.set(...outcome.value);
      const failed = outcomes.find((outcome) => outcome.status === 'rejected');
      if (!failed) return;
      await stop(UNWIND_MS);
      throw failed.reason;
    },
    stop,
  };
}

export function announced(onPart: (event: PartEvent) => void): (part: DetailedPart) => Part {
  return ({ name, detail, start, stop }) => ({
    name,
    stop,
    start: async () => {
      onPart({ kind: 'starting', part: name });
      const begun = systemClock.monotonic();
      await start();
      onPart({ kind: 'up', part: name, detail: detail(), ms: systemClock.monotonic() - begun });
    },
  });
}
