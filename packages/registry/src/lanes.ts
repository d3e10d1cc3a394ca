/**
 * A bound on how many do the same at a time: the rest wait their turn, and not for ever.
 */
import { type Clock, Fault } from '@cim/contracts';

/** Runs `work` when a lane is free. @throws Fault `overloaded` when none was within the wait */
export type Lanes = <T>(work: () => Promise<T>) => Promise<T>;

/** @param what names what is bounded, for the fault */
export function createLanes(clock: Clock, lanes: number, waitMs: number, what: string): Lanes {
  let free = lanes;
  const waiting: (() => void)[] = [];
  const enter = async () => {
    if (free > 0) {
      free--;
      return;
    }
    const turn = Promise.withResolvers<void>();
    waiting.push(turn.resolve);
    const late = clock.after(waitMs, () => {
      const at = waiting.indexOf(turn.resolve);
      if (at < 0) return;
      waiting.splice(at, 1);
      turn.reject(new Fault('overloaded', `${lanes} ${what} are under way, and none ended within ${waitMs / 1000} s`));
    });
    try {
      await turn.promise;
    } finally {
      late.cancel();
    }
  };
  return async (work) => {
    await enter();
    try {
      return await work();
    } finally {
      // The lane goes from hand to hand, so nobody can slip in before who waited longest.
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}
