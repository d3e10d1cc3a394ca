/**
 * A figure of the bench and the arithmetic behind it. Nothing is measured alone: a figure stands beside a floor taken in the same run,
 * and the ratio is what moves least between machines.
 */

export interface Row {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** The same work without us, same run. */
  readonly floor?: number;
  /** value / floor. */
  readonly ratio?: number;
  /** What must hold, in words. */
  readonly bar?: string;
  readonly goal?: string;
  readonly ok?: boolean;
}

/** Nearest-rank percentile of unsorted numbers. @param p 0 to 1 */
export function percentile(numbers: readonly number[], p: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(p * sorted.length) - 1))] ?? Number.NaN;
}
export const median = (numbers: readonly number[]): number => percentile(numbers, 0.5);

/** A row whose bar is on the ratio to its floor: at least `gate`. */
export function ratioRow(name: string, unit: string, value: number, floor: number, gate: number, goal: number): Row {
  const ratio = value / floor;
  return { name, unit, value, floor, ratio, bar: `ratio >= ${gate}`, goal: `ratio >= ${goal}`, ok: ratio >= gate };
}

/** A row whose bar is on the value: at most `gate`. */
export function atMostRow(name: string, unit: string, value: number, gate: number, goal: number, floor?: number): Row {
  return {
    name,
    unit,
    value,
    ...(floor === undefined ? {} : { floor, ratio: value / floor }),
    bar: `<= ${gate} ${unit}`,
    goal: `<= ${goal} ${unit}`,
    ok: value <= gate,
  };
}
