/**
 * Endings as values: why a cell ended, whose doing it was, and what that means for each isolate and each call in it. Pure.
 *
 * Promises:
 * E1. The reason is the daemon's own where it ended the cell; exit codes are never asked.
 * E2. Whoever was not the culprit learns `cell-died`, so that its restart policy does not count it as its own misdeed.
 */
import { type ErrorCode, Fault } from '@cim/contracts';
import { MalformedFrame } from './frames.ts';
import type { Item } from './ledger.ts';
import type { GuestFault } from './protocol.ts';
import type { Exit } from './sandbox.ts';

/** The daemon ended a cell. */
export interface Kill {
  readonly why: 'memory' | 'stall' | 'malformed' | 'unused' | 'stop';
  readonly detail: string;
  /** The isolate the cell said to be in. */
  readonly isolate: number | undefined;
}

/** An isolate of the cell, as far as blame goes. */
export interface Party {
  readonly number: number;
  /** Something was under way in it. */
  readonly busy: boolean;
  readonly options: { readonly id: { readonly name: string } };
}

/** What was seen of the end of a cell. */
export interface Seen {
  readonly kill: Kill | undefined;
  /** The kernel ended it for memory, or its engine said so. */
  readonly memory: boolean;
  /** Why it could not be started, or ''. */
  readonly problem: string;
  /** The isolate it was in when it was last looked at. */
  readonly lastIn: number | undefined;
  readonly parties: readonly Party[];
}

export interface Ending {
  readonly why: Kill['why'] | 'died';
  readonly detail: string;
  readonly culprit: Party | undefined;
  exitOf(party: Party): Exit;
}

/** Last words of an engine that ran out of memory, or was asked for a size it cannot count to. */
export const saysOutOfMemory = (stderr: string): boolean => /out of memory|is_heap_oom|invalid size error/i.test(stderr);

export function endingOf(seen: Seen): Ending {
  const { kill, problem } = seen;
  const memory = kill === undefined ? seen.memory : kill.why === 'memory';
  const why = kill?.why ?? (memory ? 'memory' : 'died');
  const detail = kill?.detail ?? (memory ? 'ran out of memory' : problem || 'the process ended by itself');
  const culprit = culpritOf(seen, why);
  return {
    why,
    detail,
    culprit,
    exitOf(party) {
      if (party === culprit || culprit === undefined) {
        if (party === culprit && why === 'memory') return { kind: 'out-of-memory', detail };
        if (party === culprit && why === 'stall') return { kind: 'out-of-time', detail };
        return { kind: 'cell-died', detail };
      }
      return {
        kind: 'cell-died',
        detail: `its neighbour ${culprit.options.id.name} of the same publisher ended the cell: ${detail}`,
      };
    },
  };
}

/** Whose doing the end was, where that is known. */
function culpritOf({ kill, lastIn, parties }: Seen, why: Ending['why']): Party | undefined {
  if (why === 'stop' || why === 'unused' || why === 'malformed') return undefined;
  if (parties.length === 1) return parties[0];
  const named = parties.find(({ number }) => number === (kill ? kill.isolate : lastIn));
  if (kill) return named;
  // It ended by itself, and the name was read a moment before: believed when that isolate had something to do.
  const busy = parties.filter((party) => party.busy);
  return busy.length === 1 ? busy[0] : named?.busy ? named : undefined;
}

/** Faults a guest's own doing can cause. */
const CODES: ReadonlySet<string> = new Set<ErrorCode>([
  'invalid-input',
  'handler-failed',
  'output-invalid',
  'reply-too-large',
  'turn-exceeded',
  'out-of-memory',
  'start-failed',
]);

/**
 * @param redact takes secrets out of the guest's words
 * @throws MalformedFrame when no guest can have caused it
 */
export function faultOf({ code, detail, stack, issues }: GuestFault, redact: (text: string) => string = (text) => text): Fault {
  if (!CODES.has(code)) throw new MalformedFrame('fault code');
  const frames = stack?.split('\n').filter((line) => line.startsWith('    at ')) ?? [];
  const clean = issues?.map(({ path, message }) => ({ path: redact(path), message: redact(message) }));
  return new Fault(
    code as ErrorCode,
    redact([detail, ...frames].join('\n')),
    clean && clean.length > 0 ? { issues: clean } : {},
  );
}

/** The fault of a call that was under way when its isolate ended. */
export function faultAt(exit: Exit, item: Item): Fault {
  switch (exit.kind) {
    case 'closed':
      return new Fault('workload-draining', `${item.kind} ${item.what}: the workload was closed before it answered`);
    case 'out-of-memory':
      return new Fault('out-of-memory', exit.detail);
    case 'out-of-time':
      return new Fault('turn-exceeded', exit.detail);
    case 'faulted':
      return new Fault('cell-died', exit.fault.detail);
    case 'cell-died':
      return new Fault('cell-died', exit.detail);
  }
}

/** The fault of an opening that ended with the isolate. */
export function openingFault(exit: Exit): Fault {
  switch (exit.kind) {
    case 'faulted':
      return exit.fault;
    case 'out-of-memory':
      return new Fault('out-of-memory', exit.detail);
    case 'out-of-time':
      return new Fault('turn-exceeded', exit.detail);
    default:
      return new Fault('cell-died', exit.kind === 'closed' ? 'closed while it was being opened' : exit.detail);
  }
}
