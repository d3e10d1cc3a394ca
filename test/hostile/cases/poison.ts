/** The language turned against the wrapper: prototypes, well-known symbols and globals replaced before its code runs again. */
import { calling, type Hostile, harmless, type Outcome } from '../case.ts';

/** It may harm its own call; the wrapper goes on. */
const own: Outcome = [['answered', 'handler-failed', 'output-invalid', 'turn-exceeded'], ['lives']];

export const poison: readonly Hostile[] = [
  calling('json-replaced', 'JSON.stringify = () => { for (;;); }; JSON.parse = JSON.stringify; return 1', harmless, {
    answer: 1,
  }),
  calling(
    'object-prototype',
    'Object.prototype.toJSON = () => "mine"; Object.prototype.then = undefined; return { a: 1 }',
    own,
  ),
  calling(
    'object-prototype-getter',
    'Object.defineProperty(Object.prototype, "code", { get() { for (;;); }, configurable: true }); throw {}',
    own,
  ),
  calling(
    'object-prototype-setter',
    'for (const k of ["slot", "head", "body", "next", "self", "run"]) Object.defineProperty(Object.prototype, k, { set() { for (;;); }, get() { return 1 }, configurable: true }); return 2',
    harmless,
    { answer: 2 },
  ),
  calling(
    'array-prototype',
    'Array.prototype.push = Array.prototype.map = Array.prototype.join = () => { for (;;); }; return [1, 2]',
    harmless,
    {
      answer: [1, 2],
    },
  ),
  calling(
    'array-prototype-index',
    'Object.defineProperty(Array.prototype, 0, { set() { for (;;); }, get() { return 1 }, configurable: true }); return 3',
    harmless,
  ),
  calling('array-iterator', 'Array.prototype[Symbol.iterator] = function* () { for (;;) yield 1 }; return 1', harmless),
  calling(
    'string-prototype',
    'String.prototype.slice = String.prototype.charCodeAt = () => { for (;;); }; return "a"',
    harmless,
    { answer: 'a' },
  ),
  calling(
    'function-prototype',
    'Function.prototype.call = Function.prototype.apply = Function.prototype.bind = () => { for (;;); }; return 1',
    harmless,
  ),
  calling('reflect-apply', 'Reflect.apply = () => { for (;;); }; return 1', harmless),
  calling(
    'map-prototype',
    'Map.prototype.get = Map.prototype.set = Map.prototype.values = () => { for (;;); }; return 1',
    harmless,
  ),
  calling(
    'promise-constructor',
    'globalThis.Promise = class { constructor() { for (;;); } }; return (async () => 1)()',
    harmless,
  ),
  calling('date-now', 'Date.now = () => NaN; setTimeout(() => {}, 1); ctx.log.info("x"); return 1', harmless),
  calling(
    'symbol-species',
    'Object.defineProperty(Array, Symbol.species, { get() { for (;;); } }); return [1].map((x) => x)',
    own,
  ),
  calling(
    'error-prototype',
    'Object.defineProperty(Error.prototype, "message", { get() { for (;;); } }); throw Object.create(Error.prototype)',
    own,
  ),
  calling(
    'has-instance',
    'Object.defineProperty(Error, Symbol.hasInstance, { value() { for (;;); } }); ctx.log.info("x", { e: {} }); return 1',
    [['turn-exceeded', 'answered'], ['lives']],
  ),
  calling(
    'global-deleted',
    'for (const k of Reflect.ownKeys(globalThis)) try { delete globalThis[k] } catch {} return 1',
    harmless,
  ),
  calling(
    'global-frozen',
    'Object.freeze(globalThis); Object.freeze(Object.prototype); Object.freeze(Array.prototype); return 1',
    harmless,
  ),
  calling(
    'global-proxy',
    'Object.setPrototypeOf(globalThis, new Proxy({}, { get() { for (;;); }, has() { return true } })); return 1',
    own,
  ),
  calling(
    'context-frozen',
    '"use strict"; try { ctx.log = null; ctx.kv = null } catch {} Object.getPrototypeOf(ctx).kv = 1; return 1',
    own,
  ),
  calling(
    'regexp-prototype',
    'RegExp.prototype.exec = RegExp.prototype.test = () => { for (;;); }; ctx.metrics.increment("a"); return 1',
    [['answered', 'turn-exceeded', 'handler-failed'], ['lives']],
  ),
  calling('number-prototype', 'Number.prototype.toString = () => { for (;;); }; return 12', harmless, { answer: 12 }),
  calling(
    'to-string-tag',
    'Object.defineProperty(Object.prototype, Symbol.toStringTag, { get() { for (;;); } }); return {}',
    own,
  ),
  calling(
    'async-unscopables',
    'Object.defineProperty(Object.prototype, "then", { get() { for (;;); }, configurable: true }); return (async () => ({}))()',
    own,
  ),
];
