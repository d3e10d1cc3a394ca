/** What a part finds as its parameter: the script of a part is a function of one argument with this name. */
import type { Given } from '../parts.ts';

declare const given: Given;

export const { part, loaded, DOMException, setTimeout, random, ask, failed } = given;

/** Says what a class is by its public name: bundling renames classes. */
export function tag(classes: Readonly<Record<string, abstract new (...args: never[]) => object>>): void {
  for (const [name, made] of Object.entries(classes)) {
    Object.defineProperty(made, 'name', { value: name, configurable: true });
    Object.defineProperty(made.prototype, Symbol.toStringTag, { value: name, configurable: true });
  }
}
