/** Brings a hostile bundle to a wall, watches what comes of it and compares that with what the case says. */
import { type Fault, systemClock, waitUntil } from '@cim/contracts';
import { type End, type Fate, type Hostile, MIB } from './case.ts';

/** A hostile workload that has been let in. */
export interface Subject {
  /** What came of a call: its end, and the answer or the fault's detail. */
  call(input: unknown, budgetMs: number): Promise<CallOutcome>;
  /** What has become of it by now; waits for an end that is on its way up to `withinMs`. */
  fate(expected: readonly Fate[], withinMs: number): Promise<Fate>;
  /** Asks it honestly, after it was made anew where it had ended. */
  well(): Promise<CallOutcome>;
  /** Bytes it held at most, as seen from outside. */
  peakBytes(): number;
  close(): Promise<void>;
}

export interface CallOutcome {
  readonly end: End;
  readonly value?: unknown;
  readonly detail: string;
}

/** What hostile bundles are brought to. */
export interface Wall {
  /** Lets one in; what it ended in when it did not start. */
  open(one: Hostile): Promise<Subject | { readonly refused: Fault; readonly fate: Fate }>;
  /** What else must be so when it has become that: state, reason, events. Takes the workload away. @returns what is wrong */
  aftermath(one: Hostile, met: readonly End[], fate: Fate): Promise<readonly string[]>;
  /** What a cell may hold beyond the limits of what is in it, bytes. */
  readonly allowanceBytes: number;
  /** True while the daemon behind it lives. */
  alive(): boolean;
}

export interface Verdict {
  readonly name: string;
  /** Empty when all was as the case says. */
  readonly problems: readonly string[];
  /** How its calls ended. */
  readonly met: readonly End[];
  /** What was seen, for the table. */
  readonly seen: string;
  readonly ms: number;
  readonly peakBytes: number;
  /** Bytes beyond limit and allowance. */
  readonly overBytes: number;
}

/** How long an end that is expected may take after the call, ms: the watchdog's patience on a busy machine. */
const FATE_MS = 6_000;

/** What a machine that is too busy makes of any bundle. */
const BUSY: readonly End[] = ['turn-exceeded', 'deadline-exceeded'];
const TRIES = 4;

/**
 * Brings it in and compares. Limits of time are wall time: a bundle that met one which its case does not expect is tried again, since a
 * machine that did not let it run is no verdict on it.
 */
async function judge(wall: Wall, one: Hostile): Promise<Verdict> {
  for (let left = TRIES - 1; ; left--) {
    const verdict = await tried(wall, one);
    const busy = verdict.met.some((end) => BUSY.includes(end) && !one.ends.includes(end));
    if (!busy || left === 0) return verdict;
  }
}

async function tried(wall: Wall, one: Hostile): Promise<Verdict> {
  const from = systemClock.monotonic();
  const problems: string[] = [];
  const verdict = (seen: string, peakBytes: number): Verdict => {
    const overBytes = Math.max(0, peakBytes - one.limits.memoryBytes - wall.allowanceBytes);
    if (overBytes > one.overshootBytes) problems.push(`held ${Math.round(overBytes / MIB)} MiB more than it may`);
    if (!wall.alive()) problems.push('the daemon is gone');
    return { name: one.name, problems, met, seen, ms: systemClock.monotonic() - from, peakBytes, overBytes };
  };
  const met: End[] = [];
  const compare = ({ end, value, detail }: CallOutcome) => {
    met.push(end);
    if (!one.ends.includes(end)) problems.push(`ended in ${end} (${detail.slice(0, 200)}), expected ${one.ends.join(' or ')}`);
    if (end !== 'answered' && one.says && !one.says.test(detail))
      problems.push(`does not say ${one.says}: ${detail.slice(0, 200)}`);
    if (end === 'answered' && 'answer' in one && JSON.stringify(value) !== JSON.stringify(one.answer))
      problems.push(`answered ${JSON.stringify(value)?.slice(0, 200)}, expected ${JSON.stringify(one.answer)}`);
    if (detail.length > 20_000) problems.push(`a detail of ${detail.length} characters`);
  };

  const opened = await wall.open(one);
  if ('refused' in opened) {
    const { code, detail } = opened.refused;
    if (one.strikes !== 'load') problems.push('was not let in');
    compare({ end: code, detail });
    if (!one.fates.includes(opened.fate)) problems.push(`became ${opened.fate}, expected ${one.fates.join(' or ')}`);
    problems.push(...(await wall.aftermath(one, met, opened.fate)));
    return verdict(`${code} · ${opened.fate}`, 0);
  }
  try {
    if (one.strikes === 'load') problems.push('was let in');
    let last: CallOutcome = { end: 'answered', detail: '' };
    for (let i = 0; i < one.times; i++) {
      last = await opened.call('bad', one.budgetMs);
      compare(last);
      if (last.end === 'out-of-memory') break;
    }
    const fate = await opened.fate(one.fates, FATE_MS);
    if (!one.fates.includes(fate)) problems.push(`became ${fate}, expected ${one.fates.join(' or ')}`);
    const again = await opened.well();
    if (again.end !== 'answered') met.push(again.end);
    if (again.value !== 'well') problems.push(`the next honest call ended in ${again.end} ${again.detail.slice(0, 200)}`);
    problems.push(...(await wall.aftermath(one, met, fate)));
    return verdict(`${last.end} · ${fate}`, opened.peakBytes());
  } finally {
    await opened.close();
  }
}

/** Judges all, `width` at a time, in order. @returns every case's verdict as it will be */
export function sweep(wall: Wall, cases: readonly Hostile[], width: number): ReadonlyMap<string, Promise<Verdict>> {
  const waiting = cases.map((one) => ({ one, ...Promise.withResolvers<Verdict>() }));
  const verdicts = new Map(waiting.map(({ one, promise }) => [one.name, promise]));
  for (const { promise } of waiting) promise.catch(() => {});
  const line = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await judge(wall, next.one).then(next.resolve, next.reject);
  };
  for (let i = 0; i < width; i++) void line();
  return verdicts;
}

/** Waits for a value, not for a time. */
export const until = (condition: () => boolean | Promise<boolean>, ms: number): Promise<boolean> =>
  waitUntil(systemClock, ms, condition, 10);
