/**
 * The only file that prints.
 *
 * Promises:
 * R1. Standard output carries the answer and nothing else: text for people, or with `--json` one document (one a line for streams).
 * R2. Standard error carries progress and faults; with `--json` a fault is a problem document on standard output and nothing is
 *     said on standard error.
 * R3. Colour only where a person watches and NO_COLOR is not set; control characters of others never reach the terminal.
 */
import type { Fault } from '@cim/contracts';
import pc from 'picocolors';
import type { DeployStep } from '../deploy/progress.ts';
import type { Io } from './io.ts';

export type Paint = 'good' | 'warn' | 'bad' | 'dim' | 'strong' | 'plain';

export interface Cell {
  readonly text: string;
  readonly paint: Paint;
}
export const cell = (text: string, paint: Paint = 'plain'): Cell => ({ text, paint });

export type Render = ReturnType<typeof createRender>;

const BAR = 24;

export function createRender(io: Io, json: boolean) {
  const wantsColour = (tty: boolean) => {
    if (io.env['NO_COLOR']) return false;
    return tty || Boolean(io.env['FORCE_COLOR']);
  };
  const painter = (tty: boolean) => {
    const { green, yellow, red, dim, bold } = pc.createColors(wantsColour(tty));
    const brushes = { good: green, warn: yellow, bad: red, dim, strong: bold, plain: String };
    return (text: string, paint: Paint) => brushes[paint](text);
  };
  const onOut = painter(io.outIsTty);
  const onErr = painter(io.errIsTty);
  let barOpen = false;
  /** A line on standard error; a bar that stands there is ended first. */
  const say = (text: string) => {
    if (barOpen) io.err('\n');
    barOpen = false;
    io.err(text);
  };

  return {
    json,
    /** The answer: `value` with `--json`, else `text`. */
    answer(value: unknown, text: () => string): void {
      if (json) io.out(`${JSON.stringify(value, null, 2)}\n`);
      else {
        const lines = text();
        if (lines !== '') io.out(lines.endsWith('\n') ? lines : `${lines}\n`);
      }
    },
    /** One item of a stream. */
    item(value: unknown, text: () => string): void {
      io.out(json ? `${JSON.stringify(value)}\n` : `${text()}\n`);
    },
    /** Text that is itself the answer, whatever the form (completion scripts, help). */
    raw(text: string): void {
      io.out(text);
    },
    paint: (text: string, paint: Paint) => onOut(clean(text), paint),
    /** Something to know that is no failure. */
    note(text: string): void {
      if (!json) say(`${onErr(clean(text), 'dim')}\n`);
    },
    warning(text: string): void {
      if (!json) say(`${onErr('warning', 'warn')} ${clean(text)}\n`);
    },
    /** A step of long work. */
    step({ kind, detail, elapsedMs }: DeployStep): void {
      if (json) return;
      const paint: Paint = kind === 'done' ? 'good' : kind === 'backing-off' ? 'warn' : 'plain';
      say(`${onErr(seconds(elapsedMs).padStart(8), 'dim')}  ${onErr(kind.padEnd(11), paint)} ${clean(detail)}\n`);
    },
    /** A bar where somebody watches, a line at every quarter elsewhere. */
    progress(label: string): { update(done: number, total: number): void; end(): void } {
      if (json) return { update() {}, end() {} };
      let quarter = -1;
      return {
        update(done, total) {
          const share = total === 0 ? 1 : done / total;
          if (io.errIsTty) {
            const filled = Math.round(share * BAR);
            io.err(`\r${label} ${'█'.repeat(filled)}${'░'.repeat(BAR - filled)} ${percent(share)} of ${bytes(total)}\u001b[K`);
            barOpen = true;
          } else if (Math.floor(share * 4) > quarter) {
            quarter = Math.floor(share * 4);
            io.err(`${label} ${percent(share)} of ${bytes(total)}\n`);
          }
        },
        end() {
          if (barOpen) say('');
        },
      };
    },
    /** A fault: what, where, what to do. */
    fault(fault: Fault): void {
      if (json) {
        io.out(`${JSON.stringify(fault.toProblem(), null, 2)}\n`);
        return;
      }
      const { title, advice } = fault.row;
      say(
        `${onErr('error', 'bad')} ${onErr(fault.code, 'strong')}: ${title}\n  ${clean(fault.detail).replaceAll('\n', '\n  ')}\n`,
      );
      // One field is in the detail already; of several each gets its line.
      if (fault.issues.length > 1) for (const { path, message } of fault.issues) say(`  - ${clean(path)}: ${clean(message)}\n`);
      say(`${onErr('what to do', 'dim')} ${advice}\n`);
    },
    /** Columns with a head; wide characters count as two. */
    async table(head: readonly string[], rows: readonly (readonly (string | Cell)[])[]): Promise<string> {
      const { default: Table } = await import('cli-table3');
      const none = '';
      const chars = Object.fromEntries(
        [
          'top',
          'top-mid',
          'top-left',
          'top-right',
          'bottom',
          'bottom-mid',
          'bottom-left',
          'bottom-right',
          'left',
          'left-mid',
          'mid',
          'mid-mid',
          'right',
          'right-mid',
        ].map((name) => [name, none]),
      );
      const table = new Table({
        head: head.map((text) => onOut(text.toUpperCase(), 'dim')),
        chars: { ...chars, middle: '  ' },
        style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
      });
      for (const row of rows) {
        table.push(row.map((one) => (typeof one === 'string' ? clean(one) : onOut(clean(one.text), one.paint))));
      }
      return table
        .toString()
        .split('\n')
        .map((line) => line.trimEnd())
        .join('\n');
    },
  };
}

/** R3: what others wrote must not move the cursor or change the title of a terminal. */
export function clean(text: string): string {
  return text.replace(/[^\P{Cc}\t\n]/gu, '\ufffd');
}

const percent = (share: number) => `${Math.floor(share * 100)}%`.padStart(4);
export const seconds = (ms: number) => (ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(2)} s`);

/** `1.5 MiB`, for people. */
export function bytes(count: number): string {
  let value = count;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024 || unit === 'GiB') return `${unit === 'B' ? value : value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${count} B`;
}

/** `3 s ago`, `5 min ago`, `2 d ago`. */
export function ago(ms: number): string {
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
  ] as const) {
    if (ms >= size) return `${Math.floor(ms / size)} ${unit} ago`;
  }
  return `${Math.max(0, Math.round(ms / 1_000))} s ago`;
}
