/**
 * The trusted wrapper: everything that enters the isolate comes through `enter`, everything that leaves it through the outbox.
 *
 * Promises:
 * W1. Guest code runs inside a timed entry only; `collect` runs none.
 * W2. Nothing the guest throws, returns or defines leaves as anything but text; nothing escapes as an exception.
 * W3. After an interrupted entry the call that held the thread is known: `current` marks it; where promises were running, the calls
 *     that went on in this entry are it together, and the next entries take one record each, so that the next time it is known.
 * W4. The limit of an entry is for one record's work: where records take long, each has an entry of its own; where they are short, many share
 *     one. Honest calls do not run into the limit for having come together.
 */
import { FLAG, IN, type Opening, OUT } from '../protocol.ts';
import { answered, CallContext, refused } from './context.ts';
import { type Definition, type Handler, readDefinition, refusal } from './definition.ts';
import { describe, faultText, refusedField } from './faults.ts';
import { entered, full, lost, put, take } from './outbox.ts';
import { apply, bare, floor, max, min, now, parse, slice, stringify } from './primordials.ts';
import { log } from './said.ts';
import type { Issue } from './schema.ts';
import { fireDue, rearm } from './timers.ts';

interface Batch {
  readonly numbers: readonly number[];
  readonly text: string;
  /** Next number, next character. */
  at: number;
  from: number;
  next: Batch | undefined;
}

/** What a handler is told of its call. */
interface CallOfGuest {
  id: string;
  capability: string;
  budget: number;
  correlationId: string;
  traceparent?: string;
}

const NONE = -1;
/** Entries with one record each after promises held the thread. */
const CAREFUL = 64;
/** From here on an entry begins no other record, and the next one fewer, ms. */
const LONG_MS = 4;
const MOST_RECORDS = 256;

let opening: Opening;
let definition: Definition;
let oldest: Batch | undefined;
let newest: Batch | undefined;
/** The slot whose guest code runs right now, synchronously. */
let current = NONE;
/** Asynchronous handlers under way: slot to its handler. */
const open = bare<Handler>();
/** Slots whose guest code went on in this entry and had not ended when it returned. */
let touched = bare<true>();
let floating = false;
let careful = 0;
/** Records the next entry may begin: twice as many after each that was short, with what its promises did. */
let room = 1;
let begun = NONE;
/** After an interrupted entry the host may not have been asked to wake us. */
let mustRearm = false;

export function openWrapper(given: Opening): void {
  opening = given;
}

const fault = (slot: number, code: string, detail: string, stack = '', issues?: readonly Issue[]): void => {
  const text = faultText(code, detail, stack, issues);
  put(`${OUT.fault},${slot},${text.length}`, text, stack !== '');
};

function failed(slot: number, thrown: unknown): void {
  const { detail, stack } = describe(thrown);
  const path = refusedField(thrown);
  if (path === undefined) fault(slot, 'handler-failed', detail, stack);
  else fault(slot, 'invalid-input', detail, '', [{ path, message: detail }]);
}

/** Turns what a handler returned into the answer. */
function answer(slot: number, { output }: Handler, value: unknown): void {
  let text: string | undefined;
  try {
    text = stringify(value) ?? 'null';
    if (text.length > opening.maxReply) {
      fault(slot, 'reply-too-large', `${text.length} characters, at most ${opening.maxReply} allowed`);
      return;
    }
    const issues = output?.(parse(text));
    if (issues) {
      fault(slot, 'output-invalid', `output ${issues[0]!.path}: ${issues[0]!.message}`, '', issues);
      return;
    }
  } catch (error) {
    fault(slot, 'output-invalid', `the answer cannot be written as JSON: ${describe(error).detail}`);
    return;
  }
  put(`${OUT.answer},${slot},${text.length}`, text);
}

