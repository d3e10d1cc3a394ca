/**
 * What the daemon and a cell say to each other: two unions of messages, and the records inside a batch.
 * A batch is text: a head of numbers, then the bodies they measure. The cell does not look into it; it goes into the isolate and
 * comes out of it as it is. Lengths count UTF-16 units, so that both ends can slice without encoding again.
 *
 * Promises:
 * P1. `encode*` and `decode*` are inverse for every message. What a cell sent is decoded in from-cell.ts.
 */
import type { LanguageGrant } from '@cim/contracts';
import { type Frame, frame, MalformedFrame, textFrame } from './frames.ts';

/** Both ends must speak the same. */
export const PROTOCOL = 1;

/** What a cell is told of a workload before its code. */
export interface Opening {
  readonly workload: { kind: 'agent' | 'service'; name: string; version: string; instance: string; replica: number };
  readonly config: unknown;
  readonly configSchema?: unknown;
  readonly capabilities: readonly { readonly name: string; readonly input?: unknown; readonly output?: unknown }[];
  readonly subscribe: readonly string[];
  readonly schedule: readonly string[];
  readonly hooks: { readonly start: boolean; readonly stop: boolean; readonly health: boolean };
  /** Megabytes of heap. */
  readonly memoryMb: number;
  readonly turnMs: number;
  /** Opened so that a debugger may be attached. */
  readonly inspect?: boolean;
  /** Parts of the language the manifest asks for and the configuration allows. */
  readonly language?: readonly LanguageGrant[];
  /** Others of the same publisher may follow into this cell. */
  readonly neighbours?: boolean;
  /** Largest answer in UTF-16 units; the daemon counts bytes besides. */
  readonly maxReply: number;
}

/** A fault as a cell tells it. */
export interface GuestFault {
  readonly code: string;
  readonly detail: string;
  readonly stack?: string;
  readonly issues?: readonly { readonly path: string; readonly message: string }[];
}

export type ToCell =
  | {
      readonly kind: 'open';
      readonly isolate: number;
      readonly opening: Opening;
      readonly entry: string;
      readonly sourceMap: string;
    }
  | { readonly kind: 'enter'; readonly isolate: number; readonly head: string; readonly body: string }
  | { readonly kind: 'dispose'; readonly isolate: number }
  | { readonly kind: 'ping'; readonly nonce: number }
  | { readonly kind: 'measure' }
  /** A message of a debugger; an empty one attaches it. Only for isolates that were opened to be inspected. */
  | { readonly kind: 'inspect'; readonly isolate: number; readonly text: string };

/**
 * Text out of an isolate; a large one, where it is plain ASCII, as the bytes it came in: what is passed on whole is not worth making a string
 * of. A byte is a UTF-16 unit then.
 */
export type Body = string | Buffer;

export type GoneReason = 'out-of-memory' | 'out-of-time' | 'faulted';

export type FromCell =
  | { readonly kind: 'hello'; readonly protocol: number }
  | { readonly kind: 'opened'; readonly isolate: number; readonly fault: GuestFault | undefined }
  | { readonly kind: 'out'; readonly isolate: number; readonly head: string; readonly body: Body }
  | { readonly kind: 'gone'; readonly isolate: number; readonly reason: GoneReason; readonly detail: string }
  | { readonly kind: 'pong'; readonly nonce: number }
  /** Isolates entered since the last time: [isolate, heap bytes, cpu ms, bytes of memory the heap takes]. */
  | { readonly kind: 'measured'; readonly rows: readonly (readonly [number, number, number, number])[] }
  /** What the inspector says. */
  | { readonly kind: 'inspected'; readonly isolate: number; readonly text: string };

const CELL = { open: 1, enter: 2, dispose: 3, ping: 4, measure: 5, inspect: 6 } as const;
/** Kinds of frames towards the daemon. */
export const DAEMON = { hello: 1, opened: 2, out: 3, gone: 4, pong: 5, measured: 6, inspected: 7 } as const;

/** Largest payload towards a cell: an entry file, its map and some inputs. */
export const TO_CELL_LIMIT = 256 * 2 ** 20;
/** Text an isolate hands over in one go before it starts another piece; one item may go beyond it. */
export const SOFT_OUT = 2 ** 20;
/** Longest head of one piece in characters: bounds what the daemon parses at a time. */
export const HEAD_LIMIT = 2 ** 16;
/** Largest argument of a host call, UTF-16 units. */
export const ASK_LIMIT = 2 ** 20;
/** Largest line of log with its fields, UTF-16 units. */
export const LOG_LIMIT = 16 * 2 ** 10;
/** Host calls under way per isolate. */
export const ASKS_LIMIT = 256;

/** Largest payload a cell may send when its answers may be `maxReply` long. */
export const fromCellLimit = (maxReply: number): number => HEAD_LIMIT + 4 * (SOFT_OUT + Math.max(maxReply, ASK_LIMIT));

