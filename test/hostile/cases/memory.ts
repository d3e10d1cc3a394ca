/** Memory of every kind: in the heap, beside it, where the engine aborts the process, and where it does not count at all. */
import { bounded, calling, failed, type Hostile, harmless, type Outcome } from '../case.ts';

/** An error of the language itself where the engine refuses the size, else one of the limits. */
const refused: Outcome = [
  ['handler-failed', 'turn-exceeded', 'out-of-memory'],
  ['lives', 'out-of-memory', 'out-of-time'],
];
/** The engine may give up the whole process: to its caller that is memory as well. */
const fatal: Outcome = [
  ['out-of-memory', 'turn-exceeded', 'handler-failed'],
  ['out-of-memory', 'lives', 'out-of-time'],
];
/** Long turns, so that memory is met before time. */
const patient = { limits: { turnMs: 1_500, timeoutMs: 6_000 }, budgetMs: 6_000 };

export const memory: readonly Hostile[] = [
  calling('objects', 'const all = []; for (;;) all.push({ a: [1, 2, 3] })', bounded, patient),
  calling('objects-nested', 'let o = {}; for (;;) o = { o }', bounded, patient),
  calling('closures', 'const all = []; for (;;) { const big = [1, 2, 3]; all.push(() => big) }', bounded, patient),
  calling('strings', 'const all = []; for (let i = 0; ; i++) all.push("x".repeat(1e5) + i)', bounded, patient),
  calling(
    'strings-flat',
    'const all = []; for (let i = 0; ; i++) { const s = "x".repeat(1e6) + i; /y/.test(s); all.push(s) }',
    bounded,
    patient,
  ),
  calling('string-double', 'let s = "x"; for (;;) s += s', failed),
  calling(
    'string-two-byte',
    'const all = []; for (let i = 0; ; i++) { const s = "\\u4e00".repeat(5e6) + i; s.charCodeAt(5e6); /x/.test(s); all.push(s) }',
    bounded,
    patient,
  ),
  calling('string-normalize', 'return "\\ufdfa".repeat(2e7).normalize("NFKD").length', refused, patient),
  calling('string-pad', 'const all = []; for (;;) all.push("".padEnd(2 ** 28, "ab").slice(1))', refused, patient),
  calling('string-join', 'return Array(2 ** 24).fill("0123456789abcdef").join("-").length', refused, patient),
  calling('string-split', 'return "a,".repeat(2 ** 25).split(",").length', fatal, patient),
  calling('string-replace', 'return "a".repeat(2 ** 20).replace(/a/g, "b".repeat(5000)).length', refused, patient),
  calling('map-flood', 'const m = new Map(); for (let i = 0; ; i++) m.set(i, {})', bounded, patient),
  calling('set-flood', 'const s = new Set(); for (let i = 0; ; i++) s.add({})', bounded, patient),
  calling(
    'weakmap-flood',
    'const m = new WeakMap(), keep = []; for (;;) { const k = {}; keep.push(k); m.set(k, {}) }',
    bounded,
    patient,
  ),
  calling('symbol-flood', 'for (let i = 0; ; i++) Symbol.for("s" + i)', bounded, patient),
  calling('property-flood', 'const o = {}; for (let i = 0; ; i++) o["k" + i] = i', bounded, patient),
  calling('array-fill-huge', 'return Array(1e9).fill(1).length', fatal, patient),
  calling('array-fill', 'return Array(6e7).fill(1.5).length', fatal, patient),
  calling('array-like-fill', 'return Array.prototype.fill.call({ length: 2 ** 32 - 2 }, 1).length', bounded, patient),
  calling('array-like-sort', 'return Array.prototype.sort.call({ length: 2 ** 32 - 2 }).length', fatal, patient),
  calling('array-sort-endless', 'return Array.prototype.sort.call({ length: 2 ** 53 - 1 }).length', fatal, patient),
  calling('array-concat', 'let a = Array(1e6).fill(1); for (;;) a = a.concat(a)', fatal, patient),
  calling(
    'array-sparse',
    'const a = []; a[2 ** 32 - 2] = 1; return a.map((x) => x).length',
    [
      ['answered', 'turn-exceeded', 'out-of-memory'],
      ['lives', 'out-of-time', 'out-of-memory'],
    ],
    patient,
  ),
  calling('spread-arguments', 'return Math.max(...Array(1e7).fill(1))', fatal, patient),
  calling(
    'array-buffers',
    'const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1))',
    [
      ['handler-failed', 'out-of-memory', 'turn-exceeded'],
      ['lives', 'out-of-memory'],
    ],
    patient,
  ),
  calling('array-buffer-one', 'return new ArrayBuffer(2 ** 33).byteLength', refused),
  calling(
    'resizable-buffers',
    'const all = []; for (;;) { const b = new ArrayBuffer(0, { maxByteLength: 1e8 }); b.resize(5e7); new Uint8Array(b).fill(1); all.push(b) }',
    bounded,
    patient,
  ),
  calling(
    'resizable-grow',
    'const b = new ArrayBuffer(0, { maxByteLength: 4e9 }); for (let n = 1e7; n <= 4e9; n += 1e7) { b.resize(n); new Uint8Array(b, n - 1e7).fill(1) } return 1',
    refused,
    patient,
  ),
  calling('buffer-transfer', 'let b = new ArrayBuffer(1e6); for (let n = 2e6; ; n *= 2) b = b.transfer(n)', refused, patient),
  calling('shared-buffer', 'return new SharedArrayBuffer(1e6, { maxByteLength: 1e9 })', failed, { says: /SharedArrayBuffer/ }),
  calling('atomics-wait', 'return Atomics.wait(new Int32Array(4), 0, 0)', failed, { says: /Atomics/ }),
  calling('wasm-memory', 'return new WebAssembly.Memory({ initial: 10000 })', failed, { says: /WebAssembly/ }),
  calling('wasm-module', 'return new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))', failed, {
    says: /WebAssembly/,
  }),
  calling(
    'intl-flood',
    'const all = []; for (;;) all.push(typeof Intl === "undefined" ? [] : new Intl.DateTimeFormat("de"), new Array(64))',
    bounded,
    patient,
  ),
  calling(
    'json-parse-deep',
    'try { JSON.parse("[".repeat(1e7)) } catch (e) { return e.name }',
    [
      ['answered', 'handler-failed', 'turn-exceeded', 'out-of-memory'],
      ['lives', 'out-of-memory'],
    ],
    patient,
  ),
  calling('json-parse-wide', 'return JSON.parse("[" + "{},".repeat(5e6) + "1]").length', fatal, patient),
  calling(
    'json-stringify-wide',
    'const s = "x".repeat(1e6); return JSON.stringify(Array(500).fill(s)).length',
    refused,
    patient,
  ),
  calling('regex-matches', 'return [..."a".repeat(2 ** 22).matchAll(/a/g)].length', fatal, patient),
  calling(
    'kept-between-calls',
    'kept.push(Array(3e5).fill(input)); return kept.length',
    [
      ['answered', 'out-of-memory', 'turn-exceeded'],
      ['lives', 'out-of-memory'],
    ],
    { ...patient, before: 'const kept = [];', times: 30 },
  ),
  calling(
    'text-encoder',
    'const all = []; for (;;) all.push(new TextEncoder().encode("x".repeat(1e6)))',
    [
      ['handler-failed', 'out-of-memory', 'turn-exceeded'],
      ['lives', 'out-of-memory'],
    ],
    patient,
  ),
  calling('bounded-honest', 'return Array.from({ length: 1e4 }, (_, i) => i).length', harmless, { answer: 10_000 }),
];