/** Waits for an asynchronous handler. Never rejects. */
async function settle(slot: number, handler: Handler, promise: unknown): Promise<void> {
  try {
    const value = await promise;
    if (open[slot] !== handler) return;
    answer(slot, handler, value);
  } catch (error) {
    if (open[slot] !== handler) return;
    failed(slot, error);
  }
  delete open[slot];
  delete touched[slot];
}

function run(slot: number, handler: Handler, args: readonly unknown[]): void {
  current = slot;
  try {
    const value = apply(handler.run, handler.self, args as unknown[]) as { then?: unknown } | undefined;
    if (typeof value === 'object' && value !== null && typeof value.then === 'function') {
      open[slot] = handler;
      touched[slot] = true;
      floating = true;
      void settle(slot, handler, value);
    } else answer(slot, handler, value);
  } catch (error) {
    failed(slot, error);
  }
  current = NONE;
}

/** Input of a record as a value; undefined when a fault was put out instead. */
function inputOf(slot: number, { input }: Handler, text: string): { readonly value: unknown } | undefined {
  current = slot;
  try {
    let value: unknown;
    try {
      value = parse(text);
    } catch (error) {
      const { detail } = describe(error);
      fault(slot, 'invalid-input', `input: not JSON (${detail})`, '', [
        { path: '(whole)', message: `expected JSON: ${detail}` },
      ]);
      return undefined;
    }
    const issues = input?.(value);
    if (issues) {
      fault(slot, 'invalid-input', `input ${issues[0]!.path}: ${issues[0]!.message}`, '', issues);
      return undefined;
    }
    return { value };
  } catch (error) {
    // Only the author's own schema can get here.
    fault(slot, 'handler-failed', `the input schema cannot be applied: ${describe(error).detail}`);
    return undefined;
  } finally {
    current = NONE;
  }
}

/** Does the next record of the batch. The batch moves on before guest code runs: an interrupted record is never begun twice. */
function step(batch: Batch): void {
  const { numbers, text } = batch;
  let { at, from } = batch;
  const number = (): number => numbers[at++]!;
  const cut = (length: number): string => {
    from += length;
    return slice(text, from - length, from);
  };
  const kind = number();
  const id = kind === IN.wake ? NONE : number();
  switch (kind) {
    case IN.call: {
      const handler = definition.capabilities[number()]!;
      const budget = number();
      const lengths = at;
      at += 4;
      const callId = cut(numbers[lengths]!);
      const correlationId = numbers[lengths + 1] === 0 ? callId : cut(numbers[lengths + 1]!);
      const traceparent = cut(numbers[lengths + 2]!);
      const input = cut(numbers[lengths + 3]!);
      batch.at = at;
      batch.from = from;
      const given = inputOf(id, handler, input);
      if (given === undefined) return;
      const call: CallOfGuest = { id: callId, capability: handler.name, budget, correlationId };
      if (traceparent !== '') call.traceparent = traceparent;
      run(id, handler, [given.value, new CallContext(id), call]);
      return;
    }
    case IN.message: {
      const handler = definition.subscribe[number()]!;
      const lengths = at;
      at += 2;
      const subject = cut(numbers[lengths]!);
      const data = cut(numbers[lengths + 1]!);
      batch.at = at;
      batch.from = from;
      const given = inputOf(id, handler, data);
      if (given !== undefined) run(id, handler, [{ subject, data: given.value }, new CallContext(id)]);
      return;
    }
    case IN.run:
    case IN.health:
    case IN.start:
    case IN.stop: {
      const { schedule, health, start, stop } = definition;
      const handler = kind === IN.run ? schedule[number()] : kind === IN.health ? health : kind === IN.start ? start : stop;
      batch.at = at;
      if (handler) run(id, handler, [new CallContext(id)]);
      else put(`${OUT.answer},${id},4`, 'null');
      return;
    }
    case IN.answer:
    case IN.refusal: {
      const body = cut(number());
      batch.at = at;
      batch.from = from;
      const slot = kind === IN.answer ? answered(id, body) : refused(id, body);
      if (slot !== NONE && open[slot] !== undefined) touched[slot] = true;
      floating = true;
      return;
    }
    case IN.wake:
      batch.at = at;
      floating = true;
      fireDue((error) => uncaught('a timer', error));
      return;
    default:
      batch.at = at;
      delete open[id];
  }
}

