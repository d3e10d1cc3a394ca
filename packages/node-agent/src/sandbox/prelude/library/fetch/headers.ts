/** Headers of the fetch standard. Which headers may be sent is the daemon's to decide; here only what can be written at all. */

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What may not stand in a value: NUL, line ends, and what has no byte. */
const NO_VALUE = /[\0\r\n\u0100-\uffff]/;

export type Guard = 'none' | 'immutable';
type Pair = readonly [string, string];

const nameOf = (given: unknown): string => {
  const name = String(given);
  if (!NAME.test(name)) throw new TypeError(`Headers: ${JSON.stringify(name.slice(0, 80))} is not a name of a header`);
  return name.toLowerCase();
};
const textOf = (name: string, given: unknown): string => {
  const value = String(given).replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, '');
  if (NO_VALUE.test(value)) throw new TypeError(`Headers: the value of ${name} has a character that a header cannot hold`);
  return value;
};

/** Not on the prototype: a guest's Headers must not let others write to an immutable list. */
let lock: (headers: Headers) => void;
export const lockHeaders = (headers: Headers): void => lock(headers);

export class Headers {
  static {
    lock = (headers) => {
      headers.#guard = 'immutable';
    };
  }
  #list: Pair[] = [];
  #guard: Guard = 'none';

  constructor(init?: unknown) {
    if (init === undefined) return;
    if (init === null || (typeof init !== 'object' && typeof init !== 'function'))
      throw new TypeError('Headers: expected Headers, pairs or an object');
    const iterate = (init as Partial<Iterable<unknown>>)[Symbol.iterator];
    if (iterate !== undefined && iterate !== null) {
      for (const entry of init as Iterable<unknown>) {
        const pair = [...(entry as Iterable<unknown>)];
        if (pair.length !== 2) throw new TypeError('Headers: expected pairs of name and value');
        this.append(pair[0], pair[1]);
      }
    } else
      for (const key of Reflect.ownKeys(init)) {
        if (!Object.getOwnPropertyDescriptor(init, key)?.enumerable) continue;
        this.append(key, (init as Record<PropertyKey, unknown>)[key]);
      }
  }
  append(name: unknown, value: unknown): void {
    const key = nameOf(name);
    const text = textOf(key, value);
    this.#mayChange();
    this.#list.push([key, text]);
  }
  delete(name: unknown): void {
    const key = nameOf(name);
    this.#mayChange();
    this.#list = this.#list.filter(([known]) => known !== key);
  }
  get(name: unknown): string | null {
    const key = nameOf(name);
    const found = this.#list.filter(([known]) => known === key);
    return found.length === 0 ? null : found.map(([, value]) => value).join(', ');
  }
  getSetCookie(): string[] {
    return this.#list.filter(([known]) => known === 'set-cookie').map(([, value]) => value);
  }
  has(name: unknown): boolean {
    const key = nameOf(name);
    return this.#list.some(([known]) => known === key);
  }
  set(name: unknown, value: unknown): void {
    const key = nameOf(name);
    const text = textOf(key, value);
    this.#mayChange();
    const at = this.#list.findIndex(([known]) => known === key);
    if (at === -1) this.#list.push([key, text]);
    else this.#list = this.#list.filter(([known], i) => i <= at || known !== key).with(at, [key, text]);
  }
  forEach(callback: (value: string, name: string, headers: Headers) => void, self?: unknown): void {
    if (typeof callback !== 'function') throw new TypeError('Headers.forEach: expected a function');
    for (const [name, value] of this) callback.call(self, value, name, this);
  }
  /** Sorted and joined anew at every step, as the standard's iterator is. */
  *entries(): IterableIterator<[string, string]> {
    for (let at = 0; ; at += 1) {
      const entry = this.#sorted()[at];
      if (entry === undefined) return;
      yield [entry[0], entry[1]];
    }
  }
  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }
  *values(): IterableIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }
  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }
  #mayChange(): void {
    if (this.#guard === 'immutable') throw new TypeError('Headers: these cannot be changed');
  }
  #sorted(): Pair[] {
    const names = [...new Set(this.#list.map(([name]) => name))].sort();
    return names.flatMap((name): Pair[] => {
      const all = this.#list.filter(([known]) => known === name);
      return name === 'set-cookie' ? all : [[name, all.map(([, value]) => value).join(', ')]];
    });
  }
}
