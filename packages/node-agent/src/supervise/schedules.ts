/**
 * Work on the clock: the `schedule` entries of the workloads that serve.
 *
 * Promises:
 * C1. One run of a workload at a time; an entry that comes due meanwhile runs right after, once, however often it came due.
 * C2. A new version keeps the beat of entries that did not change; entries that are gone never fire again.
 * C3. A run that fails is reported and does not end the schedule.
 */
import { type Clock, Fault, type Logger, type Manifest, msOf, type Timer } from '@cim/contracts';
import { Cron } from 'croner';

export interface Schedules {
  /** What should run from now on. `run` is given the entry's name. */
  set(key: string, schedule: Manifest['schedule'], run: (entry: string) => Promise<void>): void;
  clear(key: string): void;
}

interface Entry {
  readonly text: string;
  timer: Timer;
}

interface Beat {
  run: (entry: string) => Promise<void>;
  readonly entries: Map<string, Entry>;
  /** Entries that came due during a run, in that order. */
  readonly due: Set<string>;
  running: boolean;
}

/** @returns ms until the entry is next due; cron is read in UTC. @throws Fault `bundle-malformed` when the pattern is none or never due */
export function nextDue(entry: Manifest['schedule'][string], now: number): number {
  if (entry.every !== undefined) return Math.max(msOf(entry.every), 1);
  let next: Date | null;
  try {
    next = new Cron(entry.cron!, { timezone: 'UTC', paused: true, mode: '5-part' }).nextRun(new Date(now));
  } catch (cause) {
    throw new Fault(
      'bundle-malformed',
      `schedule: ${JSON.stringify(entry.cron)} is no cron pattern of five fields: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
  if (!next) throw new Fault('bundle-malformed', `schedule: ${JSON.stringify(entry.cron)} is never due`);
  return Math.max(next.getTime() - now, 1);
}

/** Longest single timer, ms: clocks may jump, so a far date is looked at again on the way. */
const LONGEST_SLEEP = 3_600_000;

export function createSchedules({ clock, log }: { readonly clock: Clock; readonly log: Logger }): Schedules {
  const beats = new Map<string, Beat>();

  const drain = async (key: string, beat: Beat) => {
    if (beat.running) return;
    beat.running = true;
    try {
      for (const entry of beat.due) {
        beat.due.delete(entry);
        try {
          await beat.run(entry);
        } catch (error) {
          const { code, detail } = Fault.of(error, (error as Error | undefined)?.message);
          log.warn({ workload: key, schedule: entry, code, detail }, 'a scheduled run failed');
        }
      }
    } finally {
      beat.running = false;
    }
  };

  /** @param dueAt wall time of the next run */
  const arm = (key: string, beat: Beat, name: string, entry: Manifest['schedule'][string], dueAt: number): Timer => {
    const left = dueAt - clock.now();
    return clock.after(Math.min(left, LONGEST_SLEEP), () => {
      const held = beat.entries.get(name);
      if (!held) return;
      if (clock.now() < dueAt) {
        held.timer = arm(key, beat, name, entry, dueAt);
        return;
      }
      // From when it was due and not from now, so that a beat does not drift; a missed one is not caught up.
      const from = entry.every !== undefined && clock.now() - dueAt < msOf(entry.every) ? dueAt : clock.now();
      held.timer = arm(key, beat, name, entry, from + nextDue(entry, from));
      beat.due.add(name);
      void drain(key, beat);
    });
  };

  const clear = (key: string) => {
    const beat = beats.get(key);
    if (!beat) return;
    for (const { timer } of beat.entries.values()) timer.cancel();
    beat.entries.clear();
    beat.due.clear();
    beats.delete(key);
  };

  return {
    set(key, schedule, run) {
      if (Object.keys(schedule).length === 0) return clear(key);
      const beat: Beat = beats.get(key) ?? { run, entries: new Map(), due: new Set(), running: false };
      beat.run = run;
      beats.set(key, beat);
      for (const [name, { timer }] of beat.entries) {
        if (schedule[name] !== undefined) continue;
        timer.cancel();
        beat.entries.delete(name);
        beat.due.delete(name);
      }
      for (const [name, entry] of Object.entries(schedule)) {
        const text = JSON.stringify(entry);
        const before = beat.entries.get(name);
        if (before?.text === text) continue;
        before?.timer.cancel();
        beat.entries.delete(name);
        try {
          const dueAt = clock.now() + nextDue(entry, clock.now());
          beat.entries.set(name, { text, timer: arm(key, beat, name, entry, dueAt) });
        } catch (error) {
          log.error({ workload: key, schedule: name, error: (error as Error).message }, 'a schedule cannot be kept');
        }
      }
    },
    clear,
  };
}
