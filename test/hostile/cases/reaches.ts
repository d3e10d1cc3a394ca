/** Attempts to reach Node, the engine, other code or a good clock from inside the isolate. Each answers what it got hold of. */
import { calling, type Hostile, harmless } from '../case.ts';

const nothing = { answer: 'undefined' };
const closed = { answer: 'EvalError' };
const tried = (code: string) => `try { ${code} } catch (e) { return e.name }`;

const FETCH = (url: string) =>
  `return typeof fetch === 'undefined' ? 'refused' : fetch('${url}').then(() => 'done', () => 'refused')`;

export const reaches: readonly Hostile[] = [
  calling('reach-process', 'return typeof process', harmless, nothing),
  calling('reach-require', 'return typeof require', harmless, nothing),
  calling('reach-module', 'return typeof module + typeof exports + typeof __dirname', harmless, {
    answer: 'undefinedundefinedundefined',
  }),
  calling('reach-buffer', 'return typeof Buffer + typeof global + typeof setImmediate', harmless, {
    answer: 'undefinedundefinedundefined',
  }),
  calling(
    'reach-ivm',
    'return ["ivm", "isolate", "gc", "d8", "Deno", "Bun", "load", "print", "read", "quit", "cimBoot", "_ivm"].filter((k) => k in globalThis)',
    harmless,
    { answer: [] },
  ),
  calling(
    'reach-network',
    'return ["XMLHttpRequest", "WebSocket", "EventSource", "Worker", "importScripts"].filter((k) => k in globalThis)',
    harmless,
    { answer: [] },
  ),
  calling('reach-wasm', 'return [typeof WebAssembly, typeof SharedArrayBuffer, typeof Atomics].join()', harmless, {
    answer: 'undefined,undefined,undefined',
  }),
  calling('reach-import', 'return import("node:fs").then(() => "got it", (e) => "refused")', [
    ['answered', 'handler-failed'],
    ['lives'],
  ]),
  calling('reach-import-spin', 'return import("data:text/javascript,for(;;);").then(() => "got it", () => "refused")', [
    ['answered', 'handler-failed'],
    ['lives'],
  ]),
  calling('reach-import-meta', 'return Object.keys(import.meta)', harmless, { answer: [] }),
  calling('eval-direct', tried('return eval("1 + 1")'), harmless, closed),
  calling('eval-indirect', tried('return (0, eval)("1 + 1")'), harmless, closed),
  calling('eval-function', tried('return Function("return 1")()'), harmless, closed),
  calling('eval-constructor', tried('return (() => {}).constructor("return this")()'), harmless, closed),
  calling('eval-async-constructor', tried('return (async () => {}).constructor("return this")()'), harmless, closed),
  calling('eval-generator-constructor', tried('return (function* () {}).constructor("return this")()'), harmless, closed),
  calling('eval-through-context', tried('return ctx.log.info.constructor("return process")()'), harmless, closed),
  calling('eval-through-class', tried('return Object.getPrototypeOf(class {}).constructor("return this")()'), harmless, closed),
  calling(
    'eval-reflect-construct',
    tried('return Reflect.construct((() => {}).constructor, ["return this"])()'),
    harmless,
    closed,
  ),
  calling(
    'eval-redefined',
    tried('Object.defineProperty(Function.prototype, "constructor", { value: 1 }); return 1'),
    harmless,
    { answer: 'TypeError' },
  ),
  calling('eval-shadow-realm', 'return typeof ShadowRealm', harmless, nothing),
  calling(
    'walk-context',
    'const seen = new Set(), found = []; const walk = (o, d) => { if (d > 6 || o === null || (typeof o !== "object" && typeof o !== "function") || seen.has(o)) return; seen.add(o); for (const k of Reflect.ownKeys(o)) { let v; try { v = o[k] } catch { continue } if (/^(Isolate|Reference|ExternalCopy|Context|Callback|Module|Script)$/.test(v?.constructor?.name ?? "")) found.push(String(k)); walk(v, d + 1) } walk(Object.getPrototypeOf(o), d + 1) }; walk(ctx, 0); walk(globalThis, 0); walk(call, 0); return found',
    harmless,
    { answer: [], limits: { turnMs: 1_500 } },
  ),
  calling('walk-caller', 'function f() { return f.caller } try { return String(f()) } catch (e) { return e.name }', [
    ['answered'],
    ['lives'],
  ]),
  calling(
    'walk-arguments',
    '"use strict"; try { return (function () { return arguments.callee })() } catch (e) { return e.name }',
    harmless,
    { answer: 'TypeError' },
  ),
  calling(
    'stack-objects',
    'try { null.x } catch (e) { return typeof e.stack + /node:|cell\\.cjs|guest\\.js|file:/.test(e.stack) }',
    harmless,
    { answer: 'stringfalse' },
  ),
  calling(
    'stack-overflow-sites',
    'let at; const f = () => { try { f() } catch (e) { at ??= e } }; f(); return /node:|cell\\.cjs/.test(at.stack) || Object.getPrototypeOf(at) !== RangeError.prototype',
    harmless,
    { answer: false },
  ),
  calling(
    'error-capture',
    'const o = {}; Error.captureStackTrace?.(o); return /node:|cell\\.cjs|\\/dist\\//.test(o.stack ?? "")',
    harmless,
    { answer: false },
  ),
  calling('fetch-not-granted', FETCH('http://127.0.0.1:8222/varz'), harmless, { answer: 'refused' }),
  calling('fetch-metadata', FETCH('http://169.254.169.254/latest/meta-data/'), harmless, { answer: 'refused' }),
  calling('fetch-file', FETCH('file:///etc/passwd'), harmless, { answer: 'refused' }),
  calling(
    'clock-coarse',
    'const seen = new Set(); const end = Date.now() + 40; while (Date.now() < end) seen.add(performance.now() % 1); return seen.size <= 1',
    harmless,
    { answer: true },
  ),
  calling('clock-counter', 'return typeof SharedArrayBuffer + typeof Atomics + typeof Worker', harmless, {
    answer: 'undefinedundefinedundefined',
  }),
  calling(
    'clock-timers',
    'return new Promise((done) => { let n = 0; const from = Date.now(); const again = () => (Date.now() - from >= 100 ? done(n <= 30) : (n++, setTimeout(again, 0))); again() })',
    harmless,
    { answer: true },
  ),
  calling('random-guess', 'return Array.from(crypto.getRandomValues(new Uint8Array(8))).every((b) => b === 0)', harmless, {
    answer: false,
  }),
  calling('entropy-large', tried('crypto.getRandomValues(new Uint8Array(1e6)); return "given"'), [['answered'], ['lives']]),
];
