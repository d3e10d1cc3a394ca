/**
 * Who computes a lot yields to who answers quickly: a cell that keeps a core busy is scheduled behind the daemon and behind cells that do
 * not, so that a spinning guest costs its neighbours little more than if it were not there. On an idle machine it loses nothing.
 *
 * Promises:
 * Y1. Only what the kernel counted decides; a short burst does not.
 * Y2. Going back up needs a right the daemon may not have: then a cell stays where it is until it ends.
 */
import { setPriority } from 'node:os';

/** Share of a core, over about a second, above which a cell counts as computing, and below which it counts as answering again. */
const BUSY = 0.5;
const CALM = 0.1;
/** Weight of what was before, at one look in a tenth of a second. */
const MEMORY = 0.8;
/** A tenth of the weight of an ordinary process. */
const BEHIND = 10;

export interface Standing {
  /** Told at every look what the cell has used since the last, ms. */
  used(cpuMs: number, elapsedMs: number): void;
}

/** @param pid the process, asked when needed */
export function createStanding(pid: () => number, set: (pid: number, priority: number) => void = setPriority): Standing {
  let load = 0;
  let behind = false;
  return {
    used(cpuMs, elapsedMs) {
      if (elapsedMs <= 0) return;
      // A long pause between two looks counts for as many short ones.
      const kept = MEMORY ** (elapsedMs / 100);
      load = kept * load + (1 - kept) * (cpuMs / elapsedMs);
      if (behind ? load >= CALM : load <= BUSY) return;
      behind = !behind;
      try {
        set(pid(), behind ? BEHIND : 0);
      } catch {
        // Gone, or Y2.
      }
    },
  };
}
