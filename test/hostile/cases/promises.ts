/** Promises, microtasks, timers and thenables: code that goes on after the timed entry it began in, or waits for ever. */
import { bounded, calling, failed, type Hostile, harmless, interrupted, killed } from '../case.ts';

/** The deadline of the caller ends it; the isolate goes on. */
const late: Parameters<typeof calling>[2] = [['deadline-exceeded'], ['lives']];
/** What a timer does belongs to no call: its entry is interrupted, and the caller's own deadline ends the call. */
const behind: Parameters<typeof calling>[2] = [['deadline-exceeded', 'turn-exceeded'], ['lives']];

export const promises: readonly Hostile[] = [
  calling('loop-after-await', 'return (async () => { await null; for (;;); })()', interrupted),
  calling('await-endless', 'return (async () => { for (;;) await null; })()', interrupted),
  calling(
    'microtasks-endless',
    'const again = () => queueMicrotask(again); again(); return new Promise(() => {})',
    interrupted,
  ),
  calling(
    'then-endless',
    'const again = () => Promise.resolve().then(again); again(); return new Promise(() => {})',
    interrupted,
  ),
  calling('microtask-behind-spin', 'queueMicrotask(() => { for (;;); }); for (;;);', interrupted),
  calling('rejection-behind-spin', 'for (;;) Promise.reject(new Error("left behind"))', [
    ['turn-exceeded', 'out-of-memory'],
    ['lives', 'out-of-memory'],
  ]),
  calling('microtask-spin', 'queueMicrotask(() => { for (;;); }); return new Promise(() => {})', interrupted),
  calling('loop-after-host', 'return ctx.kv.get("k").then(() => { for (;;); })', interrupted, { host: { 'kv.get': () => 1 } }),
  calling('never-settles', 'return new Promise(() => {})', late, { budgetMs: 400, says: /400 ms/ }),
  calling('never-settles-many', 'return Promise.all(Array.from({ length: 1e4 }, () => new Promise(() => {})))', late, {
    budgetMs: 400,
  }),
  calling('timer-spin', 'return new Promise(() => setTimeout(() => { for (;;); }, 1))', behind, { budgetMs: 900 }),
  calling('timer-flood', 'try { for (;;) setInterval(() => {}, 1) } catch (e) { return e.name }', harmless, {
    answer: 'RangeError',
    hits: 'timers',
  }),
  calling('timer-storm', 'for (let i = 0; i < 1000; i++) setInterval(() => {}, 0); return new Promise(() => {})', late, {
    budgetMs: 1_000,
  }),
  calling('timer-chain', 'const again = () => setTimeout(again, 0); again(); return new Promise(() => {})', late, {
    budgetMs: 700,
  }),
  calling('timer-throws', 'setInterval(() => { throw new Error("again") }, 1); return new Promise(() => {})', late, {
    budgetMs: 700,
  }),
  calling('timer-text', 'setTimeout("globalThis.x = 1", 1); return 1', failed),
  calling(
    'promise-flood',
    'return (async () => { const all = []; for (;;) all.push(Promise.resolve({}).then(() => {})) })()',
    bounded,
  ),
  calling('async-fork', 'const f = async () => { await null; f(); f() }; f(); return new Promise(() => {})', bounded),
  calling('thenable-spin', 'return { then() { for (;;); } }', interrupted),
  calling('thenable-getter-spin', 'return { get then() { for (;;); } }', interrupted),
  calling('thenable-throws', 'return { then() { throw new Error("no") } }', failed),
  calling('thenable-twice', 'return { then(done, no) { done("one"); done("two"); no(new Error("three")) } }', harmless, {
    answer: 'one',
  }),
  calling('thenable-nested', 'let depth = 0; const t = { then(done) { depth++; done(t) } }; return t', interrupted),
  calling('thenable-late', 'return { then(done) { setTimeout(() => { done("a"); done("b") }, 5) } }', harmless, {
    answer: 'a',
  }),
  calling('lost-rejection', 'for (let i = 0; i < 1000; i++) Promise.reject(new Error("lost")); return 1', harmless),
  calling('lost-rejection-getter', 'Promise.reject({ get message() { for (;;); } }); return 1', [
    ['turn-exceeded', 'answered'],
    ['out-of-time'],
  ]),
  calling('rejects-nothing', 'return Promise.reject()', failed),
  calling('rejects-getter-spin', 'return Promise.reject({ get message() { for (;;); } })', interrupted),
  calling(
    'async-iterator',
    'return (async () => { for await (const _ of (async function* () { for (;;) yield 1 })()); })()',
    interrupted,
  ),
  calling('finalization', 'new FinalizationRegistry(() => { for (;;); }).register({}, 1); return 1', harmless),
  calling(
    'promise-then-replaced',
    'Promise.prototype.then = () => { for (;;); }; return (async () => 1)()',
    [['turn-exceeded', 'answered', 'deadline-exceeded'], ['lives']],
    { budgetMs: 900 },
  ),
  calling(
    'promise-species',
    'class P extends Promise { static get [Symbol.species]() { for (;;); } } return new P((d) => d(1)).then(() => 2)',
    interrupted,
  ),
  calling(
    'abort-listeners',
    'const a = new AbortController(); for (let i = 0; i < 1e4; i++) a.signal.addEventListener("abort", () => { if (i === 9999) for (;;); }); a.abort(); return 1',
    interrupted,
  ),
  calling(
    'includes-after-await',
    'return (async () => { await null; return [].includes.call({ length: 2 ** 53 - 1 }, 1) })()',
    killed,
  ),
];
