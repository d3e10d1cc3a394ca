/**
 * Which language a text is in: letter statistics (franc) and the small words of the languages we know, together.
 *
 * Promises:
 * N1. A text with less than 24 letters, or one the evidence does not settle, is `und`, not a guess.
 * N2. `confidence` is from 0 to 1: from how far the best language is ahead by letters and how many words are small words
 *     of that language. A language without a list of small words stays below 0.7.
 */
import { francAll } from 'franc';
import { listed, stopwords } from './stopwords.ts';
import { wordsOf } from './words.ts';

export interface Language {
  /** ISO 639-3; `und` for undetermined. */
  readonly code: string;
  /** ISO 639-1, where there is one we know. */
  readonly iso6391?: string;
  /** 0 to 1, two digits. */
  readonly confidence: number;
}

const short: Readonly<Record<string, string>> = {
  eng: 'en',
  deu: 'de',
  fra: 'fr',
  spa: 'es',
  ita: 'it',
  nld: 'nl',
  por: 'pt',
  swe: 'sv',
  dan: 'da',
  nob: 'nb',
  nno: 'nn',
  fin: 'fi',
  pol: 'pl',
  ces: 'cs',
  slk: 'sk',
  hun: 'hu',
  ron: 'ro',
  bul: 'bg',
  ell: 'el',
  rus: 'ru',
  ukr: 'uk',
  tur: 'tr',
  arb: 'ar',
  heb: 'he',
  hin: 'hi',
  cmn: 'zh',
  jpn: 'ja',
  kor: 'ko',
  vie: 'vi',
  tha: 'th',
  ind: 'id',
  cat: 'ca',
  hrv: 'hr',
  srp: 'sr',
  slv: 'sl',
  lit: 'lt',
  lav: 'lv',
  est: 'et',
};
const fewest = 24;
/** As much as franc looks at, in characters. */
const looked = 2048;
const undetermined: Language = { code: 'und', confidence: 0 };

/** @param blocks texts of the document; the longest ones are looked at, since headings and cells are no sentences */
export function languageOf(blocks: readonly string[]): Language {
  const sample = sampleOf(blocks);
  const letters = sample.match(/\p{L}/gu)?.length ?? 0;
  const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Thai}]/u.test(sample);
  if (letters < (unspaced ? fewest / 3 : fewest)) return undetermined;
  const ranked = francAll(sample, { minLength: 1 });
  const [best, second] = ranked;
  if (best === undefined || best[0] === 'und') return undetermined;
  const words = wordsOf(sample).map((each) => each.toLowerCase());
  // Relatives share letters (English and Scots, Danish and Norwegian); small words tell them apart.
  const candidates = ranked.filter(([code, score]) => score >= 0.7 && (listed.includes(code) || code === best[0])).slice(0, 12);
  const judged = candidates
    .map(([code, score]) => ({ code, score, share: share(words, code) }))
    .sort((a, b) => b.score + 1.5 * b.share - (a.score + 1.5 * a.share));
  const winner = judged[0]!;
  // One language to a script: the letters alone settle it.
  if (second === undefined) return answer(winner.code, 0.95);
  const rival = ranked.find(([code]) => code !== winner.code)!;
  const ahead = Math.max(0, Math.min(1, (winner.score - rival[1]) / 0.15));
  const small = Math.min(1, winner.share / 0.3);
  // Without small words to confirm it, only a longer text settles it: any heap of letters is near some language.
  const confidence = listed.includes(winner.code)
    ? (0.4 * ahead + 0.6 * small) * (0.5 + 0.5 * Math.min(1, letters / 80))
    : 0.65 * ahead * Math.min(1, letters / 160);
  return confidence < 0.2 ? { ...undetermined, confidence: round(confidence) } : answer(winner.code, confidence);
}

const round = (value: number): number => Math.round(value * 100) / 100;

function answer(code: string, confidence: number): Language {
  const iso6391 = short[code];
  return { code, ...(iso6391 === undefined ? {} : { iso6391 }), confidence: round(confidence) };
}

function share(words: readonly string[], code: string): number {
  const small = stopwords(code);
  return words.length === 0 ? 0 : words.filter((each) => small.has(each)).length / words.length;
}

function sampleOf(blocks: readonly string[]): string {
  let length = 0;
  const sample: string[] = [];
  const prose = blocks.filter((each) => each.length >= 60);
  for (const block of prose.length > 0 ? prose : blocks) {
    if (length >= looked) break;
    // Addresses are in no language.
    const text = block.slice(0, looked).replace(/\b(?:https?:\/\/|www\.)\S+/g, ' ');
    sample.push(text);
    length += text.length;
  }
  return sample.join('\n').slice(0, looked);
}
