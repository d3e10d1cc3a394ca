/** Code that holds the thread: loops wherever code can run, regular expressions, built-ins nothing can interrupt. */
import { calling, failed, type Hostile, harmless, interrupted, killed } from '../case.ts';

const LONG = '{ length: 2 ** 53 - 1 }';

export const spins: readonly Hostile[] = [
  calling('spin-for', 'for (;;);', interrupted, { says: /200 ms/ }),
  calling('spin-catch', 'for (;;) { try { for (;;); } catch { } finally { continue } }', interrupted),
  calling('spin-finally', 'try { throw 1 } finally { for (;;); }', interrupted),
  calling('spin-generator', 'function* g() { for (;;) yield 1 } for (const _ of g());', interrupted),
  calling('spin-label', 'a: for (;;) { b: for (;;) continue a; }', interrupted),
  calling('spin-recursion', 'function f() { return f() } try { f() } catch { for (;;); }', interrupted),
  calling('recursion', 'function f(n) { return 1 + f(n + 1) } return f(0)', failed),
  calling('recursion-mutual', 'const a = () => b(), b = () => a(); return a()', failed),
  calling('recursion-getter', 'const o = { get a() { return this.a } }; return o.a', failed),
  calling('recursion-proxy', 'let p = {}; for (let i = 0; i < 1e5; i++) p = new Proxy(p, {}); return p.x ?? 1', [
    // Which one it is says how deep stacks are and how much else the machine has to do: the limit is one of wall time.
    ['handler-failed', 'answered', 'turn-exceeded'],
    ['lives'],
  ]),
  calling('regex-catastrophe', 'return /^(a+)+$/.test("a".repeat(40) + "!")', interrupted),
  calling('regex-backreference', 'return /^(a*)*\\1b$/.test("a".repeat(40))', interrupted),
  calling('regex-lookahead', 'return /^(?=(a+)+b)/.test("a".repeat(40))', interrupted),
  calling(
    'regex-replace',
    'return "a".repeat(35).replace(/(a|aa)+$/g, () => "x") + /(x+x+)+y/.test("x".repeat(40))',
    interrupted,
  ),
  calling('regex-large', 'return new RegExp("(".repeat(1e5) + ")".repeat(1e5)).test("")', [
    ['handler-failed', 'turn-exceeded', 'answered'],
    ['lives'],
  ]),
  calling('includes-endless', `return Array.prototype.includes.call(${LONG}, 1)`, killed, { says: /\d+ ms/ }),
  calling('index-of-endless', `return Array.prototype.indexOf.call(${LONG}, 1)`, killed),
  calling('last-index-of-endless', `return Array.prototype.lastIndexOf.call(${LONG}, 1)`, killed),
  calling('reverse-endless', `return Array.prototype.reverse.call(${LONG})`, killed),
  calling('bigint-text', 'return ((1n << 134217728n) - 1n).toString().length', [
    ['turn-exceeded', 'handler-failed', 'out-of-memory'],
    ['lives', 'out-of-time', 'out-of-memory'],
  ]),
  calling('bigint-parse', 'return BigInt("9".repeat(2 ** 24)) > 1n', [
    ['turn-exceeded', 'handler-failed', 'answered', 'out-of-memory'],
    ['lives', 'out-of-time', 'out-of-memory'],
  ]),
  calling('bigint-power', 'let a = 3n; for (;;) a = a * a', [
    ['turn-exceeded', 'handler-failed', 'out-of-memory'],
    ['lives', 'out-of-time', 'out-of-memory'],
  ]),
  calling('sort-comparator', 'return [3, 1, 2].sort(() => { for (;;); })', interrupted),
  calling('sort-random', 'return Array.from({ length: 3e5 }, (_, i) => i).sort(() => 0.5 - (Date.now() % 2)).length', [
    ['turn-exceeded', 'answered'],
    ['lives'],
  ]),
  calling('json-reviver', 'return JSON.parse("[1,2]", () => { for (;;); })', interrupted),
  calling('to-primitive', 'return +{ [Symbol.toPrimitive]() { for (;;); } }', interrupted),
  calling('iterator-endless', 'return Array.from({ [Symbol.iterator]: () => ({ next: () => ({ done: false }) }) })', [
    ['turn-exceeded', 'out-of-memory', 'handler-failed'],
    ['lives', 'out-of-memory'],
  ]),
  calling('busy-clock', 'const end = Date.now() + 5000; while (Date.now() < end); return 1', interrupted),
  calling('crypto-flood', 'const b = new Uint8Array(65536); for (;;) crypto.getRandomValues(b)', interrupted),
  calling('three-in-a-row', 'for (;;);', [['turn-exceeded'], ['out-of-time']], { times: 3, says: /200 ms/ }),
  calling('structured-clone-deep', 'let o = {}; for (let i = 0; i < 2e4; i++) o = { o }; return structuredClone(o) ? 1 : 0', [
    ['handler-failed', 'answered', 'turn-exceeded'],
    ['lives'],
  ]),
  calling('locale-compare', 'const a = "\\u0301".repeat(1e5); for (;;) a.localeCompare(a + "x")', [
    ['turn-exceeded', 'out-of-memory'],
    ['lives', 'out-of-time', 'out-of-memory'],
  ]),
  calling('date-far', 'for (let i = 0; i < 1e4; i++) new Date(8.64e15).toISOString(); return 1', harmless, { answer: 1 }),
];
