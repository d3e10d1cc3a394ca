/**
 * structuredClone of the HTML standard, for what an isolate can hold: the language's own values, DOMException, Blob and File. Nothing leaves the
 * isolate, so serialising and deserialising are one walk.
 */
import { DOMException, loaded } from './given.ts';

const refuse = (what: string): never => {
  throw new DOMException(`structuredClone: ${what} cannot be cloned`, 'DataCloneError');
};
const tagOf = Object.prototype.toString;
const ERRORS: Readonly<Record<string, new (message?: string) => Error>> = {
  EvalError,
  RangeError,
  ReferenceError,
  SyntaxError,
  TypeError,
  URIError,
};

/** The getter throws for anything but an instance, across realms and whatever its prototype says. */
const brand = (prototype: object, key: string | symbol) => {
  const { get, value } = Object.getOwnPropertyDescriptor(prototype, key)!;
  const probe = (get ?? value) as (...args: unknown[]) => unknown;
  return (candidate: object): boolean => {
    try {
      Reflect.apply(probe, candidate, []);
      return true;
    } catch {
      return false;
    }
  };
};
const isBuffer = brand(ArrayBuffer.prototype, 'byteLength');
const isMap = brand(Map.prototype, 'size');
const isSet = brand(Set.prototype, 'size');
const isDate = brand(Date.prototype, 'getTime');
const isWeakMap = (value: object) => value instanceof WeakMap || value instanceof WeakSet || value instanceof WeakRef;
const isRegExp = (value: object) => tagOf.call(value) === '[object RegExp]' && brand(RegExp.prototype, 'source')(value);
const boxes = [Boolean, Number, String, BigInt].map((box) => [box, brand(box.prototype, 'valueOf')] as const);
const isSymbolBox = brand(Symbol.prototype, 'valueOf');
/** What is the language's or the platform's and has no clone: its prototype is not a plain one and it keeps state we cannot see. */
const hasHiddenState = (value: object) =>
  value instanceof Promise ||
  isWeakMap(value) ||
  /^\[object (?:Generator|AsyncGenerator|Blob|File|Request|Response|Headers|FormData|URL|URLSearchParams|AbortSignal|ReadableStream|WritableStream|TransformStream|CryptoKey|MessagePort)\]$/.test(
    tagOf.call(value),
  );

/** A copy of a Blob or File: their bytes never change, so another door to the same. */
function fileOf(value: object): object | undefined {
  // Where the part was not loaded there is none.
  const files = loaded('fetch');
  if (files === undefined || !(value instanceof files.Blob) || !brand(files.Blob.prototype, 'size')(value)) return undefined;
  const { type } = value as unknown as { readonly type: string };
  if (!(value instanceof files.File)) return new files.Blob([value], { type });
  const { name, lastModified } = value as unknown as { readonly name: string; readonly lastModified: number };
  return new files.File([value], name, { type, lastModified });
}

class Walk {
  readonly #seen = new Map<object, unknown>();
  readonly #moved: ReadonlyMap<ArrayBuffer, ArrayBuffer>;

