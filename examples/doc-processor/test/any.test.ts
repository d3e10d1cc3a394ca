/** Any text in any format is read; simple text is counted as a naive count does; time grows with length, not its square. */
import process from 'node:process';
import fc from 'fast-check';
import { expect, describe as group, it } from 'vitest';
import { describe, readSource } from '../src/analysis.ts';
import type { Format } from '../src/model.ts';
import { atOnce } from '../src/turns.ts';

const limits = { maxCharacters: 5_000_000, maxListed: 2000, keyPhrases: 15 };
const look = (content: string, format?: Format) =>
  atOnce(describe(atOnce(readSource({ content, ...(format ? { format } : {}) }, limits, 'content')), limits));

const formats: readonly (Format | undefined)[] = ['markdown', 'html', 'text', undefined];
const marks = [
  '# ',
  '## ',
  '- ',
  '* ',
  '> ',
  '1. ',
  '```',
  '~~~',
  '`',
  '**',
  '_',
  '[',
  ']',
  '(',
  ')',
  '![',
  '[^a]',
  '[a]: b',
  '|',
  '|-|',
  '---',
  '===',
  '<a href="x">',
  '</a>',
  '<div>',
  '</p>',
  '<pre>',
  '<!--',
  '-->',
  '<script>',
  '&amp;',
  '&#x0;',
  '\\',
  '\n',
  '\n\n',
  '\r\n',
  '\t',
  '    ',
  '\ufeff',
  '\ufdd0',
  '\u0000',
  '漢字',
  '👩‍👩‍👧',
  'e\u0301',
  '\ud800',
  'https://a.b/c',
  'x@y.zz',
  'www.a.b',
  '+++',
  'a: b',
];
const soup = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...marks) },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }) },
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(''));

it('reads whatever comes, in every format, and answers with what JSON can carry', () => {
  fc.assert(
    fc.property(soup, fc.constantFrom(...formats), (content, format) => {
      const result = look(content, format);
      expect(JSON.parse(JSON.stringify(result))).toEqual(result);
      const { words, uniqueWords } = result.statistics;
      expect(uniqueWords).toBeLessThanOrEqual(words);
      expect(new Set(result.outline.map(({ anchor }) => anchor)).size).toBe(result.outline.length);
      for (const { position } of result.outline) expect(position.offset).toBeLessThanOrEqual(content.length);
      // Nothing of the parser's own bookkeeping shows.
      expect(JSON.stringify(result)).not.toMatch(/[\ufdd1-\ufdef]/);
    }),
    { numRuns: 250 },
  );
});

it('counts simple text as a naive count does, in every format', () => {
  const letters = fc.string({ unit: fc.constantFrom(...'abcdefghijklmnoprstuvwz'), minLength: 2, maxLength: 9 });
  const sentence = fc
    .array(letters, { minLength: 2, maxLength: 12 })
    .map((words) => `${words[0]![0]!.toUpperCase()}${words.join(' ').slice(1)}ly.`);
  const paragraphs = fc.array(fc.array(sentence, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(paragraphs, (given) => {
      const texts = given.map((sentences) => sentences.join(' '));
      const words = texts.flatMap((text) => text.split(' '));
      const expected = {
        words: words.length,
        uniqueWords: new Set(words.map((each) => each.toLowerCase().replace('.', ''))).size,
        sentences: given.flat().length,
        paragraphs: texts.length,
        characters: texts.join('').length,
        readingSeconds: Math.round((words.length * 60) / 238),
        averageSentenceLength: Math.round((words.length * 100) / given.flat().length) / 100,
      };
      expect(look(texts.join('\n\n'), 'text').statistics).toEqual(expected);
      expect(look(texts.join('\r\n\r\n'), 'markdown').statistics).toEqual(expected);
      expect(look(texts.map((text) => `<p>${text}</p>`).join(''), 'html').statistics).toEqual(expected);
    }),
    { numRuns: 40 },
  );
});

group('time grows with the length, not with its square', () => {
  const size = 30_000;
  const hostile: Record<string, [Format, string]> = {
    'quotes in quotes': ['markdown', '>'.repeat(size)],
    'lazy lines in fifty quotes': ['markdown', '> '.repeat(50) + 'a\n'.repeat(size / 2)],
    'lists in lists': ['markdown', '- '.repeat(size / 2)],
    'emphasis that crosses': ['markdown', '*_'.repeat(size / 2)],
    'emphasis that only closes': ['markdown', 'a* '.repeat(size / 3)],
    'brackets that only close': ['markdown', 'x]'.repeat(size / 2)],
    'links that never end': ['markdown', '[a]('.repeat(size / 4)],
    'underlined headings': ['markdown', 'a\n=\n'.repeat(size / 4)],
    'code that never closes': ['markdown', Array.from({ length: 240 }, (_, index) => '`'.repeat(index)).join(' ')],
    'one line': ['markdown', 'word '.repeat(size / 5)],
    'one word': ['text', 'x'.repeat(size * 10)],
    points: ['text', '.'.repeat(size * 10)],
    'marks of mail': ['text', 'a@'.repeat(size * 5)],
    'elements in elements, then stray ends': ['html', '<b>'.repeat(size) + '</p>'.repeat(size)],
    'forms in elements': ['html', `<form>${'<b>'.repeat(size)}${'<form>'.repeat(size)}`],
    attributes: ['html', `<a ${'b '.repeat(size)}>`],
  };
  // The parsers alone take many times as long for most of these, or overflow the stack; here each takes a second at worst.
  it.each(Object.entries(hostile))('%s', (_name, [format, content]) => {
    // The time this thread worked, so that a busy machine fails nobody.
    const before = process.threadCpuUsage();
    look(content, format);
    const { user, system } = process.threadCpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(6_000);
  });
});
