/**
 * Log lines and metrics of a guest: limited in size and rate before they leave the isolate. What was dropped is counted and said.
 */
import { LOG_LIMIT, OUT } from '../protocol.ts';
import { describe } from './faults.ts';
import { put, waitingLength } from './outbox.ts';
import { bare, keys, now, slice, stringify } from './primordials.ts';

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
  put(`${OUT.log},${body.length}`, body);
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
    return text.length <= LOG_LIMIT - 2 * MESSAGE ? text : `{"truncated":true,"start":${stringify(slice(text, 0, 1024))}}`;
  } catch {
    return '{"unreadable":true}';
  }
}

export function log(level: Level, message: unknown, fields?: unknown): void {
  turn();
  if (lines >= LINES_A_SECOND || waitingLength() > WAITING) {
    dropped += 1;
    return;
  }
  lines += 1;
  const text = typeof message === 'string' ? message : describe(message).detail;
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
    return;
  }
  metrics += 1;
  const body = `["${kind}","${name}",${value}]`;
  put(`${OUT.metric},${body.length}`, body);
}
