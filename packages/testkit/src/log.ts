/** A logger that keeps what it was told, to ask about it afterwards. */
import type { LogFields, Logger } from '@cim/contracts';

export interface LogEntry {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: LogFields;
}

export interface CapturedLog extends Logger {
  readonly entries: readonly LogEntry[];
  /** Messages at a level or worse, in order. */
  messages(level?: LogEntry['level']): string[];
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;

export function capturedLog(): CapturedLog {
  const entries: LogEntry[] = [];
  const door = (base: LogFields): Logger => {
    const at = (level: LogEntry['level']) => (fields: LogFields, message: string) =>
      void entries.push({ level, message, fields: { ...base, ...fields } });
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => door({ ...base, ...fields }),
    };
  };
  return {
    ...door({}),
    entries,
    messages: (level = 'debug') =>
      entries.filter((entry) => LEVELS.indexOf(entry.level) >= LEVELS.indexOf(level)).map(({ message }) => message),
  };
}
