/** document.process on the samples and on small documents that show one thing each. */

import { InputError } from '@cim/alchemist/agent';
import { describe, expect, it } from 'vitest';
import { processDocument } from '../src/main.ts';
import type { Format } from '../src/model.ts';
import { contextInMemory, sample, sampleFiles } from './context.ts';

const run = (content: string, format?: Format) =>
  processDocument({ content, ...(format ? { format } : {}) }, contextInMemory().ctx);

describe('samples', () => {
  const languages: Record<string, string> = {
    'cold-storage-runbook.md': 'en',
    'ferry-timetable.html': 'en',
    'minutes.txt': 'en',
    'webstuhl-anleitung.md': 'de',
    'brotkurs.html': 'de',
    'hausordnung.txt': 'de',
    'compte-rendu.md': 'fr',
    'atelier-velo.html': 'fr',
    'recette.txt': 'fr',
  };
  const formats: Record<string, Format> = { md: 'markdown', html: 'html', txt: 'text' };

  it.each(sampleFiles())('%s: format and language are found', async (file) => {
    const result = await run(sample(file));
    expect(result.format).toBe(formats[file.split('.').at(-1)!]);
    expect(result.language.iso6391).toBe(languages[file]);
    expect(result.language.confidence).toBeGreaterThan(0.5);
    expect(result.statistics.words).toBeGreaterThan(50);
    expect(result.truncated).toEqual({});
  });

  it('a runbook in Markdown: front matter, outline, references, code, tables, phrases', async () => {
    const result = await run(sample('cold-storage-runbook.md'));
    expect(result.title).toBe('Cold storage runbook');
    expect(result.frontMatter).toMatchObject({
      format: 'yaml',
      values: { version: '1.10', tags: ['operations', 'refrigeration', 'on-call'] },
    });
    expect(result.outline.map(({ level, path, position }) => [level, path, position.line])).toEqual([
      [1, 'cold-storage-runbook', 8],
      [2, 'cold-storage-runbook/alarm-levels', 13],
      [2, 'cold-storage-runbook/when-a-cold-room-warms-up', 24],
      [3, 'cold-storage-runbook/when-a-cold-room-warms-up/resetting-a-compressor', 36],
      [3, 'cold-storage-runbook/when-a-cold-room-warms-up/calling-for-help', 47],
      [2, 'cold-storage-runbook/what-the-temperatures-mean', 53],
    ]);
    for (const { text, position } of result.outline) {
      expect(sample('cold-storage-runbook.md').slice(position.offset)).toMatch(new RegExp(`^#+ ${text}`));
    }
    expect(result.links).toEqual([
      { text: 'alarm levels', href: '#alarm-levels', kind: 'anchor' },
      { text: 'sensor gateway', href: 'http://gateway.local/', kind: 'external', title: 'Sensor gateway' },
      { text: 'stock list', href: './lists/stock.md', kind: 'internal', title: 'updated every morning' },
      { text: 'service@brightwater-electric.example', href: 'mailto:service@brightwater-electric.example', kind: 'mail' },
      { text: 'https://polar-works.example/contact', href: 'https://polar-works.example/contact', kind: 'external' },
      {
        text: 'Temperature of cold room 2 during the outage in May',
        href: 'images/room-2-may.png',
        kind: 'image',
        title: 'Cold room 2',
      },
    ]);
    expect(result.code.map(({ language, lines }) => [language, lines])).toEqual([
      ['sh', 1],
      ['python', 3],
    ]);
    expect(result.tables).toBe(1);
    expect(result.keyPhrases.map(({ text }) => text.toLowerCase())).toContain('cold room');
  });

  it('a page in HTML: what is shown is read, what is not shown is not', async () => {
    const result = await run(sample('ferry-timetable.html'));
    expect(result.title).toBe('Winter timetable – Skerry Island Ferry');
    expect(result.outline.map(({ anchor }) => anchor)).toEqual(['winter-timetable', 'times', 'notices', 'for-programmers']);
    expect(result.links.map(({ kind }) => kind)).toEqual([
      'internal',
      'internal',
      'anchor',
      'external',
      'image',
      'mail',
      'other',
    ]);
    expect(result.images).toEqual([{ source: '/img/pier.jpg', alt: 'The mainland pier in a storm' }]);
    expect(result.code).toEqual([{ language: 'json', lines: 4, content: '{\n  "pier": "mainland",\n  "next": "07:40"\n}\n' }]);
    expect(JSON.stringify(result)).not.toContain('tracking');
    expect(result.statistics.paragraphs).toBe(5);
  });

  it('minutes in plain text: numbered headings and addresses', async () => {
    const result = await run(sample('minutes.txt'));
    expect(result.outline.map(({ level, text }) => [level, text])).toEqual([
      [1, 'MINUTES OF THE HARBOUR COMMITTEE'],
      [1, '1. Dredging'],
      [1, '2. Lights'],
      [2, '2.1 North pier'],
      [2, '2.2 South pier'],
      [1, '3. Next meeting'],
    ]);
    expect(result.links.map(({ href }) => href)).toEqual([
      'https://harbour-lights.example/pier',
      'mailto:clerk@port-orrin.example',
    ]);
    // "Dr. Alvarez", "Mr. Penhale" and "e.g. from" end no sentence.
    expect(result.statistics).toMatchObject({ paragraphs: 5, sentences: 11 });
  });
});

