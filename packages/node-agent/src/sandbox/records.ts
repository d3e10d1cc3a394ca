/**
 * Reads a batch that came out of an isolate. It passed through a cell that may be broken out of: nothing is believed.
 *
 * Promises:
 * D1. Every record is of a known kind, every number a whole one in range, every body there and measured exactly; else MalformedFrame.
 * D2. What an honest wrapper would have cut to size is refused when it is larger.
 */
import { MalformedFrame } from './frames.ts';
import { guestFault, json } from './from-cell.ts';
import { isHeavy } from './heft.ts';
import {
  ASK_LIMIT,
  type Body,
  GUEST_LIMITS,
  type GuestFault,
  type GuestLimit,
  LOG_LIMIT,
  OUT,
  OUT_FIELDS,
} from './protocol.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';
export type MetricKind = 'counter' | 'gauge' | 'histogram';

export interface Records {
  /** @param text to be kept, if it is bytes: no part of it is anybody else's */
  answer(slot: number, text: Body): void;
  fault(slot: number, fault: GuestFault): void;
  ask(ask: number, slot: number | undefined, operation: string, args: readonly unknown[]): void;
  log(level: Level, message: string, fields: Record<string, unknown>): void;
  metric(kind: MetricKind, name: string, value: number): void;
  wake(ms: number): void;
  limit(name: GuestLimit, hits: number): void;
}

const LEVELS: readonly unknown[] = ['debug', 'info', 'warn', 'error'] satisfies Level[];
const METRICS: readonly unknown[] = ['counter', 'gauge', 'histogram'] satisfies MetricKind[];
const LIMITS: readonly unknown[] = GUEST_LIMITS;
const METRIC_NAME = /^[a-z][a-z0-9_]{0,99}$/;
const LARGEST_METRIC = 200;
const LARGEST_FAULT = 64 * 2 ** 10;

/** Hands every record to `to`, in order. @throws MalformedFrame, maybe after some records were handed over */
export function readRecords(head: string, body: Body, to: Records): void {
  const numbers = json(`[${head}]`) as unknown[];
  let from = 0;
  let at = 0;
  const take = (length: number): Body => {
    if (from + length > body.length) throw new MalformedFrame('a body beyond the end');
    from += length;
    return typeof body === 'string' ? body.slice(from - length, from) : body.subarray(from - length, from);
  };
  const cut = (length: number, most: number): string => {
    if (length > most) throw new MalformedFrame(`a body of ${length} characters, at most ${most} allowed`);
    const text = take(length);
    return typeof text === 'string' ? text : text.toString('latin1');
  };
  const number = (): number => {
    const value = numbers[at];
    at += 1;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
      throw new MalformedFrame('a number in the head');
    return value;
  };
  while (at < numbers.length) {
    const kind = number();
    if (OUT_FIELDS[kind] === undefined) throw new MalformedFrame(`record ${kind}`);
    switch (kind) {
      case OUT.answer:
        to.answer(number(), take(number()));
        break;
      case OUT.fault:
        to.fault(number(), guestFault(json(cut(number(), LARGEST_FAULT))));
        break;
      case OUT.ask: {
        const id = number();
        const slot = number();
        const text = cut(number(), ASK_LIMIT);
        if (isHeavy(text)) throw new MalformedFrame('a request of too many values');
        const value = list(text);
        if (typeof value[0] !== 'string') throw new MalformedFrame('operation');
        to.ask(id, slot === 0 ? undefined : slot - 1, value[0].slice(0, 40), value.slice(1));
        break;
      }
      case OUT.log: {
        const [level, message, fields] = list(cut(number(), 2 * LOG_LIMIT));
        const good = LEVELS.includes(level) && typeof message === 'string' && typeof fields === 'object' && fields !== null;
        if (!good) throw new MalformedFrame('log');
        to.log(level as Level, message as string, fields as Record<string, unknown>);
        break;
      }
      case OUT.metric: {
        const [sort, name, value] = list(cut(number(), LARGEST_METRIC));
        const good = METRICS.includes(sort) && typeof name === 'string' && METRIC_NAME.test(name) && Number.isFinite(value);
        if (!good) throw new MalformedFrame('metric');
        to.metric(sort as MetricKind, name as string, value as number);
        break;
      }
      case OUT.limit: {
        const [name, hits] = list(cut(number(), LARGEST_METRIC));
        const good = LIMITS.includes(name) && Number.isSafeInteger(hits) && (hits as number) > 0;
        if (!good) throw new MalformedFrame('limit');
        to.limit(name as GuestLimit, hits as number);
        break;
      }
      default:
        to.wake(number());
    }
  }
  if (from !== body.length) throw new MalformedFrame(`${body.length - from} characters left over`);
}

function list(text: string): unknown[] {
  const value = json(text);
  if (!Array.isArray(value)) throw new MalformedFrame('expected a list');
  return value;
}
