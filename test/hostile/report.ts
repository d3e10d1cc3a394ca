/** What is printed of a run: a line for each case, and the worst that was found. */
import { MIB } from './case.ts';
import type { Verdict } from './judge.ts';
import type { LoopDelay } from './watch.ts';

export interface Surroundings {
  readonly delay: LoopDelay;
  /** The neighbour's p99 before and while, ms. */
  readonly quietMs: number;
  readonly busyMs: number;
  readonly answered: number;
}

const most = <T>(all: readonly T[], figure: (one: T) => number): T | undefined =>
  all.reduce<T | undefined>((best, one) => (best === undefined || figure(one) > figure(best) ? one : best), undefined);
const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
const mib = (bytes: number) => `${Math.round(bytes / MIB)} MiB`;

export function lineOf({ name, problems, seen, ms: took, peakBytes, overBytes }: Verdict): string {
  const memory = peakBytes === 0 ? '' : `${mib(peakBytes)}${overBytes > 0 ? ` (${mib(overBytes)} over)` : ''}`;
  const head = `${problems.length === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(28)} ${seen.padEnd(34)} ${ms(took).padStart(8)}  ${memory}`;
  return [head.trimEnd(), ...problems.map((problem) => `         ${problem}`)].join('\n');
}

/** The worst case found, in a few lines. */
export function worstOf(verdicts: readonly Verdict[], { delay, quietMs, busyMs, answered }: Surroundings): string {
  const over = most(verdicts, ({ overBytes }) => overBytes);
  const slow = most(verdicts, (one) => one.ms);
  return [
    `event-loop delay    p99 ${ms(delay.p99Ms)}, longest ${ms(delay.maxMs)}`,
    `neighbour           p99 ${ms(busyMs)}, ${ms(quietMs)} before: x${(busyMs / Math.max(quietMs, 0.001)).toFixed(1)} (${answered} calls)`,
    `memory overshoot    ${over && over.overBytes > 0 ? `${mib(over.overBytes)} (${over.name})` : 'none'}`,
    `longest case        ${slow ? `${ms(slow.ms)} (${slow.name})` : 'none'}`,
  ].join('\n');
}
