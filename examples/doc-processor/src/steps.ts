/** What a workflow can do: each step with its options, and whether it makes a text later steps can work on. */
import type { Json } from '@cim/alchemist/agent';
import { InputError } from '@cim/alchemist/agent';
import { codeOf, describe, type Limits, type Source } from './analysis.ts';
import { type LinkKind, linkKind } from './links.ts';
import { phrasesOf } from './phrases.ts';
import { statisticsOf } from './statistics.ts';
import { summaryOf } from './summary.ts';

type Options = Readonly<Record<string, number | string>>;

interface Option {
  readonly default?: number | string;
  readonly expected: string;
  fits(value: Json): boolean;
}

interface StepKind {
  /** True when the result has a `text`. */
  readonly text: boolean;
  readonly options: Readonly<Record<string, Option>>;
  run(source: Source, options: Options, limits: Limits, path: string): Generator<void, unknown>;
}

const whole = (least: number, most: number, usual: number): Option => ({
  default: usual,
  expected: `a whole number from ${least} to ${most}`,
  fits: (value) => typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most,
});
const kinds: readonly LinkKind[] = ['internal', 'external', 'mail', 'anchor', 'image', 'other'];

/** Work that is done in one turn. */
const short = (run: (...args: Parameters<StepKind['run']>) => unknown): StepKind['run'] =>
  function* (...args) {
    yield;
    return run(...args);
  };

export type StepName =
  | 'document.process'
  | 'outline'
  | 'statistics'
  | 'links'
  | 'images'
  | 'code'
  | 'language'
  | 'key-phrases'
  | 'front-matter'
  | 'text'
  | 'section'
  | 'summary';

export const steps: Readonly<Record<StepName, StepKind>> = {
  'document.process': { text: false, options: {}, run: (source, _options, limits) => describe(source, limits) },
  outline: {
    text: false,
    options: { depth: whole(1, 6, 6) },
    run: short(({ outline }, { depth }, { maxListed }) =>
      outline.filter(({ level }) => level <= Number(depth)).slice(0, maxListed),
    ),
  },
  statistics: { text: false, options: {}, run: ({ parsed }) => statisticsOf(parsed.blocks) },
  links: {
    text: false,
    options: {
      kind: {
        default: 'all',
        expected: `all, ${kinds.join(', ')}`,
        fits: (value) => value === 'all' || kinds.includes(value as LinkKind),
      },
    },
    run: short(({ parsed }, { kind }, { maxListed }) =>
      parsed.links.filter((each) => kind === 'all' || each.kind === kind).slice(0, maxListed),
    ),
  },
  images: {
    text: false,
    options: {},
    run: short(({ parsed }, _options, { maxListed }) =>
      parsed.images.slice(0, maxListed).map((each) => ({ ...each, kind: linkKind(each.source) })),
    ),
  },
  code: {
    text: false,
    options: { language: { default: '', expected: 'the name of a language', fits: (value) => typeof value === 'string' } },
    run: short(({ parsed }, { language }, { maxListed }) => {
      const code = parsed.code.filter((each) => language === '' || each.language === language);
      return codeOf({ ...parsed, code }, maxListed);
    }),
  },
  language: {
    text: false,
    options: {},
    run: short(({ language }) => language),
  },
  'key-phrases': {
    text: false,
    options: { limit: whole(1, 100, 10) },
    run: ({ parsed, language }, { limit }) => phrasesOf(parsed.blocks, language.code, Number(limit)),
  },
  'front-matter': {
    text: false,
    options: {},
    run: short(({ frontMatter }) => frontMatter ?? null),
  },
  text: {
    text: true,
    options: {},
    run: short(({ parsed }) => ({ text: parsed.blocks.map(({ text }) => text).join('\n\n') })),
  },
  section: {
    text: true,
    options: {
      anchor: {
        expected: 'the anchor of a heading, as "outline" gives it',
        fits: (value) => typeof value === 'string' && value !== '',
      },
    },
    run: short((source, { anchor }, _limits, path) => sectionOf(source, String(anchor), path)),
  },
  summary: {
    text: true,
    options: { sentences: whole(1, 20, 3) },
    run: short(({ parsed, language }, { sentences }) => summaryOf(parsed.blocks, language.code, Number(sentences))),
  },
};

/** From a heading to the next of its level or above. */
function sectionOf({ outline, parsed }: Source, anchor: string, path: string): { heading: string; text: string } {
  const index = outline.findIndex((each) => each.anchor === anchor);
  const entry = outline[index];
  if (entry === undefined) {
    const some = outline.slice(0, 10).map((each) => each.anchor);
    throw new InputError(
      `${path}.anchor`,
      `no heading has the anchor "${anchor}". Expected one of ${some.join(', ') || '(the document has no headings)'}`,
    );
  }
  const begin = parsed.blocks.findIndex((block) => block.heading === index);
  const next = outline.findIndex((each, position) => position > index && each.level <= entry.level);
  const end = next === -1 ? parsed.blocks.length : parsed.blocks.findIndex((block) => block.heading === next);
  const text = parsed.blocks
    .slice(begin + 1, end)
    .map((block) => block.text)
    .join('\n\n');
  return { heading: entry.text, text };
}
