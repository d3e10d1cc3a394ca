/**
 * Cuts Markdown into pieces that can be read one by one.
 *
 * Promises:
 * C1. Cuts lie where blocks end anyway: behind an empty line, before a heading, before an item of an outer list. Only a
 *     block longer than {@link longest} characters or {@link mostLines} lines is cut inside, at a line or a word.
 * C2. Fenced code and HTML comments are never taken for anything else, and never cut below a megabyte.
 * C3. Link definitions anywhere count everywhere.
 */
import { Budget } from './budget.ts';

export interface Piece {
  readonly text: string;
  /** Line of its first character in the content, from 0. */
  readonly line: number;
  /** True when it ends within a fence or a comment: nothing can be added behind it. */
  readonly open: boolean;
}

export interface Definition {
  readonly href: string;
  readonly title: string | undefined;
}

export interface Pieces {
  readonly pieces: readonly Piece[];
  /** By normalized label. */
  readonly definitions: ReadonlyMap<string, Definition>;
  readonly footnotes: ReadonlySet<string>;
}

const wanted = 2048;
const longest = 8192;
const longestTable = 65_536;
const longestFence = 1_000_000;
const mostLines = 300;
const mostUnderlines = 20;

export const normalizeLabel = (label: string): string => label.toLowerCase().replace(/\s+/g, ' ').trim();

export function* cut(content: string, start: number, firstLine: number): Generator<void, Pieces> {
  const cutter = new Cutter(firstLine);
  const ending = /\r\n|\n|\r/g;
  ending.lastIndex = start;
  for (let at = start, count = 0; at < content.length; count++) {
    const match = ending.exec(content);
    const end = match === null ? content.length : match.index;
    cutter.line(content.slice(at, end), match?.[0] ?? '');
    at = match === null ? content.length : ending.lastIndex;
    if (count % 5000 === 4999) yield;
  }
  return cutter.finish();
}

class Cutter {
  readonly #pieces: Piece[] = [];
  readonly #definitions = new Map<string, Definition>();
  readonly #footnotes = new Set<string>();
  #parts: string[] = [];
  #length = 0;
  #lines = 0;
  #underlines = 0;
  #begin: number;
  #at: number;
  #budget = new Budget();
  #fence: { readonly mark: string; readonly size: number } | undefined;
  #comment: RegExp | undefined;
  #previous: 'blank' | 'underline' | 'other' = 'blank';

  constructor(firstLine: number) {
    this.#begin = firstLine;
    this.#at = firstLine;
  }

  line(text: string, ending: string): void {
    if (this.#fence !== undefined || this.#comment !== undefined) this.#verbatim(text, ending);
    else this.#prose(text, ending);
    this.#at += 1;
  }

  finish(): Pieces {
    this.#flush();
    return { pieces: this.#pieces, definitions: this.#definitions, footnotes: this.#footnotes };
  }

  /** Within a fence or a comment. */
  #verbatim(text: string, ending: string): void {
    this.#add(text, ending);
    const fence = this.#fence;
    if (fence !== undefined) {
      const closing = /^ {0,3}(`{3,}|~{3,})[ \t]*$/.exec(text)?.[1];
      if (closing?.startsWith(fence.mark) && closing.length >= fence.size) this.#fence = undefined;
    } else if (this.#comment?.test(text)) this.#comment = undefined;
    this.#previous = 'other';
    if (this.#length > longestFence) this.#flush();
  }

  #prose(text: string, ending: string): void {
    const blank = /^[ \t]*$/.test(text);
    if (!blank && this.#ripe(text)) this.#flush();
    const opening = /^ {0,3}(?:(`{3,})[^`]*|(~{3,}).*)$/.exec(text);
    const fence = opening?.[1] ?? opening?.[2];
    if (fence !== undefined) this.#fence = { mark: fence[0]!, size: fence.length };
    else this.#note(text);
    this.#comment = fence === undefined ? unclosed(text) : undefined;
    if (fence !== undefined) this.#add(text, ending);
    else this.#long(text, ending);
    const underline = /^ {0,3}(?:=+|-+)[ \t]*$/.test(text);
    if (underline) this.#underlines += 1;
    this.#previous = blank ? 'blank' : underline ? 'underline' : 'other';
  }

  /** Whether the piece ends before this line (C1). */
  #ripe(text: string): boolean {
    if (this.#length > (/^\s*\|/.test(text) ? longestTable : longest)) return true;
    if (this.#lines >= mostLines && !/^\s*\|/.test(text)) return true;
    const heading = /^#{1,6}[ \t]/.test(text);
    const natural =
      (this.#previous === 'blank' && !/^(?: {1,}|\t)/.test(text)) ||
      this.#previous === 'underline' ||
      heading ||
      /^(?:[-+*]|\d{1,9}[.)])[ \t]/.test(text);
    return natural && (this.#length >= wanted || this.#underlines >= mostUnderlines);
  }

  /** A line of any length: what is too long is cut at a space. */
  #long(text: string, ending: string): void {
    let at = 0;
    while (text.length - at > longest) {
      let end = at + longest;
      const space = text.lastIndexOf(' ', end);
      if (space > at + longest / 2) end = space + 1;
      else if (/[\ud800-\udbff]/.test(text[end - 1]!)) end -= 1;
      this.#add(this.#budget.spend(text.slice(at, end)), '');
      this.#flush();
      this.#begin = this.#at;
      at = end;
    }
    this.#add(this.#budget.spend(at === 0 ? text : text.slice(at)), ending);
  }

  #add(text: string, ending: string): void {
    this.#parts.push(text, ending);
    this.#length += text.length + ending.length;
    this.#lines += 1;
  }

  #flush(): void {
    const open = this.#fence !== undefined || this.#comment !== undefined;
    if (this.#length > 0) this.#pieces.push({ text: this.#parts.join(''), line: this.#begin, open });
    this.#parts = [];
    this.#length = 0;
    this.#lines = 0;
    this.#underlines = 0;
    this.#begin = this.#at;
    this.#budget = new Budget();
  }

  #note(text: string): void {
    const footnote = /^ {0,3}\[\^([^\]\s]{1,100})\]:/.exec(text)?.[1];
    if (footnote !== undefined) this.#footnotes.add(normalizeLabel(footnote));
    else {
      const match =
        /^ {0,3}\[([^[\]\\]{1,200})\]:[ \t]*(?:<([^<>]{0,2000})>|(\S{1,2000}))(?:[ \t]+(?:"([^"]{0,500})"|'([^']{0,500})'|\(([^()]{0,500})\)))?[ \t]*$/.exec(
          text,
        );
      const label = match === null ? '' : normalizeLabel(match[1]!);
      if (match !== null && label !== '' && !this.#definitions.has(label)) {
        this.#definitions.set(label, { href: match[2] ?? match[3] ?? '', title: match[4] ?? match[5] ?? match[6] });
      }
    }
  }
}

/** What ends the comment or raw element that begins on this line and does not end on it. */
function unclosed(text: string): RegExp | undefined {
  if (/^ {0,3}<!--/.test(text)) return text.includes('-->') ? undefined : /-->/;
  const raw = /^ {0,3}<(?:script|pre|style|textarea)(?=[\s>]|$)/i.test(text);
  const end = /<\/(?:script|pre|style|textarea)>/i;
  return raw && !end.test(text) ? end : undefined;
}
