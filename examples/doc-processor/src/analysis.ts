/**
 * One document, read once; everything about it on demand.
 */

import { InputError } from '@cim/alchemist/agent';
import { detectFormat } from './detect.ts';
import { type FrontMatter, readFrontMatter } from './frontmatter.ts';
import { readHtml } from './html.ts';
import { type Language, languageOf } from './language.ts';
import { readMarkdown } from './markdown.ts';
import type { Code, Format, Parsed } from './model.ts';
import { type OutlineEntry, outlineOf } from './outline.ts';
import { phrasesOf } from './phrases.ts';
import { readPlain } from './plain.ts';
import { type Statistics, statisticsOf } from './statistics.ts';

export interface Document {
  readonly content: string;
  readonly format?: Format;
  readonly title?: string;
}

export interface Limits {
  /** Longest content, in UTF-16 units. */
  readonly maxCharacters: number;
  /** Most entries of any list in an answer. */
  readonly maxListed: number;
  /** Most key phrases. */
  readonly keyPhrases: number;
}

/** A document as read: what all further questions start from. */
export interface Source {
  readonly format: Format;
  readonly title: string | undefined;
  readonly frontMatter: FrontMatter | undefined;
  readonly parsed: Parsed;
  readonly outline: readonly OutlineEntry[];
  readonly language: Language;
}

/** Code shown in one answer, in characters over all blocks; behind it only the sizes are. */
const mostCode = 200_000;

/** @param path of the document in the input, for errors. @throws InputError when it is too long */
export function* readSource(document: Document, limits: Limits, path: string): Generator<void, Source> {
  const { content } = document;
  if (content.length > limits.maxCharacters) {
    throw new InputError(
      path,
      `${content.length} characters, at most ${limits.maxCharacters} are read. Send it in parts, or raise maxCharacters in the configuration`,
    );
  }
  const format = document.format ?? detectFormat(content);
  const front = format === 'html' ? undefined : readFrontMatter(content);
  const parsed = yield* read(format, content, front?.end ?? 0);
  const stated = front?.frontMatter.values['title'];
  const title =
    document.title ??
    (typeof stated === 'string' && stated !== '' ? stated : undefined) ??
    parsed.title ??
    firstHeading(parsed);
  const language = languageOf(parsed.blocks.map(({ text }) => text));
  return { format, title, frontMatter: front?.frontMatter, parsed, outline: outlineOf(parsed.headings), language };
}

function read(format: Format, content: string, start: number): Generator<void, Parsed> {
  if (format === 'markdown') return readMarkdown(content, start);
  if (format === 'html') return readHtml(content);
  // Blanked, not cut off: positions stay those of the content.
  return readPlain(start === 0 ? content : content.slice(0, start).replace(/[^\r\n]/g, ' ') + content.slice(start));
}

const firstHeading = ({ headings }: Parsed): string | undefined =>
  (headings.find(({ level }) => level === 1) ?? headings[0])?.text;

export type CodeOut = Code & { readonly cut?: true };

/** Code blocks, their contents cut where together they grow too long for an answer. */
export function codeOf({ code }: Parsed, limit: number): CodeOut[] {
  let left = mostCode;
  return code.slice(0, limit).map((each) => {
    const content = each.content.slice(0, Math.max(0, left));
    left -= content.length;
    return content.length < each.content.length ? { ...each, content, cut: true } : each;
  });
}

/** Everything at once: the answer of `document.process`. */
export function* describe(source: Source, limits: Limits) {
  const { format, title, frontMatter, parsed, outline, language } = source;
  const statistics: Statistics = yield* statisticsOf(parsed.blocks);
  const keyPhrases = yield* phrasesOf(parsed.blocks, language.code, limits.keyPhrases);
  const lists = { outline, links: parsed.links, code: parsed.code, images: parsed.images };
  return {
    format,
    ...(title === undefined ? {} : { title }),
    ...(frontMatter === undefined ? {} : { frontMatter }),
    outline: outline.slice(0, limits.maxListed),
    statistics,
    links: parsed.links.slice(0, limits.maxListed),
    code: codeOf(parsed, limits.maxListed),
    images: parsed.images.slice(0, limits.maxListed),
    tables: parsed.tables,
    language,
    keyPhrases,
    // Which lists are longer than shown, and how long they are.
    truncated: Object.fromEntries(
      Object.entries(lists)
        .filter(([, list]) => list.length > limits.maxListed)
        .map(([name, list]) => [name, list.length]),
    ),
  };
}

export type Description = ReturnType<typeof describe> extends Generator<void, infer T> ? T : never;
