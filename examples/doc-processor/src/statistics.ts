/**
 * Counts over the prose of a document: headings, paragraphs, list items, table cells; code is left out.
 */
import type { Block } from './model.ts';
import { sentencesOf, wordsOf } from './words.ts';

export interface Statistics {
  readonly words: number;
  readonly uniqueWords: number;
  readonly sentences: number;
  readonly paragraphs: number;
  /** As a reader counts them: code points, without markup; between blocks nothing is counted. */
  readonly characters: number;
  readonly readingSeconds: number;
  /** Words per sentence of the running text, headings and table cells left out; two digits. */
  readonly averageSentenceLength: number;
}

/** Words a minute: the middle of what studies find for silent reading of prose. */
const pace = 238;

export function* statisticsOf(blocks: readonly Block[]): Generator<void, Statistics> {
  const unique = new Set<string>();
  let words = 0;
  let running = 0;
  let sentences = 0;
  let paragraphs = 0;
  let characters = 0;
  let since = 0;
  for (const { kind, text } of blocks) {
    const found = wordsOf(text);
    words += found.length;
    for (const each of found) unique.add(each.toLowerCase());
    for (const _ of text) characters += 1;
    if (kind === 'paragraph') paragraphs += 1;
    if (kind === 'paragraph' || kind === 'item') {
      running += found.length;
      sentences += sentencesOf(text).length;
    }
    since += text.length;
    if (since > 50_000) {
      since = 0;
      yield;
    }
  }
  return {
    words,
    uniqueWords: unique.size,
    sentences,
    paragraphs,
    characters,
    readingSeconds: Math.round((words * 60) / pace),
    averageSentenceLength: sentences === 0 ? 0 : Math.round((running * 100) / sentences) / 100,
  };
}
