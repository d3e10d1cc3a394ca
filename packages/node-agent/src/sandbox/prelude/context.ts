/**
 * `ctx`: what a handler reaches. Nothing is decided here; every request goes to the daemon with the number of the call it is made for,
 * and the daemon checks it against the grants.
 */
import { isHeavy, MOST_VALUES } from '../heft.ts';
import { ASK_LIMIT, ASKS_LIMIT, OUT } from '../protocol.ts';
import { callError } from './faults.ts';
import { put, waitingLength } from './outbox.ts';
import { part } from './parts.ts';
import { bare, charCodeAt, freeze, parse, SafePromise, stringify } from './primordials.ts';
import { limitHit, log, metric } from './said.ts';

/** Beyond this many characters waiting for the host, requests are refused. */
const WAITING = 32 * 2 ** 20;

interface Ask {
  readonly slot: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

let asks = bare<Ask>();
let underWay = 0;
let newest = 0;

function ask(operation: string, args: readonly unknown[], slot: number): Promise<any> {
  return new SafePromise((resolve, reject) => {
    if (underWay >= ASKS_LIMIT || waitingLength() > WAITING) {
      limitHit('requests');
      reject(callError('overloaded', `ctx.${operation}: more than ${ASKS_LIMIT} requests to the host under way`, true));
      return;
    }
    const text = stringify([operation, ...args]);
    if (text.length > ASK_LIMIT) {
      limitHit('value-size');
      reject(callError('too-large', `ctx.${operation}: ${text.length} characters, at most ${ASK_LIMIT} allowed`, false));
      return;
    }
    if (isHeavy(text, charCodeAt)) {
      limitHit('value-size');
      reject(callError('too-large', `ctx.${operation}: at most ${MOST_VALUES} values and keys in one request`, false));
      return;
    }
    newest += 1;
    underWay += 1;
    asks[newest] = { __proto__: null, slot, resolve, reject } as unknown as Ask;
    put(`${OUT.ask},${newest},${slot + 1},${text.length}`, text);
  });
}

/** For what has no context of a call: `fetch`. */
export const askForNobody = (operation: string, args: readonly unknown[]): Promise<any> => ask(operation, args, -1);

function take(id: number): Ask | undefined {
  const found = asks[id];
  if (found === undefined) return undefined;
  delete asks[id];
  underWay -= 1;
  if (underWay === 0) asks = bare();
  return found;
}

/** The host answered. @returns the slot whose handler goes on, or -1 */
export function answered(id: number, text: string): number {
  const found = take(id);
  if (found === undefined) return -1;
  found.resolve(text === '' ? undefined : parse(text));
  return found.slot;
}

/** The host refused. @returns the slot whose handler goes on, or -1 */
export function refused(id: number, text: string): number {
  const found = take(id);
  if (found === undefined) return -1;
  const { code, detail, retry } = parse(text) as { code: string; detail: string; retry: boolean };
  found.reject(callError(code, detail, retry));
  return found.slot;
}

const logDoor = freeze({
  debug: (message: unknown, fields?: unknown) => log('debug', message, fields),
  info: (message: unknown, fields?: unknown) => log('info', message, fields),
  warn: (message: unknown, fields?: unknown) => log('warn', message, fields),
  error: (message: unknown, fields?: unknown) => log('error', message, fields),
});
const metricDoor = freeze({
  increment: (name: unknown, by: unknown = 1) => metric('counter', name, by),
  gauge: (name: unknown, value: unknown) => metric('gauge', name, value),
  observe: (name: unknown, value: unknown) => metric('histogram', name, value),
});

let workload: unknown;
let config: unknown;

/** What all contexts of this isolate have in common. */
export function openContext(who: object, frozenConfig: unknown): void {
  workload = freeze(who);
  config = frozenConfig;
}

/** One per call, so that every request names the call it is made for. Members may be taken off it: none needs `this`. */
export class CallContext {
  readonly #slot: number;
  #kv: object | undefined;

  constructor(slot: number) {
    this.#slot = slot;
  }
  get workload() {
    return workload;
  }
  get config() {
    return config;
  }
  get log() {
    return logDoor;
  }
  get metrics() {
    return metricDoor;
  }
  get kv() {
    const slot = this.#slot;
    this.#kv ??= {
      get: (key: unknown) => ask('kv.get', [key], slot),
      entry: (key: unknown) => ask('kv.entry', [key], slot),
      put: (key: unknown, value: unknown) => ask('kv.put', [key, value], slot),
      create: (key: unknown, value: unknown) => ask('kv.create', [key, value], slot),
      update: (key: unknown, value: unknown, revision: unknown) => ask('kv.update', [key, value, revision], slot),
      delete: (key: unknown) => ask('kv.delete', [key], slot),
      keys: (prefix?: unknown) => ask('kv.keys', prefix === undefined ? [] : [prefix], slot),
    };
    return this.#kv;
  }
  get secrets() {
    const slot = this.#slot;
    return { get: (name: unknown) => ask('secret', [name], slot) };
  }
  get assets() {
    const slot = this.#slot;
    const bytes = async (path: unknown): Promise<Uint8Array> => part('encoding').fromBase64(await ask('asset', [path], slot));
    const text = async (path: unknown): Promise<string> => new (part('encoding').TextDecoder)().decode(await bytes(path));
    return { bytes, text };
  }
  get publish() {
    const slot = this.#slot;
    return async (subject: unknown, data: unknown) => void (await ask('publish', [subject, data], slot));
  }
  get emit() {
    const slot = this.#slot;
    return async (type: unknown, data: unknown, options?: unknown) =>
      void (await ask('emit', options === undefined ? [type, data] : [type, data, options], slot));
  }
  get call() {
    const slot = this.#slot;
    return (capability: unknown, input: unknown, options?: unknown) =>
      ask('call', options === undefined ? [capability, input] : [capability, input, options], slot);
  }
}