  constructor(moved: ReadonlyMap<ArrayBuffer, ArrayBuffer>) {
    this.#moved = moved;
  }
  clone(value: unknown): unknown {
    if (typeof value === 'symbol') return refuse('a symbol');
    if (typeof value === 'function') return refuse('a function');
    if (typeof value !== 'object' || value === null) return value;
    if (this.#seen.has(value)) return this.#seen.get(value);
    return this.#copy(value);
  }
  #keep<T>(from: object, to: T): T {
    this.#seen.set(from, to);
    return to;
  }
  #copy(value: object): unknown {
    for (const [box, is] of boxes)
      if (is(value)) return this.#keep(value, Object(Reflect.apply(box.prototype.valueOf, value, [])));
    if (isSymbolBox(value)) return refuse('a symbol');
    if (isDate(value)) return this.#keep(value, new Date(Date.prototype.getTime.call(value)));
    if (isRegExp(value)) return this.#keep(value, new RegExp((value as RegExp).source, (value as RegExp).flags));
    if (isBuffer(value)) return this.#buffer(value as ArrayBuffer);
    if (ArrayBuffer.isView(value)) return this.#view(value);
    if (isMap(value)) {
      const map = this.#keep(value, new Map());
      for (const [key, entry] of [...(value as Map<unknown, unknown>)]) map.set(this.clone(key), this.clone(entry));
      return map;
    }
    if (isSet(value)) {
      const set = this.#keep(value, new Set());
      for (const entry of [...(value as Set<unknown>)]) set.add(this.clone(entry));
      return set;
    }
    if (value instanceof DOMException) return this.#keep(value, new DOMException(value.message, value.name));
    if (tagOf.call(value) === '[object Error]' || value instanceof Error) return this.#error(value as Error);
    const file = fileOf(value);
    if (file !== undefined) return this.#keep(value, file);
    if (hasHiddenState(value)) return refuse(tagOf.call(value));
    const isArray = Array.isArray(value);
    const to: Record<string, unknown> = this.#keep(value, isArray ? (new Array(value.length) as never) : {});
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(value, key)) continue;
      const copy = this.clone((value as Record<string, unknown>)[key]);
      Object.defineProperty(to, key, { value: copy, writable: true, enumerable: true, configurable: true });
    }
    return to;
  }
  #buffer(from: ArrayBuffer): ArrayBuffer {
    const moved = this.#moved.get(from);
    if (moved !== undefined) return this.#keep(from, moved);
    if (from.detached) return refuse('a detached ArrayBuffer');
    return this.#keep(from, copyOf(from));
  }
  #view(from: ArrayBufferView): unknown {
    const buffer = this.clone(from.buffer) as ArrayBuffer;
    const isData = tagOf.call(from) === '[object DataView]';
    // The type's own name, not what the instance says its constructor is.
    const name = isData
      ? 'DataView'
      : (Reflect.get(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag, from) as string);
    const make = (globalThis as unknown as Record<string, new (...args: unknown[]) => object>)[name]!;
    const length = isData ? from.byteLength : (from as Uint8Array).length;
    return this.#keep(from, new make(buffer, from.byteOffset, length));
  }
  #error(from: Error): Error {
    const make = ERRORS[String(from.name)] ?? Error;
    const own = Object.getOwnPropertyDescriptor(from, 'message');
    const to = this.#keep(from, own && 'value' in own ? new make(String(own.value)) : new make());
    if (Object.hasOwn(from, 'cause'))
      Object.defineProperty(to, 'cause', { value: this.clone(from.cause), writable: true, configurable: true });
    Object.defineProperty(to, 'stack', { value: String(from.stack), writable: true, configurable: true });
    return to;
  }
}

const structuredClone = {
  structuredClone(...args: [value?: unknown, options?: { readonly transfer?: Iterable<unknown> }]): unknown {
    if (args.length === 0) throw new TypeError('structuredClone: expected 1 argument, found 0');
    const [value, options] = args;
    const list = [...(options?.transfer ?? [])];
    const moved = new Map<ArrayBuffer, ArrayBuffer>();
    for (const one of list) {
      if (typeof one !== 'object' || one === null || !isBuffer(one)) return refuse('what is in the transfer list');
      const buffer = one as ArrayBuffer;
      if (moved.has(buffer)) return refuse('a buffer twice in the transfer list');
      if (buffer.detached) return refuse('a detached ArrayBuffer');
      moved.set(buffer, copyOf(buffer));
    }
    const to = new Walk(moved).clone(value);
    // Taken away last: when the walk fails, the caller still has them.
    for (const buffer of moved.keys()) buffer.transfer(0);
    return to;
  },
}.structuredClone;

function copyOf(buffer: ArrayBuffer): ArrayBuffer {
  if (!buffer.resizable) return buffer.slice(0);
  const to = new ArrayBuffer(buffer.byteLength, { maxByteLength: buffer.maxByteLength });
  new Uint8Array(to).set(new Uint8Array(buffer));
  return to;
}

export { structuredClone };
