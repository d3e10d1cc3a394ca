/**
 * Who computes a lot yields to who answers quickly: a cell that holds a core for long stretches is scheduled behind the daemon and behind
 * cells that do not, so that spinning guests cost their neighbours little more than if they were not there. On an idle machine it loses
 * nothing.
 *
 * Promises:
 * Y1. A cell is born a little behind, and so is one made again for what was just killed: it comes forward when it has been calm for about a
 *     second.
 * Y2. Only what the kernel counted decides: how much of the time the cell ran or waited for a core, in stretches of {@link LONG_MS} and more.
 *     Time it waited counts, or ten cells that fight for two cores would all look modest. A short burst does not.
 * Y3. Of the ways to say it to the kernel every one that works is used: the place of the cell's cgroup, the weight of its session (autogroup),
 *     of its threads (nice). The last cannot be taken back without a right the daemon may not have: only a cell that did compute gets it.
 * Y4. The daemon goes ahead of everybody from the first look at which a cell computes until a while after the last, where the kernel lets it and its session is nobody else's.
 *     Not otherwise: who is let in at every message takes them one by one, and many calls cost more so.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import type { Clock, Timer } from '@cim/contracts';

/** Share of the time, over about a second, above which a cell counts as computing, and below which it counts as answering again. */
const BUSY = 0.5;
const CALM = 0.1;
/** Weight of what was before, at one look in a tenth of a second. */
const MEMORY = 0.8;
/** Time on a core between two pauses of its own, ms, from which on a cell computes; one that serves many short calls pauses after each batch. */
const LONG_MS = 3;
/**
 * Priorities of sessions and threads: a third and a tenth of the weight of an ordinary one. Not the least there are: they count against
 * everything else on the machine, and limits of time are wall time. A group's place counts among our own alone, so there it is the last.
 */
const PRIORITY = { born: 5, calm: 0, computing: 10 } as const;

/** Of the daemon's session: nine times an ordinary one, as its cgroup is to that of a cell (cgroup.ts). */
const AHEAD = -10;

/** What a cell is taken for. */
export type Place = keyof typeof PRIORITY;

/** What the kernel has counted for a process's main thread since it began. */
export interface Scheduled {
  /** On a core, ms. */
  readonly ranMs: number;
  /** Ready, and without a core, ms. */
  readonly waitedMs: number;
  /** Pauses of its own accord. */
  readonly pauses: number;
}

/** @returns undefined when the process is gone, or the kernel does not count */
export function scheduled(pid: number): Scheduled | undefined {
  try {
    const [ran, waited] = readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ');
    const pauses = /^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return { ranMs: Number(ran) / 1e6, waitedMs: Number(waited) / 1e6, pauses: Number(pauses ?? 0) };
  } catch {
    return undefined;
  }
}

/** Says it to the kernel. @returns false when it is to be tried again */
export type Placing = (pid: number, place: Place) => boolean;

/** @param behind puts the cell's cgroup behind our others or level with them, where it has one */
export const placeInKernel =
  (behind?: (yes: boolean) => void): Placing =>
  (pid, place) => {
    behind?.(place !== 'calm');
    const done = session(pid, PRIORITY[place]);
    if (place !== 'born') threads(pid, PRIORITY[place]);
    return done;
  };

/** The session's weight, where it is the cell's own: the daemon must not put itself behind. */
function session(pid: number, priority: number): boolean {
  try {
    const of = (who: number | 'self') => /(\d+) nice (-?\d+)/.exec(readFileSync(`/proc/${who}/autogroup`, 'latin1')) ?? [];
    const [, its, now] = of(pid);
    if (its !== undefined && Number(now) !== priority && its !== of('self')[1])
      writeFileSync(`/proc/${pid}/autogroup`, `${priority}`);
    return true;
  } catch (error) {
    // The kernel takes ten a second from those who are not root; anything else is that there is no such thing, or no such process.
    return (error as NodeJS.ErrnoException).code !== 'EAGAIN';
  }
}

/**
 * Puts this process ahead of others. Its threads are left as they are: what it begins would be born with their priority. Not for one whose
 * session somebody else leads, such as a shell.
 * @returns puts it back where it was
 */
export function goAhead(): () => void {
  const back = (to: string) => {
    try {
      writeFileSync('/proc/self/autogroup', to);
    } catch {
      // As below.
    }
  };
  try {
    // pid (name) state parent group session
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const [, , , session] = stat.replace(/^.*\) /s, '').split(' ');
    const before = /nice (-?\d+)/.exec(readFileSync('/proc/self/autogroup', 'latin1'))?.[1];
    if (before === undefined || Number(session) !== Number.parseInt(stat, 10)) return () => {};
    writeFileSync('/proc/self/autogroup', `${AHEAD}`);
    return () => back(before);
  } catch {
    // No such thing, or not ours to say: then its cells are put behind, and that is all.
    return () => {};
  }
}

/** Where the daemon itself stands (Y4). */
export interface OwnStanding {
  /** Told at every look at which a cell computed. */
  computes(): void;
  stop(): void;
}

/** How long the daemon stays ahead after a cell computed, ms: who is ended for it often comes again. */
const LINGER_MS = 10_000;

/** @param ahead puts the daemon ahead. @returns puts it back */
export function createOwnStanding(clock: Clock, ahead: () => () => void = goAhead): OwnStanding {
  let until = 0;
  let timer: Timer | undefined;
  let back = () => {};
  const wait = () => {
    const left = until - clock.monotonic();
    timer = left > 0 ? clock.after(left, wait) : undefined;
    if (!timer) back();
  };
  return {
    computes() {
      until = clock.monotonic() + LINGER_MS;
      if (timer) return;
      back = ahead();
      wait();
    },
    stop() {
      if (!timer) return;
      timer.cancel();
      timer = undefined;
      back();
    },
  };
}

function threads(pid: number, priority: number): void {
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), priority);
  } catch {
    // Gone, or Y3.
  }
}

export interface Standing {
  /** The cell was begun. */
  born(): void;
  /** Told at every look how long ago the last was, ms. */
  look(elapsedMs: number): void;
}

/** @param pid the process, asked when needed. @param computes told at every look at which it did for most of the time since the last */
export function createStanding(
  pid: () => number,
  say: Placing,
  computes: () => void,
  read: (pid: number) => Scheduled | undefined = scheduled,
): Standing {
  // Between calm and busy: what comes decides.
  let load = (BUSY + CALM) / 2;
  let before: Scheduled | undefined;
  let place: Place = 'born';
  let told = true;
  const tell = () => {
    told = say(pid(), place);
  };
  return {
    born: tell,
    look(elapsedMs) {
      const now = read(pid());
      if (now === undefined || elapsedMs <= 0) return;
      const last = before;
      before = now;
      if (last === undefined) return;
      // A long pause between two looks counts for as many short ones.
      const kept = MEMORY ** (elapsedMs / 100);
      const share = shareOf(last, now, elapsedMs);
      if (share > BUSY) computes();
      load = kept * load + (1 - kept) * share;
      const was = place;
      if (load > BUSY) place = 'computing';
      else if (load < CALM) place = 'calm';
      if (place !== was || !told) tell();
    },
  };
}

/** Part of the time in which the process computed, or would have. */
function shareOf(before: Scheduled, now: Scheduled, elapsedMs: number): number {
  const ran = now.ranMs - before.ranMs;
  if (ran / Math.max(1, now.pauses - before.pauses) < LONG_MS) return 0;
  return Math.min(1, (ran + now.waitedMs - before.waitedMs) / elapsedMs);
}
