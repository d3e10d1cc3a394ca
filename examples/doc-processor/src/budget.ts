/**
 * Keeps a Markdown parser within bounds.
 *
 * Some marks cost the parser time in the square of their number: emphasis that never closes, brackets in brackets,
 * quotes in quotes. Within one piece of text each kind therefore has a budget no person uses up; what is above it is
 * taken as plain text. To the parser such a mark is a noncharacter (U+FDD0…), and it is itself again afterwards.
 */

const kinds: readonly (readonly [marks: string, budget: number])[] = [
  ['*_~', 300],
  ['[]', 500],
  ['`', 400],
  ['<', 300],
  ['&', 600],
];
/** Quotes and list items within each other, at the beginning of one line. */
const deepest = 12;
const marks = '*_~[]`<&>-+.)';
const first = 0xfdd0;
const masked = /[\ufdd0-\ufdef]/g;

const mask = (mark: string): string => String.fromCharCode(first + marks.indexOf(mark));

/** Noncharacters have no business in a text: they are shown as unknown, so that nothing can pose as a masked mark. */
export const cleanse = (content: string): string => content.replace(masked, '\ufffd');

/** The marks again. */
export const unmask = (text: string): string => text.replace(masked, (char) => marks[char.charCodeAt(0) - first] ?? '');

/** One budget for each piece. */
export class Budget {
  readonly #left = new Map<string, { count: number }>();

  constructor() {
    for (const [each, budget] of kinds) {
      const shared = { count: budget };
      for (const mark of each) this.#left.set(mark, shared);
    }
  }

  /** The line with what is above the budget masked; as long as before. */
  spend(line: string): string {
    return shallowPrefix(line).replace(/[*_~[\]`<&]/g, (mark) => {
      const left = this.#left.get(mark)!;
      left.count -= 1;
      return left.count >= 0 ? mark : mask(mark);
    });
  }
}

function shallowPrefix(line: string): string {
  const container = /[ \t]{0,8}(?:(>)|([-+*])(?=[ \t])|\d{1,9}([.)])(?=[ \t]))/y;
  let depth = 0;
  let out = line;
  for (let match = container.exec(line); match !== null; match = container.exec(line)) {
    depth += 1;
    if (depth <= deepest) continue;
    const at = container.lastIndex - 1;
    out = out.slice(0, at) + mask(line[at]!) + out.slice(at + 1);
    // Once masked, nothing after it on this line begins a container; two suffice, the rest is text.
    if (depth > deepest + 1) break;
  }
  return out;
}
