/**
 * The three names the guide's monitor uses: `metrics`, `logger`, `alerts`. Small and local to the program that imports them; a program
 * with its own telemetry uses that instead.
 */
import { surroundings } from './surroundings.ts';

type Fields = Readonly<Record<string, unknown>>;

export interface Counters {
  increment(name: string, by?: number): void;
  /** Value of a counter; 0 where it was never counted. */
  value(name: string): number;
  /** All counters by name. */
  snapshot(): Readonly<Record<string, number>>;
  reset(): void;
}

export function counters(): Counters {
  const values = new Map<string, number>();
  return {
    increment: (name, by = 1) => void values.set(name, (values.get(name) ?? 0) + by),
    value: (name) => values.get(name) ?? 0,
    snapshot: () => Object.fromEntries([...values].sort(([a], [b]) => (a < b ? -1 : 1))),
    reset: () => values.clear(),
  };
}

export interface LineLogger {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
}

/** A logger of JSON lines. @param write takes one line with its newline */
export function lineLogger(write: (line: string) => void, now: () => number): LineLogger {
  const at =
    (level: string) =>
    (message: string, fields: Fields = {}) =>
      write(`${JSON.stringify({ time: new Date(now()).toISOString(), level, message, ...fields }, plainErrors)}\n`);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** An Error has no enumerable field: say its name, message and code. */
function plainErrors(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const { name, message, code } = value as Error & { code?: unknown };
  return { name, message, ...(code === undefined ? {} : { code }) };
}

export const metrics: Counters = counters();
export const logger: LineLogger = lineLogger(
  (line) => surroundings().complain(line),
  () => surroundings().clock.now(),
);
export const alerts = {
  /** Says it at level error; route that to whoever is on call. */
  send(title: string, fields: Fields = {}): void {
    metrics.increment('alerts');
    logger.error(title, { alert: true, ...fields });
  },
};
