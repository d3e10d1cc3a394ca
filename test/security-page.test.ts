/**
 * docs/security.md names a test for every row of its threat model; this reads the page and looks each of them up. It fails when a file or a
 * title is gone, when a row names none, when a row rests on a test that is skipped or expected to fail, and when an attacker is dropped.
 * Whether a test really shows what its row says is for people to judge.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { all, themes } from './hostile/cases/all.ts';

const ROOT = join(import.meta.dirname, '..');
const page = readFileSync(join(ROOT, 'docs/security.md'), 'utf8');
const sourceOf = (path: string) => readFileSync(join(ROOT, path), 'utf8');

/** Attackers the page must deal with, by the headings of its section 2. */
const ATTACKERS = [
  'A hostile bundle',
  'A cell that was broken out of',
  'A stolen leaf credential',
  'A compromised hub or registry',
  'A stolen publisher’s key',
  'A rogue operator',
  'A stolen token of the registry',
  'An attacker on the network',
  'A malicious client of the registry, and of a capability',
  'A crash at the worst moment',
  'A thief of a disk or a backup',
  'A thief of an enrolment token',
  'Replays',
];
const COLUMNS = ['attacker holds', 'tries', 'what stops them', 'the test that shows it'];

interface Reference {
  readonly file: string;
  readonly title: string;
}
interface Row {
  readonly attacker: string;
  readonly cells: readonly string[];
}

/** A file in code, a colon, and titles in curly quotes: `a.test.ts`: “one”, “two”. */
function referencesIn(text: string): Reference[] {
  const found: Reference[] = [];
  for (const [, file, titles] of text.matchAll(/`([\w./-]+\.test\.ts)`:\s+(“[^”]+”(?:,\s+“[^”]+”)*)/g))
    for (const [, title] of titles!.matchAll(/“([^”]+)”/g)) found.push({ file: file!, title: title! });
  return found;
}

const section = (text: string, heading: string): string => {
  const from = text.indexOf(`\n## ${heading}`);
  if (from < 0) throw new Error(`docs/security.md: expected a section "## ${heading}"`);
  const to = text.indexOf('\n## ', from + 1);
  return text.slice(from, to < 0 ? undefined : to);
};

/** The rows of the threat model, each under the heading of its attacker; throws where a table has other columns. */
function threatsIn(text: string): Row[] {
  return section(text, '2. The threat model')
    .split(/\n### [\d.]+ /)
    .slice(1)
    .flatMap((part) => {
      const [attacker = ''] = part.split('\n', 1);
      const [head, , ...rows] = part
        .split('\n')
        .filter((line) => line.startsWith('|'))
        .map((line) => line.replace(/^\||\|$/g, '').split('|'))
        .map((cells) => cells.map((cell) => cell.trim()));
      expect([attacker, head]).toEqual([attacker, COLUMNS]);
      return rows.map((cells) => ({ attacker, cells }));
    });
}

const hostile: ReadonlySet<string> = new Set([...Object.keys(themes), ...all.map(({ name }) => name)]);
const quoted = (title: string) => `(['"\`])${title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\1`;

/** What is wrong with a reference, or undefined. */
function wrongWith({ file, title }: Reference, look = sourceOf): string | undefined {
  if (!/^(?:test|packages\/[\w-]+\/test)\/[\w./-]+\.test\.ts$/.test(file)) return `${file} is no file npm test runs`;
  if (look === sourceOf && !existsSync(join(ROOT, file))) return `${file} is not there`;
  if (file === 'test/hostile/cells.test.ts' && hostile.has(title)) return undefined;
  const source = look(file);
  if (new RegExp(`\\.(?:fails|skip|todo)\\(\\s*${quoted(title)}`).test(source)) return `${file}: “${title}” shows nothing`;
  // The title of a test or a group, or a row of a table of tests.
  if (!new RegExp(`(?:[([]|^)\\s*${quoted(title)}\\s*,`, 'm').test(source)) return `${file}: no test “${title}”`;
  return undefined;
}

const threats = threatsIn(page);

describe('the threat model', () => {
  test('deals with every attacker, in several rows', () => {
    const found = Map.groupBy(threats, ({ attacker }) => attacker.replaceAll("'", '’'));
    expect([...found.keys()]).toEqual(ATTACKERS);
    for (const [attacker, rows] of found) expect([attacker, rows.length >= 4]).toEqual([attacker, true]);
  });

  test.each(threats.map(({ attacker, cells }) => [attacker, cells[1]!, cells] as const))('%s: %s', (_, __, cells) => {
    expect(cells).toHaveLength(COLUMNS.length);
    for (const cell of cells) expect(cell).not.toBe('');
    const references = referencesIn(cells[3]!);
    expect(references.length).toBeGreaterThan(0);
    // Nothing in the cell that was not read as a reference.
    const read = references.reduce((sum, { title }) => sum + title.length, 0);
    expect(cells[3]!.match(/“[^”]*”/g)!.reduce((sum, title) => sum + title.length - 2, 0)).toBe(read);
    expect(new Set(cells[3]!.match(/`[^`]+`/g))).toEqual(new Set(references.map(({ file }) => `\`${file}\``)));
    expect(references.map((one) => wrongWith(one)).filter((wrong) => wrong !== undefined)).toEqual([]);
  });
});

describe('the rest of the page', () => {
  test('names no file that is not there', () => {
    const files = [...page.matchAll(/`((?:test|packages|docs)\/[\w./-]+\.(?:ts|md))`/g)].map(([, file]) => file!);
    expect(files.length).toBeGreaterThan(100);
    expect([...new Set(files)].filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
    const links = [...page.matchAll(/\]\((\.\.\/[\w./-]+|[\w-]+\.md)\)/g)].map(([, link]) => link!);
    expect(links.filter((link) => !existsSync(join(ROOT, 'docs', link)))).toEqual([]);
  });
});

test('what is wrong is found: no file, no test, one that is skipped or expected to fail, a title in passing', () => {
  const source = `test('one', () => {});\ntest.fails('two', () => {});\ntest.skip("three", f);\n// 'four'\ntest.each([\n  ['five', 1],\n])('six %s', f);`;
  const judged = (title: string, file = 'test/x.test.ts') => wrongWith({ file, title }, () => source) === undefined;
  expect(['one', 'two', 'three', 'four', 'five', 'six %s', 'on'].map((title) => judged(title))).toEqual([
    true,
    false,
    false,
    false,
    true,
    true,
    false,
  ]);
  expect(judged('one', 'docs/x.test.ts')).toBe(false);
  expect(wrongWith({ file: 'test/nowhere.test.ts', title: 'one' })).toContain('not there');
  expect(wrongWith({ file: 'test/hostile/cells.test.ts', title: 'spin-never' })).toContain('no test');
  expect(referencesIn('`test/a.test.ts`: “b, c”, “d”<br>`packages/x/test/e.test.ts`: “f”')).toEqual([
    { file: 'test/a.test.ts', title: 'b, c' },
    { file: 'test/a.test.ts', title: 'd' },
    { file: 'packages/x/test/e.test.ts', title: 'f' },
  ]);
});
