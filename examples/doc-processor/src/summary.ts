/** The sentences that hold most of what a document is about, in its own words and order. */
import type { Block } from './model.ts';
import { stopwords } from './stopwords.ts';
import { sentencesOf, wordsOf } from './words.ts';

const mostSentences = 5000;

/** @param count how many sentences at most */
export function summaryOf(blocks: readonly Block[], language: string, count: number): { text: string; sentences: string[] } {
  const small = stopwords(language);
  const sentences = blocks
    .filter(({ kind }) => kind === 'paragraph')
    .flatMap(({ text }) => sentencesOf(text).map((sentence, position) => ({ sentence, position })))
    .slice(0, mostSentences);
  const contents = sentences.map(({ sentence }) =>
    wordsOf(sentence)
      .map((each) => each.toLowerCase())
      .filter((each) => !small.has(each)),
  );
  const frequency = new Map<string, number>();
  for (const words of contents) for (const each of new Set(words)) frequency.set(each, (frequency.get(each) ?? 0) + 1);
  const scored = sentences.map(({ sentence, position }, index) => {
    const words = new Set(contents[index]!);
    let weight = 0;
    for (const each of words) weight += Math.log2(1 + frequency.get(each)!);
    // Neither the longest nor the shortest wins by its length alone; the first of a paragraph says what it is about.
    return { sentence, index, score: (weight / Math.sqrt(8 + words.size)) * (position === 0 ? 1.2 : 1) };
  });
  const chosen = scored
    .toSorted((a, b) => b.score - a.score || a.index - b.index)
    .slice(0, count)
    .toSorted((a, b) => a.index - b.index)
    .map(({ sentence }) => sentence);
  return { text: chosen.join(' '), sentences: chosen };
}
