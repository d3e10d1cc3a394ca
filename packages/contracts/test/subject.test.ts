import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPlainSubject, SubjectPattern, subjectsOverlap, subjectWithin } from '../src/index.ts';

const token = fc.constantFrom('a', 'b', 'c');
const plain = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
const pattern = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { maxLength: 3 }), fc.boolean())
  .map(([tokens, open]) => [...tokens, ...(open || tokens.length === 0 ? ['>'] : [])].join('.'));

/** The rule by the book, on plain subjects: `*` is one token, `>` is one or more. */
function coverOf(outer: string): (subject: string) => boolean {
  const source = outer
    .split('.')
    .map((part) => (part === '*' ? '[^.]+' : part === '>' ? '[^.]+(?:\\.[^.]+)*' : part))
    .join('\\.');
  const rule = new RegExp(`^${source}$`);
  return (subject) => rule.test(subject);
}
/** Every subject of one to five tokens over the alphabet of the patterns, and one letter that is in none of them. */
const world: string[] = [];
for (let level = [''], depth = 0; depth < 5; depth++) {
  level = level.flatMap((head) => ['a', 'b', 'c', 'z'].map((part) => (head === '' ? part : `${head}.${part}`)));
  world.push(...level);
}

describe('subjects as sets', () => {
  it('a plain subject is within a pattern exactly when the pattern covers it', () => {
    fc.assert(
      fc.property(plain, pattern, (subject, outer) => void expect(subjectWithin(subject, outer)).toBe(coverOf(outer)(subject))),
      { numRuns: 1000 },
    );
  });

  it('a pattern is within another exactly when all it covers is covered', () => {
    fc.assert(
      fc.property(pattern, pattern, (inner, outer) => {
        const all = world.filter(coverOf(inner)).every(coverOf(outer));
        expect(subjectWithin(inner, outer)).toBe(all);
      }),
      { numRuns: 200 },
    );
  });

  it('two patterns overlap exactly when some subject is covered by both', () => {
    fc.assert(
      fc.property(pattern, pattern, (one, other) => {
        expect(subjectsOverlap(one, other)).toBe(world.filter(coverOf(one)).some(coverOf(other)));
        expect(subjectsOverlap(other, one)).toBe(subjectsOverlap(one, other));
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ['a.b', true],
    ['$JS.API.INFO', true],
    ['', false],
    ['a..b', false],
    ['.a', false],
    ['a.', false],
    ['a.*', false],
    ['>', false],
    ['a b', false],
    ['a\n', false],
    ['a'.repeat(256), false],
  ])('isPlainSubject(%j) is %s', (subject, expected) => void expect(isPlainSubject(subject)).toBe(expected));

  it('every generated pattern is one the schema takes', () => {
    fc.assert(fc.property(pattern, (one) => void expect(SubjectPattern.safeParse(one).success).toBe(true)));
  });
});
