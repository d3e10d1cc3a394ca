/** What counts as heavy, and that it is counted without being fooled by strings. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isHeavy, MOST_VALUES } from '../../src/sandbox/heft.ts';

const many = MOST_VALUES + 1;

test.each([
  ['many lists', `[${'[],'.repeat(many)}1]`],
  ['many objects', `[${'{},'.repeat(many)}1]`],
  ['many keys', `{${Array.from({ length: many }, (_, i) => `"k${i}":1`).join()}}`],
  ['many numbers', `[${'1,'.repeat(many)}1]`],
  ['lists within lists', '['.repeat(2 * many)],
  ['many strings', `[${'"",'.repeat(many)}1]`],
])('%s', (_, text) => expect(isHeavy(text)).toBe(true));

test.each([
  ['one long string', JSON.stringify('x'.repeat(900_000))],
  ['a string that looks like much', JSON.stringify('[{,"\\'.repeat(100_000))],
  ['few values', JSON.stringify(Array.from({ length: 100 }, () => 'y'.repeat(9_000)))],
  ['short texts', '['.repeat(65_536)],
  ['a string that never ends', `"${'['.repeat(900_000)}`],
])('not %s', (_, text) => expect(isHeavy(text)).toBe(false));

test('whatever stands in strings does not count', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { maxLength: 50 }), (texts) => {
      const filler = 'z'.repeat(70_000);
      expect(isHeavy(JSON.stringify([filler, ...texts.map((text) => `${text}[,{`.repeat(500))]))).toBe(false);
    }),
  );
});
