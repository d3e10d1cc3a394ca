/**
 * Words and sentences.
 *
 * Promises:
 * O1. A word is a run of letters, digits and marks; an apostrophe, hyphen or underscore inside joins, as does a point or
 *     comma between digits: "don't", "state-of-the-art", "3.14" are one word each.
 * O2. Scripts written without spaces are divided by the language's own rules (Intl.Segmenter), else by character.
 * O3. A sentence ends at . ! ? … before a space, but not behind a known abbreviation, an initial, or before a small letter;
 *     at 。！？ anywhere. What is left at the end of a block is a sentence too.
 */

const word = /[\p{L}\p{N}\p{M}]+(?:(?:['’_\-‐]|(?<=\p{N})[.,](?=\p{N}))[\p{L}\p{N}\p{M}]+)*/gu;
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

let segmenter: Intl.Segmenter | undefined | null;

export function wordsOf(text: string): string[] {
  const out: string[] = [];
  for (const run of text.match(word) ?? []) {
    if (!unspaced.test(run)) out.push(run);
    // In pieces, since a segmenter may look at the whole of what it is given again and again.
    else for (let at = 0; at < run.length; at += 500) out.push(...segment(run.slice(at, at + 500)));
  }
  return out;
}

function segment(run: string): string[] {
  segmenter ??=
    typeof Intl === 'object' && typeof Intl.Segmenter === 'function'
      ? new Intl.Segmenter(undefined, { granularity: 'word' })
      : null;
  if (segmenter === null) return [...run];
  return Array.from(segmenter.segment(run))
    .filter((each) => each.isWordLike === true)
    .map((each) => each.segment);
}

/** English, German, French, Spanish, Italian, Dutch; without the last point, in small letters. */
const abbreviations: ReadonlySet<string> = new Set(
  'dr mr mrs ms prof st no nr vs etc e.g i.e cf fig vol pp ed al approx inc ltd jr sr bzw z.b d.h u.a usw ca evtl ggf inkl str tel abs art bd hrsg vgl mio mrd m mme mlle p.ex c.-à-d env av sra srta ud p.ej sig dott ecc dhr mevr bijv o.a'.split(
    ' ',
  ),
);
const closing = '"\'”’»)]}';

export function sentencesOf(text: string): string[] {
  const out: string[] = [];
  let begin = 0;
  for (const match of text.matchAll(/[.!?…。！？]+/gu)) {
    let end = match.index + match[0].length;
    while (end < text.length && closing.includes(text[end]!)) end += 1;
    if (!/[。！？]/.test(match[0])) {
      if (end < text.length && !/\s/.test(text[end]!)) continue;
      if (match[0] === '.' && joins(text, begin, match.index, end)) continue;
    }
    const sentence = text.slice(begin, end).trim();
    if (/[\p{L}\p{N}]/u.test(sentence)) out.push(sentence);
    begin = end;
  }
  const rest = text.slice(begin).trim();
  if (/[\p{L}\p{N}]/u.test(rest)) out.push(rest);
  return out;
}

/** Whether the point at `at` belongs to the sentence around it. */
function joins(text: string, begin: number, at: number, end: number): boolean {
  if (/^\s+\p{Ll}/u.test(text.slice(end, end + 20))) return true;
  const before = /[\p{L}.\-à]+$/u.exec(text.slice(Math.max(begin, at - 12), at))?.[0];
  if (before === undefined) return false;
  return (before.length === 1 && /\p{Lu}/u.test(before)) || abbreviations.has(before.toLowerCase());
}
