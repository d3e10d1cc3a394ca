/** MessageChannel within the isolate: a clone to the other port, in its own turn. Nothing can be on the other side but the guest itself. */
import { failed, part, setTimeout, tag } from './given.ts';

const { Event, EventTarget } = part('events') as {
  readonly Event: new (...args: any[]) => any;
  readonly EventTarget: new (...args: any[]) => any;
};
const token = Symbol('made by the platform');

interface MessageInit {
  readonly data?: unknown;
  readonly origin?: unknown;
  readonly lastEventId?: unknown;
  readonly source?: unknown;
  readonly ports?: Iterable<unknown>;
}
class MessageEvent extends Event {
  readonly data: unknown;
  readonly origin: string;
  readonly lastEventId: string;
  readonly source: unknown;
  readonly ports: readonly unknown[];
  constructor(type: string, init: MessageInit = {}) {
    super(type, init);
    this.data = init.data ?? null;
    this.origin = String(init.origin ?? '');
    this.lastEventId = String(init.lastEventId ?? '');
    this.source = init.source ?? null;
    this.ports = Object.freeze([...(init.ports ?? [])]);
  }
}

type Listener = (event: MessageEvent) => unknown;

class MessagePort extends EventTarget {
  #other: MessagePort | undefined;
  #waiting: unknown[] = [];
  #started = false;
  #on: Listener | null = null;

  constructor(sign?: symbol) {
    if (sign !== token) throw new TypeError('Illegal constructor');
    super();
  }
  static join(sign: symbol, a: MessagePort, b: MessagePort) {
    if (sign !== token) throw new TypeError('Illegal invocation');
    a.#other = b;
    b.#other = a;
  }
  postMessage(message: unknown, options?: unknown) {
    const copy = part('clone').structuredClone(message, Array.isArray(options) ? { transfer: options } : options);
    const to = this.#other;
    if (to === undefined) return;
    to.#waiting.push(copy);
    to.#drain();
  }
  start() {
    this.#started = true;
    this.#drain();
  }
  close() {
    const other = this.#other;
    this.#other = undefined;
    this.#waiting = [];
    if (other !== undefined) other.#other = undefined;
  }
  get onmessage() {
    return this.#on;
  }
  set onmessage(listener: Listener | null) {
    if (this.#on) this.removeEventListener('message', this.#on);
    this.#on = typeof listener === 'function' ? listener : null;
    if (this.#on) this.addEventListener('message', this.#on);
    this.start();
  }
  #drain() {
    if (!this.#started || this.#waiting.length === 0) return;
    setTimeout(() => {
      const data = this.#waiting.shift();
      if (data === undefined && this.#waiting.length === 0 && this.#other === undefined) return;
      try {
        this.dispatchEvent(new MessageEvent('message', { data }));
      } catch (error) {
        failed('a message port', error);
      }
    }, 0);
  }
}
// `join` is for the channel alone.
const { join } = MessagePort;
delete (MessagePort as Partial<typeof MessagePort>).join;

class MessageChannel {
  readonly port1 = new MessagePort(token);
  readonly port2 = new MessagePort(token);
  constructor() {
    join(token, this.port1, this.port2);
  }
}
tag({ MessageEvent, MessagePort, MessageChannel });

export { MessageChannel, MessageEvent, MessagePort };
