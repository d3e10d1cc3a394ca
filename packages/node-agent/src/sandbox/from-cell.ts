/**
 * Reads what a cell sent. It may be broken out of: nothing is believed.
 *
 * Promises:
 * P1. Accepts nothing but what protocol.ts describes; else MalformedFrame. No field is trusted.
 * P2. A large text that is plain ASCII stays the bytes it came in (see {@link Body}), and they are nobody else's.
 */
import { isAscii } from 'node:buffer';
import { type Frame, MalformedFrame } from './frames.ts';
import { DAEMON, type FromCell, type GoneReason, type GuestFault, HEAD_LIMIT } from './protocol.ts';

/** Text out of an isolate that is left as it came from this length on, bytes. */
const PLAIN_FROM = 16 * 2 ** 10;
const REASONS: readonly unknown[] = ['out-of-memory', 'out-of-time', 'faulted'] satisfies GoneReason[];

/** @throws MalformedFrame */
export function decodeFromCell({ kind, isolate, mark, payload, owned }: Frame): FromCell {
  switch (kind) {
    case DAEMON.out: {
      if (mark > HEAD_LIMIT) throw new MalformedFrame(`head of ${mark} characters`);
      if (mark === 0) throw new MalformedFrame('an empty batch');
      const text = payload.length >= PLAIN_FROM && isAscii(payload) ? payload : payload.toString('utf8');
      if (mark > text.length) throw new MalformedFrame('head longer than the payload');
      if (typeof text === 'string') return { kind: 'out', isolate, head: text.slice(0, mark), body: text.slice(mark) };
      const body = text.subarray(mark);
      return { kind: 'out', isolate, head: text.toString('latin1', 0, mark), body: owned ? body : Buffer.from(body) };
    }
    case DAEMON.pong:
      return { kind: 'pong', nonce: mark };
    case DAEMON.hello:
      return { kind: 'hello', protocol: mark };
    case DAEMON.opened:
      small(payload);
      return { kind: 'opened', isolate, fault: payload.length === 0 ? undefined : guestFault(json(payload.toString('utf8'))) };
    case DAEMON.gone: {
      small(payload);
      const value = json(payload.toString('utf8'));
      if (!Array.isArray(value) || !REASONS.includes(value[0]) || typeof value[1] !== 'string')
        throw new MalformedFrame('gone');
      return { kind: 'gone', isolate, reason: value[0] as GoneReason, detail: value[1].slice(0, 1000) };
    }
    case DAEMON.inspected:
      return { kind: 'inspected', isolate, text: payload.toString('utf8') };
    case DAEMON.measured: {
      small(payload);
      const rows = json(payload.toString('utf8'));
      if (!Array.isArray(rows) || !rows.every((row) => Array.isArray(row) && row.length === 4 && row.every(Number.isFinite)))
        throw new MalformedFrame('measured');
      return { kind: 'measured', rows };
    }
    default:
      throw new MalformedFrame(`kind ${kind}`);
  }
}

/** Largest payload of what is parsed as a whole, bytes. */
const SMALL = 128 * 2 ** 10;
function small({ length }: Buffer): void {
  if (length > SMALL) throw new MalformedFrame(`${length} bytes where at most ${SMALL} are sent`);
}

/** JSON of a cell. @throws MalformedFrame */
export function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new MalformedFrame('not JSON');
  }
}

/** A fault as a cell may tell it, cut to size. @throws MalformedFrame */
export function guestFault(value: unknown): GuestFault {
  const { code, detail, stack, issues } = (value ?? {}) as Record<string, unknown>;
  if (typeof code !== 'string' || typeof detail !== 'string') throw new MalformedFrame('fault');
  const list = Array.isArray(issues) ? issues.slice(0, 32) : [];
  return {
    code,
    detail: detail.slice(0, 8192),
    ...(typeof stack === 'string' ? { stack: stack.slice(0, 8192) } : {}),
    issues: list.map((issue) => {
      const { path, message } = (issue ?? {}) as Record<string, unknown>;
      if (typeof path !== 'string' || typeof message !== 'string') throw new MalformedFrame('issue');
      return { path: path.slice(0, 300), message: message.slice(0, 500) };
    }),
  };
}
