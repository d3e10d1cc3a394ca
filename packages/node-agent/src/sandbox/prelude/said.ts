/**
 * Log lines and metrics of a guest: limited in size and rate before they leave the isolate. What was dropped is counted and said.
 */
import { type GuestLimit, LOG_LIMIT, OUT } from '../protocol.ts';
import { describe } from './faults.ts';
import { put, waitingLength } from './outbox.ts';
import { bare, indexOf, keys, now, slice, stringify } from './primordials.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';

const LINES_A_SECOND = 256;
const METRICS_A_SECOND = 2048;
const MESSAGE = 2048;
/** Beyond this many characters waiting, lines and metrics are dropped rather than kept. */
const WAITING = 8 * 2 ** 20;

let second = 0;
let lines = 0;
let metrics = 0;
let dropped = 0;

/** Limits run into: when that was last told, ms since 1970, and how often since. */
const hits = bare<{ at: number; count: number }>();

/** Tells the host that the guest ran into a limit that is kept in here: at once, then at most once a second. */
export function limitHit(name: GuestLimit): void {
  const time = now();
  hits[name] ??= { __proto__: null, at: 0, count: 0 } as unknown as { at: number; count: number };
  const known = hits[name]!;
  known.count += 1;
  if (time - known.at < 1000 && time >= known.at) return;
  const body = `["${name}",${known.count}]`;
  known.at = time;
  known.count = 0;
  put(`${OUT.limit},${body.length}`, body);
}

function turn(): void {
  const time = now();
  if (time - second < 1000 && time >= second) return;
  second = time;
  lines = 0;
  metrics = 0;
  if (dropped > 0) {
    const count = dropped;
    dropped = 0;
    line('["warn","log lines or metrics dropped",{"count":', `${count}}]`);
  }
}

const line = (before: string, after: string): void => {
  const body = before + after;
  // A place in the entry is put into the author's words by the cell, as in a fault.
  put(`${OUT.log},${body.length}`, body, indexOf(body, 'entry.js:') !== -1);
};

/** Fields as JSON text; errors among them as their message and stack. */
function fieldsText(fields: unknown): string {
  if (fields === undefined || fields === null) return '{}';
  try {
    const plain = bare<unknown>();
    if (typeof fields !== 'object') plain['value'] = fields;
    else
      for (const key of keys(fields)) {
        const value = (fields as Record<string, unknown>)[key];
        plain[key] = value instanceof Error ? describe(value) : value;
      }
    const text = stringify(plain);
    if (text.length <= LOG_LIMIT - 2 * MESSAGE) return text;
    limitHit('log-size');
    return `{"truncated":true,"start":${stringify(slice(text, 0, 1024))}}`;
  } catch {
    return '{"unreadable":true}';
  }
}

export function log(level: Level, message: unknown, fields?: unknown): void {
  turn();
  if (lines >= LINES_A_SECOND || waitingLength() > WAITING) {
    dropped += 1;
    limitHit('log-rate');
    return;
  }
  lines += 1;
  const text = typeof message === 'string' ? message : describe(message).detail;
  if (text.length > MESSAGE) limitHit('log-size');
  line(`["${level}",${stringify(slice(text, 0, MESSAGE))},`, `${fieldsText(fields)}]`);
}

export function metric(kind: 'counter' | 'gauge' | 'histogram', name: unknown, value: unknown): void {
  if (typeof name !== 'string' || name.length > 100 || !/^[a-z][a-z0-9_]*$/.test(name))
    throw new TypeError('metric name: expected lower case letters, digits and "_", beginning with a letter');
  if (typeof value !== 'number' || !(value > Number.NEGATIVE_INFINITY && value < Number.POSITIVE_INFINITY))
    throw new TypeError(`metric ${name}: expected a finite number`);
  turn();
  if (metrics >= METRICS_A_SECOND || waitingLength() > WAITING) {
    dropped += 1;
    limitHit('metric-rate');
    return;
  }
  metrics += 1;
  const body = `["${kind}","${name}",${value}]`;
  put(`${OUT.metric},${body.length}`, body);
}
