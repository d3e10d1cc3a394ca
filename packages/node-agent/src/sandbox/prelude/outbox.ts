/**
 * What the isolate has to say, in pieces the host can take: text and numbers only, so that taking it runs no guest code.
 *
 * Promises:
 * O1. A record is in the outbox whole or not at all, even when the thread is interrupted while it is put there.
 * O2. A piece ends at the first record that makes it larger than SOFT_OUT, so the host parses little at a time.
 */
import { FLAG, HEAD_LIMIT, SOFT_OUT } from '../protocol.ts';

interface Piece {
  head: string;
  body: string;
  stack: boolean;
  next: Piece | undefined;
}

const fresh = (): Piece => ({ __proto__: null, head: '', body: '', stack: false, next: undefined }) as Piece;

let first = fresh();
let newest = first;
/** Characters waiting in all pieces. */
let waiting = 0;
let nudge: () => void = () => {};
/** True while the host is sure to take what is put in now. */
let awaited = true;
/** Taken last; given again when its return to the host was lost. */
let given: Piece | undefined;

export const waitingLength = (): number => waiting;

/** @param tell calls the host, which then takes what there is */
export function openOutbox(tell: () => void): void {
  nudge = tell;
}

/** Appends one record (O1). */
export function put(head: string, body: string, stack = false): void {
  if (newest.body.length > SOFT_OUT || newest.head.length > HEAD_LIMIT / 2) {
    const piece = fresh();
    newest.next = piece;
    newest = piece;
  }
  const piece = newest;
  const joined = piece.head === '' ? head : `${piece.head},${head}`;
  const text = piece.body + body;
  waiting += head.length + body.length;
  piece.stack ||= stack;
  piece.head = joined;
  piece.body = text;
  if (!awaited) {
    awaited = true;
    nudge();
  }
}

/** True when the current piece is as large as pieces get. */
export const full = (): boolean => newest.body.length > SOFT_OUT || newest.head.length > HEAD_LIMIT / 2;

/** To be called when an entry begins: what was returned before has arrived. */
export function entered(): void {
  given = undefined;
  awaited = true;
}

/** What happened to the last return value: it was lost when the entry ended in an exception after it. */
export function lost(): void {
  if (given === undefined) return;
  given.next = first;
  waiting += given.head.length + given.body.length;
  first = given;
  given = undefined;
}

/**
 * The oldest piece as the host wants it: flags, head, a line feed, bodies; boxed when it is long (bare long strings pile up in the host).
 * @param flags of {@link FLAG}; `again` is added when there are more pieces
 */
export function take(flags: number): string | [string] {
  const piece = first;
  first = piece.next ?? fresh();
  if (piece.next === undefined) newest = first;
  piece.next = undefined;
  given = piece;
  waiting -= piece.head.length + piece.body.length;
  const all = flags | (first === newest && first.head === '' ? 0 : FLAG.again) | (piece.stack ? FLAG.stack : 0);
  awaited = (all & (FLAG.again | FLAG.more)) !== 0;
  if (piece.head === '') return `${all}`;
  const text = `${all}${piece.head}\n${piece.body}`;
  return text.length < 1024 ? text : [text];
}