/** Records of a batch on its way in. Each is its number, then the fields named; lengths are of bodies, in this order. */
export const IN = {
  /** slot, capability, budget ms, lengths: call id, correlation id (0: the call id), traceparent, input */
  call: 0,
  /** slot, pattern, lengths: subject, data */
  message: 1,
  /** slot, schedule */
  run: 2,
  /** slot */
  health: 3,
  /** slot */
  start: 4,
  /** slot */
  stop: 5,
  /** ask, length (0: undefined) */
  answer: 6,
  /** ask, length of {code, detail, retry} */
  refusal: 7,
  /** nothing: timers may be due */
  wake: 8,
  /** slot that nobody waits for any more */
  cancel: 9,
} as const;

/** Records of a batch on its way out: number of fields after the kind; the last is the length of a body, but for `wake`. */
export const OUT = {
  /** slot, length of the answer */
  answer: 0,
  /** slot, length of a GuestFault */
  fault: 1,
  /** ask, slot + 1 or 0, length of [operation, ...arguments] */
  ask: 2,
  /** length of [level, message, fields] */
  log: 3,
  /** length of [kind, name, value] */
  metric: 4,
  /** milliseconds until the earliest timer */
  wake: 5,
  /** length of [limit, hits] */
  limit: 6,
} as const;
export const OUT_FIELDS: readonly number[] = [2, 2, 3, 1, 1, 1, 1];

/** Limits that are kept inside the isolate, as it tells of them. */
export const GUEST_LIMITS = ['timers', 'requests', 'value-size', 'log-rate', 'log-size', 'metric-rate'] as const;
export type GuestLimit = (typeof GUEST_LIMITS)[number];

/** First character of what an isolate returns, minus '0': what the cell must do next. */
export const FLAG = {
  /** Ask again: there is more to take, or promises may have settled after this. */
  again: 1,
  /** Enter again: there is input left that was not begun. */
  more: 2,
  /** A fault with a stack is among it. */
  stack: 4,
} as const;

export function encodeToCell(message: ToCell): Buffer {
  switch (message.kind) {
    case 'open': {
      const opening = Buffer.from(JSON.stringify(message.opening));
      const entry = Buffer.from(message.entry);
      const map = Buffer.from(message.sourceMap);
      const bytes = 4 + opening.length + entry.length + map.length;
      return frame(CELL.open, message.isolate, opening.length, bytes, (out, at) => {
        out.writeUInt32BE(entry.length, at);
        opening.copy(out, at + 4);
        entry.copy(out, at + 4 + opening.length);
        map.copy(out, at + 4 + opening.length + entry.length);
      });
    }
    case 'enter':
      return textFrame(CELL.enter, message.isolate, message.head.length, message.head + message.body);
    case 'dispose':
      return frame(CELL.dispose, message.isolate, 0, 0);
    case 'ping':
      return frame(CELL.ping, 0, message.nonce, 0);
    case 'measure':
      return frame(CELL.measure, 0, 0, 0);
    case 'inspect':
      return textFrame(CELL.inspect, message.isolate, 0, message.text);
  }
}

/** @throws MalformedFrame */
export function decodeToCell({ kind, isolate, mark, payload }: Frame): ToCell {
  switch (kind) {
    case CELL.open: {
      const entryAt = 4 + mark;
      const mapAt = entryAt + payload.readUInt32BE(0);
      return {
        kind: 'open',
        isolate,
        opening: JSON.parse(payload.toString('utf8', 4, entryAt)) as Opening,
        entry: payload.toString('utf8', entryAt, mapAt),
        sourceMap: payload.toString('utf8', mapAt),
      };
    }
    case CELL.enter: {
      const text = payload.toString('utf8');
      return { kind: 'enter', isolate, head: text.slice(0, mark), body: text.slice(mark) };
    }
    case CELL.dispose:
      return { kind: 'dispose', isolate };
    case CELL.ping:
      return { kind: 'ping', nonce: mark };
    case CELL.measure:
      return { kind: 'measure' };
    case CELL.inspect:
      return { kind: 'inspect', isolate, text: payload.toString('utf8') };
    default:
      throw new MalformedFrame(`kind ${kind}`);
  }
}

export function encodeFromCell(message: FromCell): Buffer {
  switch (message.kind) {
    case 'hello':
      return frame(DAEMON.hello, 0, message.protocol, 0);
    case 'opened':
      return textFrame(DAEMON.opened, message.isolate, 0, message.fault ? JSON.stringify(message.fault) : '');
    case 'out':
      return textFrame(DAEMON.out, message.isolate, message.head.length, message.head + message.body.toString());
    case 'gone':
      return textFrame(DAEMON.gone, message.isolate, 0, JSON.stringify([message.reason, message.detail]));
    case 'pong':
      return frame(DAEMON.pong, 0, message.nonce, 0);
    case 'inspected':
      return textFrame(DAEMON.inspected, message.isolate, 0, message.text);
    case 'measured':
      return textFrame(DAEMON.measured, 0, 0, JSON.stringify(message.rows));
  }
}
