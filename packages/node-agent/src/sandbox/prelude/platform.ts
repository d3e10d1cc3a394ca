/**
 * The global scope a guest finds: the language, less what could not be kept in bounds, plus a small web platform.
 *
 * Promises:
 * G1. No code from strings: `eval` and every constructor of functions throw, unless the workload was granted them.
 * G2. No WebAssembly, SharedArrayBuffer, Atomics (memory the isolate's own limit does not count), unless it was granted them.
 * G3. FinalizationRegistry never calls back: its callbacks would run outside any timed call.
 * G4. `Error.prepareStackTrace` stays unset: it is called when a stack is read, wherever that is.
 */
import type { LanguageGrant } from '@cim/contracts';
import { askForNobody } from './context.ts';
import { giveParts, isLoading, PARTS, type PartName, part } from './parts.ts';
import { defineProperty, getPrototypeOf, now, promiseThen, SafePromise } from './primordials.ts';
import { timerGlobals } from './timers.ts';
import { cryptoOf } from './web/chance.ts';
import { consoleDoor } from './web/console.ts';
import { DOMException } from './web/exception.ts';

const scope = globalThis as unknown as Record<string, unknown>;
const resolved = SafePromise.resolve();

const define = (name: string, value: unknown) =>
  defineProperty(scope, name, { value, writable: true, configurable: true, enumerable: false });

/** Of the platform's own: a class or function says its public name, since bundling renames them. */
function offer(name: string, value: unknown): void {
  if (typeof value === 'function' && value.name !== name) defineProperty(value, 'name', { value: name, configurable: true });
  define(name, value);
}

/** Its part is loaded when it is first read. */
function lazy(name: string, from: PartName): void {
  defineProperty(scope, name, {
    configurable: true,
    enumerable: false,
    get() {
      if (isLoading(from)) return undefined;
      const value = part(from)[name];
      offer(name, value);
      return value;
    },
    set(value: unknown) {
      define(name, value);
    },
  });
}

function closeCodeFromStrings(): void {
  const refuse = (what: string) => {
    throw new EvalError(`${what}: code from strings is not available to a workload`);
  };
  const closedFunction = function closed() {
    return refuse('new Function');
  };
  defineProperty(closedFunction, 'name', { value: 'Function' });
  defineProperty(closedFunction, 'prototype', { value: Function.prototype, writable: false });
  const kinds = [() => {}, async () => {}, function* () {}, async function* () {}];
  for (const one of kinds) {
    defineProperty(getPrototypeOf(one), 'constructor', { value: closedFunction, writable: false, configurable: false });
  }
  define('Function', closedFunction);
  // A method, so that it cannot be called with `new` and has no prototype, as the real one.
  define('eval', { eval: () => refuse('eval') }.eval);
}

class QuietRegistry {
  readonly #callback: unknown;
  constructor(callback: unknown) {
    if (typeof callback !== 'function') throw new TypeError('expected a function');
    this.#callback = callback;
  }
  register(): void {
    void this.#callback;
  }
  unregister(): boolean {
    return false;
  }
}

/**
 * @param failed told of errors nobody caught
 * @param language parts of it that are closed but for those the manifest asks for and the configuration allows
 */
export function openPlatform(
  entropy: (bytes: number) => string,
  failed: (where: string, error: unknown) => void,
  language: readonly LanguageGrant[],
): void {
  if (!language.includes('wasm')) delete scope['WebAssembly'];
  if (!language.includes('sharedMemory')) for (const name of ['SharedArrayBuffer', 'Atomics']) delete scope[name];
  defineProperty(QuietRegistry, 'name', { value: 'FinalizationRegistry' });
  define('FinalizationRegistry', QuietRegistry);
  defineProperty(Error, 'prepareStackTrace', { get: () => undefined, set: () => {}, configurable: false, enumerable: false });
  if (!language.includes('codegen')) closeCodeFromStrings();

  openClock();
  const { Crypto, crypto } = cryptoOf(entropy);
  for (const [name, value] of Object.entries({ Crypto, crypto, console: consoleDoor, DOMException, self: scope }))
    define(name, value);
  define('navigator', Object.freeze({ userAgent: 'CIM' }));
  offer('reportError', (error: unknown) => failed('reportError', error));
  offer('queueMicrotask', (fire: unknown) => {
    if (typeof fire !== 'function') throw new TypeError('expected a function');
    promiseThen(resolved, () => {
      try {
        fire();
      } catch (error) {
        failed('a microtask', error);
      }
    });
  });
  for (const [name, value] of Object.entries(timerGlobals)) offer(name, value);
  for (const [from, names] of Object.entries(PARTS)) for (const name of names) lazy(name, from as PartName);
  const { setTimeout } = timerGlobals;
  const random = (array: Uint8Array): Uint8Array => crypto.getRandomValues(array);
  giveParts({ DOMException: DOMException as never, setTimeout, random, ask: askForNobody, failed });
}

/** performance: time since the isolate opened, in whole milliseconds as the language has it. */
function openClock(): void {
  const start = now();
  class Performance {
    constructor() {
      if (performance !== undefined) throw new TypeError('Illegal constructor');
    }
    get timeOrigin() {
      return start;
    }
    now() {
      return now() - start;
    }
    toJSON() {
      return { timeOrigin: start };
    }
  }
  let performance: Performance | undefined;
  performance = new Performance();
  defineProperty(Performance.prototype, Symbol.toStringTag, { value: 'Performance', configurable: true });
  offer('Performance', Performance);
  define('performance', performance);
}
