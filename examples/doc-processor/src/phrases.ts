/**
 * Key phrases by RAKE: what stands between small words and punctuation is a candidate; a word weighs as much as the
 * company it keeps, a phrase as its words, its repetition and whether it is in a heading.
 *
 * Rose, Engel, Cramer, Cowley: Automatic keyword extraction from individual documents (2010).
 */
import type { Block } from './model.ts';
import { stopwords } from './stopwords.ts';
import { wordsOf } from './words.ts';

export interface Phrase {
  readonly text: string;
  /** More is more; comparable within one document only. Two digits. */
  readonly score: number;
  /** How often it occurs. */
  readonly count: number;
}

const longestPhrase = 4;
/** Documents are cut off for this purpose behind so many candidates: what matters has come up by then. */
const mostCandidates = 100_000;

interface Candidate {
  readonly shown: string;
  readonly words: readonly string[];
  count: number;
  heading: boolean;
}

export function* phrasesOf(blocks: readonly Block[], language: string, limit: number): Generator<void, Phrase[]> {
  const small = stopwords(language);
  const candidates = new Map<string, Candidate>();
  const frequency = new Map<string, number>();
  const degree = new Map<string, number>();
  let total = 0;
  let since = 0;
  for (const { kind, text } of blocks) {
    if (total >= mostCandidates) break;
    for (const stretch of stretches(text, small)) {
      total += 1;
      const words = stretch.map((each) => each.toLowerCase());
      for (const each of words) {
        frequency.set(each, (frequency.get(each) ?? 0) + 1);
        degree.set(each, (degree.get(each) ?? 0) + words.length);
      }
      const key = words.join(' ');
      const known = candidates.get(key) ?? { shown: stretch.join(' '), words, count: 0, heading: false };
      known.count += 1;
      known.heading ||= kind === 'heading';
      candidates.set(key, known);
    }
    since += text.length;
    if (since > 50_000) {
      since = 0;
      yield;
    }
  }
  return rank([...candidates.values()], frequency, degree).slice(0, limit);
}

function rank(
  candidates: readonly Candidate[],
  frequency: ReadonlyMap<string, number>,
  degree: ReadonlyMap<string, number>,
): Phrase[] {
  return candidates
    .map(({ shown, words, count, heading }) => {
      const weight = words.reduce((sum, each) => sum + degree.get(each)! / frequency.get(each)!, 0);
      const spread = words.reduce((sum, each) => sum + Math.log2(1 + frequency.get(each)!), 0) / words.length;
      // The root takes back some of what RAKE gives to mere length.
      const score = Math.sqrt(weight) * spread * (1 + Math.log2(count)) * (heading ? 1.5 : 1);
      return { text: shown, score: Math.round(score * 100) / 100, count };
    })
    .sort((a, b) => b.score - a.score || (a.text < b.text ? -1 : 1));
}

/** Runs of words without small words, numbers or punctuation between them; too long ones are no phrases. */
function* stretches(text: string, small: ReadonlySet<string>): Generator<string[]> {
  // Addresses are no words; texts have single spaces (M2).
  const prose = text.split(' ').map((each) => (each.includes('@') || each.includes('://') ? '.' : each));
  for (const clause of prose.join(' ').split(/[.,;:!?…()[\]{}"“”„«»–—|/\\。、，！？]+|\s[-]\s/u)) {
    let run: string[] = [];
    for (const each of [...wordsOf(clause), '']) {
      // French and Italian elide: l'usine is about the usine.
      const bare = each.replace(/^(?:[cdjlmnst]|qu|dell|all|nell|sull|un)['’](?=\p{L})/iu, '');
      if (bare !== '' && !small.has(bare.toLowerCase()) && /\p{L}/u.test(bare) && [...bare].length > 1) run.push(bare);
      else {
        if (run.length > 0 && run.length <= longestPhrase) yield run;
        run = [];
      }
    }
  }
}
