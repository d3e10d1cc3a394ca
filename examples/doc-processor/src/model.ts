/**
 * What every reader makes of a document, whatever its format, and the collector they fill it with.
 *
 * Promises:
 * M1. Blocks are in the order of the document; a heading is a block too, so a section is a stretch of blocks.
 * M2. Texts have single spaces and no markup. Code is not prose: it is in `code` only.
 */

import { type Lines, lineAt } from './lines.ts';
import { type Link, linkKind } from './links.ts';

export type Format = 'markdown' | 'html' | 'text';

export interface Block {
  readonly kind: 'heading' | 'paragraph' | 'item' | 'cell';
  readonly text: string;
  /** Index in `headings`, for a block of that kind. */
  readonly heading?: number;
}

export interface Heading {
  /** 1 to 6. */
  readonly level: number;
  readonly text: string;
  /** Given by the author; else made from the text. */
  readonly id?: string;
  /** From 1. */
  readonly line: number;
  /** UTF-16 units from the start of the content. */
  readonly offset: number;
}

export interface Code {
  readonly language?: string;
  readonly lines: number;
  readonly content: string;
}

export interface Image {
  readonly source: string;
  readonly alt: string;
  readonly title?: string;
}

export interface Parsed {
  readonly title?: string;
  readonly blocks: readonly Block[];
  readonly headings: readonly Heading[];
  readonly links: readonly Link[];
  readonly images: readonly Image[];
  readonly code: readonly Code[];
  readonly tables: number;
}

/** Runs of white space to one space, none at the ends. */
const tidy = (text: string): string => text.replace(/\s+/gu, ' ').trim();

export class Collector implements Parsed {
  title?: string;
  readonly blocks: Block[] = [];
  readonly headings: Heading[] = [];
  readonly links: Link[] = [];
  readonly images: Image[] = [];
  readonly code: Code[] = [];
  tables = 0;
  readonly #lines: Lines;

  constructor(lines: Lines) {
    this.#lines = lines;
  }

  block(kind: Exclude<Block['kind'], 'heading'>, text: string): void {
    const clean = tidy(text);
    if (clean !== '') this.blocks.push({ kind, text: clean });
  }

  /** @param offset where the heading begins in the content */
  heading(level: number, text: string, offset: number, id?: string): void {
    const clean = tidy(text);
    const line = lineAt(this.#lines, offset);
    this.headings.push({ level, text: clean, line, offset, ...(id ? { id } : {}) });
    this.blocks.push({ kind: 'heading', text: clean, heading: this.headings.length - 1 });
  }

  link(text: string, href: string, title?: string | null): void {
    this.links.push({ text: tidy(text), href, kind: linkKind(href), ...(title ? { title } : {}) });
  }

  image(source: string, alt: string, title?: string | null): void {
    const optional = title ? { title } : {};
    this.images.push({ source, alt: tidy(alt), ...optional });
    this.links.push({ text: tidy(alt), href: source, kind: 'image', ...optional });
  }

  addCode(content: string, language?: string | null): void {
    const lines = content === '' ? 0 : content.replace(/(?:\r\n|\n|\r)$/, '').split(/\r\n|\n|\r/).length;
    this.code.push({ ...(language ? { language } : {}), lines, content });
  }
}
