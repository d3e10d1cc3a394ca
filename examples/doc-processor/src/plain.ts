/**
 * Plain text: paragraphs between empty lines, headings as people mark them without markup.
 *
 * A heading is a line underlined with `=` or `-`, a short line in capitals, or a short numbered line (`2.1 Scope`), each
 * standing alone. Its level is that of the underline (1, 2), the depth of the number, or 1 for capitals.
 */
import { linesOf } from './lines.ts';
import { linksInText } from './links.ts';
import { Collector, type Parsed } from './model.ts';

const longestHeading = 80;

export function* readPlain(content: string): Generator<void, Parsed> {
  const lines = linesOf(content);
  const out = new Collector(lines);
  const textOf = (index: number): string => content.slice(lines[index]!, lines[index + 1] ?? content.length).trimEnd();
  let paragraph: string[] = [];
  let item = false;
  const flush = (): void => {
    if (paragraph.length > 0) out.block(item ? 'item' : 'paragraph', paragraph.join('\n'));
    paragraph = [];
    item = false;
  };
  let previousBlank = true;
  for (let index = 0; index < lines.length; index++) {
    const line = textOf(index);
    const next = index + 1 < lines.length ? textOf(index + 1) : '';
    if (line.trim() === '') {
      flush();
      previousBlank = true;
      continue;
    }
    const underline = /^ {0,3}(={3,}|-{3,})$/.exec(next)?.[1];
    const level = previousBlank ? headingLevel(line, next, underline) : undefined;
    if (level !== undefined) {
      out.heading(level, line, lines[index]!);
      if (underline !== undefined) index += 1;
      continue;
    }
    if (/^\s{0,8}(?:[-*•–]|\d{1,3}[.)])\s+\S/.test(line)) {
      flush();
      item = true;
    }
    paragraph.push(line);
    previousBlank = false;
    if (index % 2000 === 1999) yield;
  }
  flush();
  for (const { text, href } of linksInText(content)) out.link(text, href);
  return out;
}

function headingLevel(line: string, next: string, underline: string | undefined): number | undefined {
  const text = line.trim();
  if (text.length > longestHeading) return undefined;
  if (underline !== undefined) return underline.startsWith('=') ? 1 : 2;
  if (next.trim() !== '') return undefined;
  const number = /^(\d{1,3}(?:\.\d{1,3}){0,5})[.)]? +\p{L}/u.exec(text)?.[1];
  if (number !== undefined && !/[.!?:;,]$/.test(text)) return Math.min(6, number.split('.').length);
  const letters = text.match(/\p{L}/gu) ?? [];
  return letters.length >= 3 && /^[^\p{Ll}]*$/u.test(text) && /\p{Lu}/u.test(text) && !/[.!?]$/.test(text) ? 1 : undefined;
}
