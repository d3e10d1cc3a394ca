/**
 * A hostile bundle as data: what it does, and what must come of it. The drivers (cells.ts, node.ts) bring it to the wall and
 * judge.ts compares.
 *
 * Promises:
 * H1. A case says the worst that may come of it: the codes its call may end in and the ways its isolate may end, nothing wider.
 * H2. Every bundle answers the input `"well"` honestly, so that after its deed it can be asked whether it still, or again, works.
 */
import type { ErrorCode } from '@cim/contracts';
import type { LimitName } from '../../packages/node-agent/src/core/limit-names.ts';
import type { Exit } from '../../packages/node-agent/src/sandbox/sandbox.ts';

/** What a call, or an opening, ends in: an answer or a fault's code. */
export type End = 'answered' | ErrorCode;
/** What becomes of the isolate: it goes on, or ends in that way. */
export type Fate = 'lives' | Exclude<Exit['kind'], 'closed'>;

/** What the case's host answers; the real node's own door where it is not given. */
export type HostAnswers = Readonly<Record<string, (args: readonly unknown[]) => unknown>>;

export interface Hostile {
  /** Unique; a workload's name at the same time. */
  readonly name: string;
  /** The whole entry module. */
  readonly entry: string;
  /** When it strikes: in its call, or while it is being loaded. */
  readonly strikes: 'call' | 'load';
  readonly ends: readonly End[];
  readonly fates: readonly Fate[];
  /** What the call must answer, where it is answered. */
  readonly answer?: unknown;
  /** A part of the fault's detail: the limit it names. */
  readonly says?: RegExp;
  readonly limits: CaseLimits;
  /** Longest wait of the caller, ms. */
  readonly budgetMs: number;
  /** How often the deed is done before it is judged; each time must end as said. */
  readonly times: number;
  readonly grants: { readonly kv?: boolean; readonly publish?: readonly string[]; readonly call?: readonly string[] };
  readonly start: boolean;
  readonly host: HostAnswers;
  /** A limit it must be told to have run into, beside those its ends speak of. */
  readonly hits: LimitName | undefined;
  /** Bytes it may hold beyond its limit and the cell's allowance, as seen from outside, where a watchdog keeps the limit. */
  readonly overshootBytes: number;
}

export interface CaseLimits {
  readonly turnMs: number;
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly milliCpu: number;
  readonly maxConcurrent: number;
}

export const MIB = 2 ** 20;
const usual: CaseLimits = { turnMs: 200, timeoutMs: 4_000, memoryBytes: 32 * MIB, milliCpu: 4_000, maxConcurrent: 16 };

/**
 * The tolerance on memory where no kernel keeps it: the watchdog looks every few hundredths of a second, and this is what one core
 * can touch until it has looked twice and the kernel has taken the process down.
 */
const OVERSHOOT = 256 * MIB;

type Rest = Partial<Omit<Hostile, 'name' | 'entry' | 'strikes' | 'ends' | 'fates' | 'limits'>> & {
  readonly limits?: Partial<CaseLimits>;
  /** Code before the definition. */
  readonly before?: string;
};

const filled = (
  name: string,
  entry: string,
  strikes: Hostile['strikes'],
  [ends, fates]: Outcome,
  { limits, before: _, ...rest }: Rest,
): Hostile => ({
  budgetMs: 2_500,
  times: 1,
  grants: { kv: true },
  start: false,
  host: {},
  hits: undefined,
  overshootBytes: OVERSHOOT,
  ...rest,
  name,
  entry,
  strikes,
  ends,
  fates,
  limits: { ...usual, ...limits },
});

/** How it may end: the call, and the isolate. */
export type Outcome = readonly [ends: readonly End[], fates: readonly Fate[]];

/** Interrupted by the time limit of an entry; it goes on. */
export const interrupted: Outcome = [['turn-exceeded'], ['lives']];
/** Nothing in the isolate can stop it: its cell is killed. */
export const killed: Outcome = [['turn-exceeded'], ['out-of-time']];
/** Its own call fails, nothing else. */
export const failed: Outcome = [['handler-failed'], ['lives']];
/** Harmless: answered, and nothing else happens. */
export const harmless: Outcome = [['answered'], ['lives']];
/** The time or the memory limit, whichever is met first. */
export const bounded: Outcome = [
  ['turn-exceeded', 'out-of-memory'],
  ['lives', 'out-of-memory', 'out-of-time'],
];

/** A bundle whose handler does this when it is called with anything but `"well"`. The body sees `input`, `ctx` and `call`. */
export function calling(name: string, body: string, outcome: Outcome, rest: Rest = {}): Hostile {
  const handle = `handle(input, ctx, call) { if (input === 'well') return 'well';\n${body}\n}`;
  const entry = `${rest.before ?? ''}\nexport default { kind: 'agent', api: 1, capabilities: { '${name}.do': { ${handle} } } };\n`;
  return filled(name, entry, 'call', outcome, rest);
}

/** An entry of its own: it strikes while it is loaded, or as its handler says. `DO` stands for the capability's name. */
export function loading(name: string, entry: string, outcome: Outcome, rest: Rest = {}): Hostile {
  return filled(name, entry.replaceAll('DO', `${name}.do`), 'load', outcome, rest);
}

/** The honest form of the definition, for entries that strike elsewhere. */
export const HONEST = `export default { kind: 'agent', api: 1, capabilities: { 'DO': { handle: (input) => input } } };`;

/** Limits an ending must have been told under; one of each group is enough. */
const TOLD: Readonly<Partial<Record<End | Fate, readonly LimitName[]>>> = {
  'turn-exceeded': ['turn'],
  'out-of-time': ['turn'],
  'out-of-memory': ['heap', 'memory'],
  'reply-too-large': ['reply-size'],
};

/** Limits that were met and not told of. */
export function untold(one: Hostile, met: readonly End[], fate: Fate, told: ReadonlySet<string>): string[] {
  const missing = [...new Set([...met, fate])].filter((end) => TOLD[end]?.some((limit) => told.has(limit)) === false);
  const wanted = one.hits !== undefined && !told.has(one.hits) ? [one.hits] : [];
  return [
    ...missing.map((end) => `met ${end}, and no limit ${TOLD[end]!.join(' or ')} was told of`),
    ...wanted.map((limit) => `the limit ${limit} was not told of`),
  ];
}