describe('counts', () => {
  it('by hand', async () => {
    const { statistics } = await run("One two, three. Don't count 3.14 twice!\n\nIs state-of-the-art one word?", 'text');
    expect(statistics).toEqual({
      words: 11,
      uniqueWords: 10,
      sentences: 3,
      paragraphs: 2,
      characters: 68,
      readingSeconds: 3,
      averageSentenceLength: 3.67,
    });
  });

  it('an empty document is all zeros', async () => {
    for (const format of ['markdown', 'html', 'text', undefined] as const) {
      const result = await run(' \r\n\t', format);
      expect(result.statistics).toEqual({
        words: 0,
        uniqueWords: 0,
        sentences: 0,
        paragraphs: 0,
        characters: 0,
        readingSeconds: 0,
        averageSentenceLength: 0,
      });
      expect(result).toMatchObject({
        outline: [],
        links: [],
        code: [],
        keyPhrases: [],
        language: { code: 'und', confidence: 0 },
      });
      expect(result).not.toHaveProperty('title');
    }
  });

  it('CRLF and LF are the same document but for the offsets', async () => {
    const lf = await run(sample('cold-storage-runbook.md'));
    const crlf = await run(sample('cold-storage-runbook.md').replaceAll('\n', '\r\n'));
    const bare = ({ outline, frontMatter: _, code, ...rest }: typeof lf) => ({
      ...rest,
      code: code.map(({ content, ...each }) => ({ ...each, content: content.replaceAll('\r\n', '\n') })),
      outline: outline.map(({ position, ...each }) => ({ ...each, line: position.line })),
    });
    expect(bare(crlf)).toEqual(bare(lf));
  });

  it('characters are code points; scripts without spaces have words too', async () => {
    const { statistics, language } = await run('私は東京に住んでいます。猫が二匹います。👍🏽', 'text');
    expect(statistics.characters).toBe(22);
    expect(statistics.sentences).toBe(2);
    expect(statistics.words).toBeGreaterThan(6);
    expect(language.code).toBe('jpn');
  });
});

