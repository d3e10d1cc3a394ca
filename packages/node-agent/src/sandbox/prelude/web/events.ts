/** Event and EventTarget from event-target-shim; AbortController and AbortSignal on top of them, as the DOM standard describes. */
import { timerGlobals } from '../timers.ts';
import { library } from './library.ts';
import { domException } from './urls.ts';

declare const require: (id: string) => any;

type Shim = { readonly Event: typeof globalThis.Event; readonly EventTarget: typeof globalThis.EventTarget };

const shim = () => library(() => require('event-target-shim') as Shim);
export const event = (): unknown => shim().Event;
export const eventTarget = (): unknown => shim().EventTarget;

let made: { AbortController: unknown; AbortSignal: unknown } | undefined;

/** The two classes; made once, since the signal must extend the EventTarget the guest sees. */
function abort() {
  if (made) return made;
  const { EventTarget, Event } = shim();
  const token = Symbol('made by the platform');
  const fire = Symbol('fire');

  class AbortSignal extends EventTarget {
    #aborted = false;
    #reason: unknown;
    #on: ((event: unknown) => unknown) | null = null;

    constructor(given?: symbol) {
      if (given !== token) throw new TypeError('Illegal constructor');
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
    set onabort(listener: ((event: unknown) => unknown) | null) {
      if (this.#on) this.removeEventListener('abort', this.#on as never);
      this.#on = typeof listener === 'function' ? listener : null;
      if (this.#on) this.addEventListener('abort', this.#on as never);
    }
    throwIfAborted() {
      if (this.#aborted) throw this.#reason;
    }
    [fire](reason: unknown) {
      if (this.#aborted) return;
      this.#aborted = true;
      this.#reason = reason === undefined ? new (domException())('This operation was aborted', 'AbortError') : reason;
      this.dispatchEvent(new Event('abort') as never);
    }
    static abort(reason?: unknown) {
      const signal = new AbortSignal(token);
      signal[fire](reason);
      return signal;
    }
    static timeout(ms: number) {
      const signal = new AbortSignal(token);
      timerGlobals.setTimeout(() => signal[fire](new (domException())('The operation timed out', 'TimeoutError')), ms);
      return signal;
    }
    static any(signals: Iterable<AbortSignal>) {
      const joined = new AbortSignal(token);
      const all = [...signals];
      const done = all.find((signal) => signal.aborted);
      if (done) joined[fire](done.reason);
      else for (const signal of all) signal.addEventListener('abort', () => joined[fire](signal.reason), { once: true });
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
  made = { AbortController, AbortSignal };
  return made;
}

export const abortController = () => abort().AbortController;
export const abortSignal = () => abort().AbortSignal;
