/** console: every method that prints becomes a line of the workload's log. */
import { describe } from '../faults.ts';
import { bare, defineProperty, now, stringify } from '../primordials.ts';
import { type Level, log } from '../said.ts';

function shown(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Error) {
    const { detail, stack } = describe(value);
    return stack === '' ? detail : stack;
  }
  if (typeof value === 'object' && value !== null) {
    try {
      return stringify(value) ?? '[unreadable]';
    } catch {
      return '[unreadable]';
    }
  }
  return typeof value === 'symbol' || typeof value === 'bigint' ? value.toString() : `${value as string}`;
}

const printer =
  (level: Level) =>
  (...values: unknown[]) => {
    // A line is cut at 2 KiB anyway: more than a handful of values is not worth rendering.
    log(level, values.slice(0, 32).map(shown).join(' '));
  };
const nothing = () => {};
const print = printer('info');
const counts = bare<number>();
/** When it began, ms. */
const timers = bare<number>();
const elapsed = (name: string): string => `${name}: ${now() - timers[name]!} ms`;

export const consoleDoor = {
  debug: printer('debug'),
  log: printer('info'),
  info: printer('info'),
  dir: printer('info'),
  dirxml: printer('info'),
  table: printer('info'),
  warn: printer('warn'),
  error: printer('error'),
  trace: printer('debug'),
  assert(condition: unknown, ...values: unknown[]) {
    if (!condition) consoleDoor.error('Assertion failed', ...values);
  },
  group: printer('info'),
  groupCollapsed: printer('info'),
  groupEnd: nothing,
  time(label: unknown = 'default') {
    const name = `${label as string}`;
    if (timers[name] === undefined) timers[name] = now();
    else consoleDoor.warn(`timer ${name} runs already`);
  },
  timeLog(label: unknown = 'default', ...values: unknown[]) {
    const name = `${label as string}`;
    if (timers[name] === undefined) consoleDoor.warn(`no timer ${name}`);
    else print(elapsed(name), ...values);
  },
  timeEnd(label: unknown = 'default') {
    const name = `${label as string}`;
    if (timers[name] === undefined) consoleDoor.warn(`no timer ${name}`);
    else print(elapsed(name));
    delete timers[name];
  },
  count(label: unknown = 'default') {
    const name = `${label as string}`;
    const count = (counts[name] ?? 0) + 1;
    counts[name] = count;
    print(`${name}: ${count}`);
  },
  countReset(label: unknown = 'default') {
    const name = `${label as string}`;
    if (counts[name] === undefined) consoleDoor.warn(`no counter ${name}`);
    else counts[name] = 0;
  },
  clear: nothing,
};
defineProperty(consoleDoor, Symbol.toStringTag, { value: 'console', configurable: true });