describe('Markdown', () => {
  it('resolves references across the whole document, whatever lies between', async () => {
    const filler = `${'Some words to fill the space between the two ends. '.repeat(20)}\n\n`.repeat(40);
    const result = await run(`See [the end] and [this][The  END].\n\n${filler}[the end]: /end "Finis"\n`, 'markdown');
    expect(result.links).toEqual([
      { text: 'the end', href: '/end', kind: 'internal', title: 'Finis' },
      { text: 'this', href: '/end', kind: 'internal', title: 'Finis' },
    ]);
  });

  it('never takes what is in a fence or a comment for anything else', async () => {
    const inside = '# no heading\n\n[no](link)\n\n'.repeat(300);
    const result = await run(`# Yes\n\n\`\`\`\`md\n${inside}\`\`\`\n\`\`\`\`\n\n<!--\n${inside}-->\n\n## Also`, 'markdown');
    expect(result.outline.map(({ text }) => text)).toEqual(['Yes', 'Also']);
    expect(result.links).toEqual([]);
    expect(result.code).toMatchObject([{ language: 'md', lines: 1201 }]);
  });

  it('reads HTML within, in blocks and in sentences', async () => {
    const result = await run(
      '<h2 id="x">Raw</h2>\n\nA <a href="/b" title="t">link *here*</a> and <img src=i.png alt=I>.\n\n<table><tr><td>cell</table>',
      'markdown',
    );
    expect(result.outline).toMatchObject([{ level: 2, text: 'Raw', anchor: 'x' }]);
    expect(result.links).toEqual([
      { text: 'link here', href: '/b', kind: 'internal', title: 't' },
      { text: 'I', href: 'i.png', kind: 'image' },
    ]);
    expect(result.tables).toBe(1);
  });

  it('gives every heading an anchor of its own', async () => {
    const result = await run('# A\n\n## B!\n\n# A\n\n# a-1\n\n#\n\n### Ü & Ö', 'markdown');
    expect(result.outline.map(({ anchor }) => anchor)).toEqual(['a', 'b', 'a-1', 'a-1-1', 'section', 'ü--ö']);
    expect(result.outline.at(-1)).toMatchObject({ path: 'section/ü--ö' });
  });
});

describe('front matter', () => {
  it('TOML too; values stay texts; two rules around a paragraph are none', async () => {
    expect(await run('+++\ntitle = "A b"\nn = 1.10 # x\n+++\n# C', 'markdown')).toMatchObject({
      title: 'A b',
      frontMatter: { format: 'toml', values: { n: '1.10' } },
    });
    const rules = await run('---\n\nJust a paragraph.\n\n---\n', 'markdown');
    expect(rules).not.toHaveProperty('frontMatter');
    expect(rules.statistics.words).toBe(3);
  });
  it('is no way to reach the prototype of anything', async () => {
    const result = await run('---\n__proto__: x\nconstructor: y\ntitle: T\n---\n', 'markdown');
    expect(result.title).toBe('T');
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });
});

describe('HTML', () => {
  it('malformed: unclosed, crossed, stray', async () => {
    const result = await run(
      '<p>One<p>Two <b>three<i></b>four</i></p></p></div><h1>H<h2>I</h1><p><a href=x>l<a href=y>m',
      'html',
    );
    expect(result.outline.map(({ text }) => text)).toEqual(['H', 'I']);
    expect(result.links).toMatchObject([
      { text: 'l', href: 'x' },
      { text: 'm', href: 'y' },
    ]);
    // What only inline tags part is one word, as a browser shows it.
    expect(result.statistics.words).toBe(6);
  });
  it('deep nesting: the text at the bottom is still there, and what comes after is still read', async () => {
    const depth = 50_000;
    const result = await run(`${'<div>'.repeat(depth)}deep${'</div>'.repeat(depth)}<h2>After</h2>`, 'html');
    expect(result.statistics.words).toBe(2);
    expect(result.outline).toMatchObject([{ text: 'After', level: 2 }]);
  });
});

describe('limits', () => {
  it('too long is refused with the field, the length and the limit', async () => {
    const { ctx } = contextInMemory({ maxCharacters: 10 });
    const refused = processDocument({ content: 'a'.repeat(11) }, ctx);
    await expect(refused).rejects.toThrow(InputError);
    await expect(refused).rejects.toThrow('content: 11 characters, at most 10 are read');
  });
  it('long lists are cut and their lengths said', async () => {
    const { ctx } = contextInMemory({ maxListed: 3 });
    const result = await processDocument({ content: '# a\n\n[b](c)\n\n'.repeat(5), format: 'markdown' }, ctx);
    expect([result.outline.length, result.links.length, result.truncated]).toEqual([3, 3, { outline: 5, links: 5 }]);
  });
});

it('short or empty of words is undetermined, not guessed', async () => {
  for (const content of ['Hello there', '12345 67890 12345 67890 12345', 'xqz vvk qqw zzx kkj hhg ttr wwp mmn bbv']) {
    expect((await run(content, 'text')).language).toMatchObject({ code: 'und' });
  }
});
