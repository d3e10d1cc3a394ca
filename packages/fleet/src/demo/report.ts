/**
 * What a person sees while the fleet comes up, or a program with `--json`.
 *
 * Promises:
 * R1. Every step is shown when it happens, with its outcome and its time; on a terminal also while it runs.
 * R2. With JSON, standard output carries one object a line and nothing else.
 * R3. Nothing secret is printed.
 */
import { stripVTControlCharacters } from 'node:util';
import { systemClock } from '@cim/contracts';
import Table from 'cli-table3';
import colours from 'picocolors';

export interface Screen {
  readonly write: (text: string) => void;
  readonly isTty: boolean;
  readonly colour: boolean;
  /** Columns. */
  readonly width: number;
}

/** A step that was not as it should be. */
export class StepFailure extends Error {
  override readonly name = 'StepFailure';
  readonly step: string;
  readonly expected: string;
  readonly found: string;
  constructor(step: string, expected: string, found: string) {
    super(`${step}: expected ${expected}, found ${found}`);
    this.step = step;
    this.expected = expected;
    this.found = found;
  }
}

export interface Report {
  readonly json: boolean;
  /** A step has begun. */
  begin(name: string): void;
  /** It ended well. */
  done(name: string, detail: string, ms: number): void;
  /** It ended badly. */
  failed(name: string): void;
  /** Runs a step and shows how it ended. `line` gives the words for what came of it. */
  step<T>(name: string, work: () => Promise<T>, line: (result: T) => string): Promise<T>;
  /** A headline with what follows under it. */
  section(title: string, aside?: string): void;
  /** One line of an answer, already checked. */
  line(text: string, ms?: number): void;
  table(head: readonly string[], rows: readonly (readonly string[])[]): void;
  /** Facts for programs; nothing on a screen. */
  fact(kind: string, facts: Record<string, unknown>): void;
  /** A sentence in between, such as a process that came back. */
  note(text: string): void;
  failure(text: string): void;
  readonly paint: ReturnType<typeof colours.createColors>;
}

export const duration = (ms: number): string => (ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`);
export const size = (bytes: number): string =>
  bytes < 1_000_000 ? `${Math.ceil(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;

/** `text` filled up or cut to `width` columns, with an ellipsis for what is cut; colours take no columns and are kept. */
export function fit(text: string, width: number): string {
  const columns = [...stripVTControlCharacters(text)].length;
  if (columns <= width) return text + ' '.repeat(width - columns);
  let left = Math.max(0, width - 1);
  let out = '';
  for (const [index, piece] of text.split(ESCAPE).entries()) {
    const end = index === 0 ? 0 : piece.indexOf('m') + 1;
    if (index > 0) out += ESCAPE + piece.slice(0, end);
    for (const character of piece.slice(end)) {
      if (left >= 0) out += left > 0 ? character : '…';
      left--;
    }
  }
  return out;
}

const ESCAPE = '\u001b';

export function screenReport(screen: Screen): Report {
  const paint = colours.createColors(screen.colour);
  const width = Math.min(Math.max(screen.width, 60), 118);
  const put = (text: string) => screen.write(`${text}\n`);
  const timed = (text: string, ms: number | undefined) => {
    if (ms === undefined) return fit(text, width - 2).trimEnd();
    return `${fit(text, width - 12)} ${paint.dim(duration(ms).padStart(9))}`;
  };
  const clear = () => screen.isTty && screen.write('\r\u001b[2K');
  const steps: Steps = {
    begin: (name) => screen.isTty && screen.write(`  ${paint.dim('·')} ${paint.dim(name)}`),
    done(name, detail, ms) {
      clear();
      put(`  ${paint.green('✓')} ${timed(`${name.padEnd(12)} ${detail}`, ms)}`);
    },
    failed(name) {
      clear();
      put(`  ${paint.red('✗')} ${name}`);
    },
  };
  return {
    json: false,
    paint,
    ...stepsOf(steps),
    section: (title, aside) => put(`\n${paint.bold(title)}${aside === undefined ? '' : `  ${paint.dim(aside)}`}`),
    line: (text, ms) => put(`  ${timed(text, ms)}`),
    table(head, rows) {
      const table = new Table({ head: head.map((text) => paint.bold(text)), style: { head: [], border: [], compact: true } });
      for (const row of rows) table.push([...row]);
      for (const row of table.toString().split('\n')) put(`  ${row}`);
    },
    fact() {},
    note: (text) => put(`  ${paint.yellow('!')} ${text}`),
    failure: (text) => put(text),
  };
}

export function jsonReport(write: (text: string) => void): Report {
  const short = (_: string, value: unknown) => (typeof value === 'number' ? Math.round(value * 10) / 10 : value);
  const put = (value: Record<string, unknown>) => write(`${JSON.stringify(value, short)}\n`);
  return {
    json: true,
    paint: colours.createColors(false),
    ...stepsOf({
      begin() {},
      done: (step, detail, ms) => put({ kind: 'step', step, ok: true, ms: Math.round(ms), detail }),
      failed: (step) => put({ kind: 'step', step, ok: false }),
    }),
    section() {},
    line() {},
    table() {},
    fact: (kind, facts) => put({ kind, ...facts }),
    note: (text) => put({ kind: 'note', text }),
    failure() {},
  };
}

type Steps = {
  readonly begin: (name: string) => unknown;
  readonly done: (name: string, detail: string, ms: number) => void;
  readonly failed: (name: string) => void;
};

function stepsOf(steps: Steps): Pick<Report, 'begin' | 'done' | 'failed' | 'step'> {
  return {
    ...steps,
    begin: (name) => void steps.begin(name),
    async step(name, work, line) {
      steps.begin(name);
      const begun = systemClock.monotonic();
      try {
        const result = await work();
        steps.done(name, line(result), systemClock.monotonic() - begun);
        return result;
      } catch (error) {
        steps.failed(name);
        throw error;
      }
    },
  };
}
