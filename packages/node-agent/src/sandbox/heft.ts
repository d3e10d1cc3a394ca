/**
 * How costly a JSON text is to parse, without parsing it. A megabyte of one string costs the daemon a millisecond, a megabyte of small lists
 * and keys nearly a hundred; so values are counted, not only characters. Used on both sides of the wall: the wrapper refuses, the daemon
 * ends the cell whose wrapper did not.
 */

/** Values and keys one request to the host may hold: about ten milliseconds of the daemon at worst. */
export const MOST_VALUES = 50_000;
/** Texts up to this length cannot cost much and are not looked at. */
const LIGHT = 2 ** 16;

const [QUOTE, COMMA, LIST, BACKSLASH, OBJECT] = [34, 44, 91, 92, 123];

/**
 * True when the text holds more than {@link MOST_VALUES}. Says nothing about whether it is JSON.
 * @param at the unit at an index: handed in where a guest may have changed the language's own
 */
export function isHeavy(
  text: string,
  at: (text: string, index: number) => number = (of, index) => of.charCodeAt(index),
): boolean {
  if (text.length <= LIGHT) return false;
  let values = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = at(text, i);
    if (unit === QUOTE) {
      for (i += 1; i < text.length; i += 1) {
        const inside = at(text, i);
        if (inside === BACKSLASH) i += 1;
        else if (inside === QUOTE) break;
      }
    } else if (unit === COMMA || unit === LIST || unit === OBJECT) {
      values += 1;
      if (values > MOST_VALUES) return true;
    }
  }
  return false;
}
