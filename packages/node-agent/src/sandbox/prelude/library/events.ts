/**
 * Event and EventTarget from event-target-shim; the other events of the list, AbortController and AbortSignal on top of them, as the DOM
 * standard describes.
 */
import { DOMException, failed, setTimeout, tag } from './given.ts';

// Its types cannot be found through its exports, and those of the web would have to be named in this package's declarations.
declare const require: (id: string) => {
  readonly Event: new (...args: any[]) => any;
  readonly EventTarget: new (...args: any[]) => any;
  readonly setErrorHandler: (told: (error: unknown) => void) => void;
};

const shim = require('event-target-shim');

/** As the library has it, and what the standard refuses besides. */
class Event extends shim.Event {
  constructor(...args: [type?: unknown, init?: object]) {
    if (args.length === 0) throw new TypeError('Event: expected a type, found nothing');
    super(...args);
  }
}
class EventTarget extends shim.EventTarget {
  addEventListener(type: string, listener: unknown, options?: unknown): void {
    if (typeof options === 'object' && options !== null && (options as { signal?: unknown }).signal === null)
      throw new TypeError('addEventListener: signal: expected an AbortSignal, found null');
    super.addEventListener(type, listener, options);
  }
}

shim.setErrorHandler((error) => failed('an event listener', error));

class CustomEvent extends Event {
  readonly #detail: unknown;
  constructor(type: string, init: { readonly detail?: unknown } = {}) {
    super(type, init);
    this.#detail = init?.detail ?? null;
  }
  get detail() {
    return this.#detail;
  }
}

interface Failure {
  readonly message?: unknown;
  readonly filename?: unknown;
  readonly lineno?: unknown;
  readonly colno?: unknown;
  readonly error?: unknown;
}
class ErrorEvent extends Event {
  readonly message: string;
  readonly filename: string;
  readonly lineno: number;
  readonly colno: number;
  readonly error: unknown;
  constructor(type: string, init: Failure = {}) {
    super(type, init);
    this.message = String(init.message ?? '');
    this.filename = String(init.filename ?? '');
    this.lineno = Number(init.lineno ?? 0) >>> 0;
    this.colno = Number(init.colno ?? 0) >>> 0;
    this.error = init.error;
  }
}
class PromiseRejectionEvent extends Event {
  readonly promise: unknown;
  readonly reason: unknown;
  constructor(type: string, init: { readonly promise: unknown; readonly reason?: unknown }) {
    if (typeof init?.promise !== 'object') throw new TypeError('PromiseRejectionEvent: init.promise: expected a promise');
    super(type, init);
    this.promise = init.promise;
    this.reason = init.reason;
  }
}

const token = Symbol('made by the platform');
const fire = Symbol('fire');
type Listener = (this: unknown, event: unknown) => unknown;

class AbortSignal extends EventTarget {
  #aborted = false;
  #reason: unknown;
  #on: Listener | null = null;
  /** Joined signals that end with this one; of a joined one, what it ends with. */
  readonly #dependents = new Set<AbortSignal>();
  #sources: readonly AbortSignal[] = [this];

  constructor(sign?: symbol) {
    if (sign !== token) throw new TypeError('Illegal constructor');
    super();
  }
  get aborted() {
    return this.#aborted;
  }
  get reason() {
    return this.#reason;
  }
  get onabort() {
    return this.#on;
  }
  set onabort(listener: Listener | null) {
    if (this.#on) this.removeEventListener('abort', this.#on);
    this.#on = typeof listener === 'function' ? listener : null;
    if (this.#on) this.addEventListener('abort', this.#on);
  }
  throwIfAborted() {
    if (this.#aborted) throw this.#reason;
  }
  [fire](reason: unknown) {
    if (this.#aborted) return;
    const why = reason === undefined ? new DOMException('This operation was aborted', 'AbortError') : reason;
    // All are aborted before the first listener hears of it.
    const ended = [this, ...[...this.#dependents].filter((signal) => !signal.#aborted)];
    this.#dependents.clear();
    for (const signal of ended) {
      signal.#aborted = true;
      signal.#reason = why;
      for (const source of signal.#sources) source.#dependents.delete(signal);
    }
    for (const signal of ended) signal.dispatchEvent(new Event('abort'));
  }
  static abort(reason?: unknown) {
    const signal = new AbortSignal(token);
    signal[fire](reason);
    return signal;
  }
  static timeout(ms: number) {
    const signal = new AbortSignal(token);
    setTimeout(() => signal[fire](new DOMException('The operation timed out', 'TimeoutError')), ms);
    return signal;
  }
  static any(signals: Iterable<AbortSignal>) {
    const joined = new AbortSignal(token);
    const all = [...signals];
    for (const signal of all)
      if (!(signal instanceof AbortSignal)) throw new TypeError('AbortSignal.any: expected AbortSignals');
    const done = all.find((signal) => signal.aborted);
    if (done) joined[fire](done.reason);
    else {
      joined.#sources = [...new Set(all.flatMap((signal) => signal.#sources))];
      for (const source of joined.#sources) source.#dependents.add(joined);
    }
    return joined;
  }
}

class AbortController {
  readonly #signal = new AbortSignal(token);
  get signal() {
    return this.#signal;
  }
  abort(reason?: unknown) {
    this.#signal[fire](reason);
  }
}
tag({ Event, EventTarget, CustomEvent, ErrorEvent, PromiseRejectionEvent, AbortSignal, AbortController });

export { AbortController, AbortSignal, CustomEvent, ErrorEvent, Event, EventTarget, PromiseRejectionEvent };
