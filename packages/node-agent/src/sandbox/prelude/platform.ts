/**
 * The global scope a guest finds: the language, less what could not be kept in bounds, plus a small web platform.
 *
 * Promises:
 * G1. No code from strings: `eval` and every constructor of functions throw.
 * G2. No WebAssembly, SharedArrayBuffer, Atomics: memory the limits do not count, and waiting the timeouts do not end.
 * G3. FinalizationRegistry never calls back: its callbacks would run outside any timed call.
 * G4. `Error.prepareStackTrace` stays unset: it is called when a stack is read, wherever that is.
 */
import { defineProperty, getPrototypeOf, now, promiseThen, SafePromise } from './primordials.ts';
import { timerGlobals } from './timers.ts';
import { atob, btoa, textDecoder, textEncoder } from './web/bytes.ts';
import { cryptoOf } from './web/chance.ts';
import { consoleDoor } from './web/console.ts';
import { abortController, abortSignal, event, eventTarget } from './web/events.ts';
import { isLoading } from './web/library.ts';
import { domException, structuredClone, url, urlSearchParams } from './web/urls.ts';

const scope = globalThis as unknown as Record<string, unknown>;
const resolved = SafePromise.resolve();

const define = (name: string, value: unknown) =>
  defineProperty(scope, name, { value, writable: true, configurable: true, enumerable: false });

/** Loaded when first read: most workloads use few of these, and some cost ten milliseconds. */
function lazy(name: string, load: () => unknown): void {
  defineProperty(scope, name, {
    configurable: true,
    enumerable: false,
    get() {
      if (isLoading()) return undefined;
      const value = load();
      define(name, value);
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

/** @param failed told of errors nobody caught */
export function openPlatform(entropy: (bytes: number) => string, failed: (where: string, error: unknown) => void): void {
  for (const name of ['WebAssembly', 'SharedArrayBuffer', 'Atomics']) delete scope[name];
  defineProperty(QuietRegistry, 'name', { value: 'FinalizationRegistry' });
  define('FinalizationRegistry', QuietRegistry);
  defineProperty(Error, 'prepareStackTrace', { get: () => undefined, set: () => {}, configurable: false, enumerable: false });
  closeCodeFromStrings();

  const start = now();
  define('performance', { now: () => now() - start, timeOrigin: start });
  define('console', consoleDoor);
  define('crypto', cryptoOf(entropy));
  define('queueMicrotask', (job: unknown) => {
    if (typeof job !== 'function') throw new TypeError('expected a function');
    promiseThen(resolved, () => {
      try {
        job();
      } catch (error) {
        failed('a microtask', error);
      }
    });
  });
  for (const [name, value] of Object.entries(timerGlobals)) define(name, value);
  const loads = { URL: url, URLSearchParams: urlSearchParams, structuredClone, DOMException: domException, atob, btoa };
  const more = { TextEncoder: textEncoder, TextDecoder: textDecoder, Event: event, EventTarget: eventTarget };
  const last = { AbortController: abortController, AbortSignal: abortSignal };
  for (const [name, load] of Object.entries({ ...loads, ...more, ...last })) lazy(name, load);
}