/** Tells the author of an error nobody caught. */
export function uncaught(where: string, error: unknown): void {
  const { detail, stack } = describe(error);
  log('error', `uncaught error in ${where}: ${detail}`, { stack });
}

/** What an entry took decides on the next one; told once for each. */
function measure(): void {
  if (begun === NONE) return;
  room = now() - begun < LONG_MS ? min(MOST_RECORDS, 2 * room) : max(1, floor(room / 4));
  begun = NONE;
}

/** Works through what has come in. @returns a piece of the outbox */
function drain(): string | [string] {
  entered();
  begun = now();
  let left = room;
  // Only promises leave something there.
  if (floating) touched = bare();
  floating = false;
  if (mustRearm) {
    mustRearm = false;
    rearm();
  }
  while (oldest !== undefined) {
    step(oldest);
    if (oldest.at >= oldest.numbers.length) {
      oldest = oldest.next;
      if (oldest === undefined) newest = undefined;
    }
    if (full()) break;
    if (careful > 0) {
      careful -= 1;
      break;
    }
    left -= 1;
    if (left === 0 || now() - begun >= LONG_MS) break;
  }
  // What promises do comes after this; the host asks again then.
  if (!floating) measure();
  return take((oldest === undefined ? 0 : FLAG.more) | (floating ? FLAG.again : 0));
}

export const api = {
  /** Reads the module's default export. @returns '' or a GuestFault as text */
  adopt(namespace: { default: unknown }): string {
    entered();
    let exported: unknown;
    try {
      exported = namespace.default;
    } catch {
      return faultText('start-failed', 'default export: not there after loading; top-level await cannot wait for the host');
    }
    try {
      definition = readDefinition(exported, opening);
      return '';
    } catch (error) {
      const { detail, stack } = describe(error);
      return refusal(error) ?? faultText('start-failed', detail, stack);
    }
  },

  /** Takes a batch in and works on it. Timed. */
  enter(text: string | [string], headLength: number): string | [string] {
    const whole = typeof text === 'string' ? text : text[0];
    const batch: Batch = {
      numbers: parse(`[${slice(whole, 0, headLength)}]`) as number[],
      text: whole,
      at: 0,
      from: headLength,
      next: undefined,
    };
    if (newest) newest.next = batch;
    else oldest = batch;
    newest = batch;
    return drain();
  },

  /** Goes on with what is left of earlier batches. Timed. */
  resume: (): string | [string] => drain(),

  /** Takes what there is. Runs no guest code. */
  collect(): string | [string] {
    entered();
    measure();
    return take(oldest === undefined && !mustRearm ? 0 : FLAG.more);
  },

  /**
   * After an entry that ended in an exception. Runs no guest code.
   * @param turnMs 0 when it was an unhandled rejection; else the limit that was exceeded
   */
  recover(turnMs: number): string | [string] {
    lost();
    entered();
    if (turnMs > 0) {
      const said = `held the thread for more than ${turnMs} ms`;
      if (current !== NONE) {
        fault(current, 'turn-exceeded', said);
        delete open[current];
      } else {
        for (const slot in touched) {
          if (open[slot] === undefined) continue;
          fault(+slot, 'turn-exceeded', `${said}, or another handler that went on at the same time did`);
          delete open[slot];
        }
        careful = CAREFUL;
      }
      current = NONE;
      touched = bare();
      mustRearm = true;
      if (oldest !== undefined && oldest.at >= oldest.numbers.length) {
        oldest = oldest.next;
        if (oldest === undefined) newest = undefined;
      }
    }
    return take(oldest === undefined && !mustRearm ? 0 : FLAG.more);
  },
};
