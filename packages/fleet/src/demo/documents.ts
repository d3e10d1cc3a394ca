/**
 * doc-processor: real documents in three formats and three languages, asked for from the other leaf.
 *
 * What each must come out as was read off the documents by hand; words may differ by a few in a hundred, since what counts as one is a
 * matter of definition ("°C", "16:30").
 */
import type { Caller } from '../caller.ts';
import { sampleText } from './examples.ts';
import { fit, type Report, StepFailure } from './report.ts';

interface Expected {
  readonly format: 'markdown' | 'html' | 'text';
  readonly title: string;
  readonly language: string;
  /** Level and text of each heading. */
  readonly outline: readonly string[];
  /** About so many. */
  readonly words: number;
  readonly links: number;
  readonly code: number;
}

const documents: Readonly<Record<string, Expected>> = {
  'cold-storage-runbook.md': {
    format: 'markdown',
    title: 'Cold storage runbook',
    language: 'eng',
    outline: [
      '1 Cold storage runbook',
      '2 Alarm levels',
      '2 When a cold room warms up',
      '3 Resetting a compressor',
      '3 Calling for help',
      '2 What the temperatures mean',
    ],
    words: 264,
    links: 6,
    code: 2,
  },
  'webstuhl-anleitung.md': {
    format: 'markdown',
    title: 'Anleitung für den Handwebstuhl',
    language: 'deu',
    outline: ['1 Anleitung für den Handwebstuhl', '2 Die Kette schären', '2 Fadendichte', '2 Weben'],
    words: 161,
    links: 2,
    code: 0,
  },
  'ferry-timetable.html': {
    format: 'html',
    title: 'Winter timetable – Skerry Island Ferry',
    language: 'eng',
    outline: ['1 Winter timetable', '2 Sailing times', '2 Notices', '3 For programmers'],
    words: 113,
    links: 7,
    code: 1,
  },
  'atelier-velo.html': {
    format: 'html',
    title: 'Atelier vélo du quartier',
    language: 'fra',
    outline: ['1 Atelier vélo du quartier', '2 Avant de venir'],
    words: 64,
    links: 2,
    code: 0,
  },
  'hausordnung.txt': {
    format: 'text',
    title: 'Hausordnung der Werkstatt',
    language: 'deu',
    outline: ['1 Hausordnung der Werkstatt', '2 Ordnung'],
    words: 70,
    links: 1,
    code: 0,
  },
};

/** @returns how long each call took, ms */
export async function showDocuments(report: Report, caller: Caller, servedBy: string): Promise<number[]> {
  const times: number[] = [];
  for (const [name, expected] of Object.entries(documents)) {
    const { output, ms, servedBy: who } = await caller.call('document.process', { content: sampleText('doc-processor', name) });
    check(name, 'answered by', servedBy, who);
    const { format, title, language, statistics, links, code } = output;
    const outline = (output.outline as { level: number; text: string }[]).map(({ level, text }) => `${level} ${text}`);
    check(name, 'format', expected.format, format);
    check(name, 'title', expected.title, title);
    check(name, 'language', expected.language, language.code);
    check(name, 'outline', expected.outline.join(' | '), outline.join(' | '));
    check(name, 'links', expected.links, links.length);
    check(name, 'code blocks', expected.code, code.length);
    if (Math.abs(statistics.words - expected.words) > expected.words * 0.05) {
      throw new StepFailure(`document.process ${name}`, `about ${expected.words} words`, `${statistics.words}`);
    }
    times.push(ms);
    const words = `${statistics.words} words`.padStart(9);
    report.line(`${fit(name, 25)} ${format.padEnd(8)} ${language.iso6391}  ${words}  ${expected.title}`, ms);
    const below = outline.slice(1).map((heading) => heading.slice(2));
    if (below.length > 0) report.line(report.paint.dim(`    ${below.join(' · ')}`));
    report.fact('document', {
      name,
      format,
      language: language.code,
      title,
      outline,
      words: statistics.words,
      servedBy: who,
      ms,
    });
  }
  return times;
}

function check(name: string, what: string, expected: unknown, found: unknown): void {
  if (found !== expected) throw new StepFailure(`document.process ${name}`, `${what} ${String(expected)}`, String(found));
}
