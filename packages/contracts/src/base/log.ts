/**
 * The logger every room is handed: a constant message, facts as fields. The entries make their own pino; rooms know this shape only.
 */

export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  child(fields: LogFields): Logger;
}

/** Field paths a log line never carries in clear. */
export const REDACTED: readonly string[] = [
  'authorization',
  'headers.authorization',
  'token',
  'password',
  'seed',
  'secret',
  'secrets',
  'credentials',
  '*.authorization',
  '*.token',
  '*.password',
  '*.seed',
  '*.secret',
];

/** The logger that says nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};
