/** DOMException, as Web IDL describes it: an Error with a name of the table, its legacy code, and nothing to be written. */
import { defineProperty, freeze } from '../primordials.ts';

const CODES: Readonly<Record<string, number>> = freeze({
  __proto__: null,
  IndexSizeError: 1,
  HierarchyRequestError: 3,
  WrongDocumentError: 4,
  InvalidCharacterError: 5,
  NoModificationAllowedError: 7,
  NotFoundError: 8,
  NotSupportedError: 9,
  InUseAttributeError: 10,
  InvalidStateError: 11,
  SyntaxError: 12,
  InvalidModificationError: 13,
  NamespaceError: 14,
  InvalidAccessError: 15,
  TypeMismatchError: 17,
  SecurityError: 18,
  NetworkError: 19,
  AbortError: 20,
  URLMismatchError: 21,
  QuotaExceededError: 22,
  TimeoutError: 23,
  InvalidNodeTypeError: 24,
  DataCloneError: 25,
}) as never;

/** Legacy constants that belong to names no longer in use. */
const UNUSED = { DOMSTRING_SIZE_ERR: 2, NO_DATA_ALLOWED_ERR: 6, VALIDATION_ERR: 16 } as const;

class DOMException extends Error {
  readonly #name: string;
  readonly #message: string;

  constructor(message: unknown = '', options: unknown = 'Error') {
    super();
    const named = typeof options === 'object' && options !== null ? (options as { name?: unknown }).name : options;
    this.#message = `${message as string}`;
    this.#name = named === undefined ? 'Error' : `${named as string}`;
    if (typeof options === 'object' && options !== null && 'cause' in options)
      defineProperty(this, 'cause', { value: options.cause, writable: true, configurable: true });
    const { stack } = this;
    if (typeof stack === 'string') {
      const lines = stack.indexOf('\n    at ');
      const title = `${this.#name}: ${this.#message}`;
      defineProperty(this, 'stack', {
        value: lines === -1 ? title : title + stack.slice(lines),
        writable: true,
        configurable: true,
      });
    }
  }
  override get name(): string {
    return this.#name;
  }
  override get message(): string {
    return this.#message;
  }
  get code(): number {
    return CODES[this.#name] ?? 0;
  }
}
// `super()` without a message makes no own `message`; the accessors of the prototype show.
for (const key of ['name', 'message', 'code']) {
  const found = Object.getOwnPropertyDescriptor(DOMException.prototype, key)!;
  defineProperty(DOMException.prototype, key, { ...found, enumerable: true });
}
defineProperty(DOMException.prototype, Symbol.toStringTag, { value: 'DOMException', configurable: true });
const legacy: Record<string, number> = { ...UNUSED };
for (const [name, code] of Object.entries(CODES)) {
  const constant = name
    .replace(/Error$/, '_ERR')
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toUpperCase();
  legacy[constant] = code;
}
for (const [name, value] of Object.entries(legacy)) {
  const property = { value, enumerable: true };
  defineProperty(DOMException, name, property);
  defineProperty(DOMException.prototype, name, property);
}

export { DOMException };
