/** Answers and errors that are traps: getters, proxies, sizes, depths, and everything that can be thrown but is no error. */
import { calling, failed, type Hostile, harmless, interrupted, type Outcome } from '../case.ts';

const unwritable: Outcome = [['output-invalid'], ['lives']];
const tooLarge: Outcome = [['reply-too-large'], ['lives']];
const patient = { limits: { turnMs: 1_500, timeoutMs: 6_000 }, budgetMs: 6_000 };

export const answers: readonly Hostile[] = [
  calling('to-json-spin', 'return { toJSON() { for (;;); } }', interrupted),
  calling('answer-getter-spin', 'return { get a() { for (;;); } }', interrupted),
  calling('answer-getter-throws', 'return { get a() { throw new Error("no") } }', unwritable),
  calling('answer-proxy-spin', 'return new Proxy({}, { ownKeys() { for (;;); } })', interrupted),
  calling('answer-proxy-get', 'return new Proxy({ a: 1 }, { get() { for (;;); } })', interrupted),
  calling(
    'answer-proxy-keys',
    'return new Proxy({}, { ownKeys() { return Array.from({ length: 1e6 }, (_, i) => "k" + i) }, getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true, value: 1 }) })',
    [
      ['turn-exceeded', 'out-of-memory', 'reply-too-large'],
      ['lives', 'out-of-memory'],
    ],
  ),
  calling('answer-revoked', 'const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy', [
    ['handler-failed', 'output-invalid'],
    ['lives'],
  ]),
  calling('answer-circle', 'const o = {}; o.o = o; return o', unwritable),
  calling('answer-bigint', 'return { n: 1n }', unwritable),
  calling('answer-symbol', 'return Symbol("s")', harmless, { answer: null }),
  calling('answer-function', 'return () => 1', harmless, { answer: null }),
  calling('answer-nothing', 'return undefined', harmless, { answer: null }),
  calling('answer-lone-surrogate', 'return "\\ud800"', harmless),
  calling('answer-large', 'return "x".repeat(5e6)', tooLarge, { ...patient, says: /bytes|characters/ }),
  calling('answer-bytes', 'return "\\u4e00".repeat(150000)', tooLarge, { says: /allowed/ }),
  calling(
    'answer-500mb',
    'return "x".repeat(5e8)',
    [
      ['reply-too-large', 'output-invalid', 'out-of-memory', 'turn-exceeded'],
      ['lives', 'out-of-memory', 'out-of-time'],
    ],
    patient,
  ),
  calling(
    'answer-amplified',
    'const s = "x".repeat(1e6); return Array(4000).fill(s)',
    [
      ['reply-too-large', 'output-invalid', 'out-of-memory', 'turn-exceeded'],
      ['lives', 'out-of-memory', 'out-of-time'],
    ],
    patient,
  ),
  calling('answer-deep', 'let o = {}; for (let i = 0; i < 1e5; i++) o = { o }; return o', [
    ['output-invalid', 'reply-too-large', 'turn-exceeded'],
    ['lives'],
  ]),
  calling('answer-deep-text', 'return JSON.parse("[".repeat(5e4) + "]".repeat(5e4))', [
    ['output-invalid', 'handler-failed', 'answered', 'turn-exceeded'],
    ['lives'],
  ]),
  calling(
    'answer-proto',
    'return JSON.parse(\'{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}\')',
    harmless,
  ),
  calling('answer-date', 'return new Date(NaN)', harmless, { answer: null }),
  calling('answer-numbers', 'return [NaN, Infinity, -0]', harmless, { answer: [null, null, 0] }),
  calling('throw-getter-spin', 'throw { get message() { for (;;); } }', interrupted),
  calling(
    'throw-stack-getter-spin',
    'const e = new Error("x"); Object.defineProperty(e, "stack", { get() { for (;;); } }); throw e',
    interrupted,
  ),
  calling(
    'throw-name-getter',
    'const e = new Error("x"); Object.defineProperty(e, "name", { get() { throw new Error("y") } }); throw e',
    failed,
  ),
  calling('throw-proxy-spin', 'throw new Proxy({}, { get() { for (;;); } })', interrupted),
  calling('throw-proxy-error', 'throw new Proxy(new Error("x"), { getPrototypeOf() { for (;;); } })', [
    ['handler-failed', 'turn-exceeded'],
    ['lives'],
  ]),
  calling('throw-to-string-spin', 'throw { message: { toString() { for (;;); } } }', interrupted),
  calling('throw-code-getter-spin', 'throw { get code() { for (;;); } }', interrupted),
  calling('throw-null', 'throw null', failed, { says: /null/ }),
  calling('throw-undefined', 'throw undefined', failed),
  calling('throw-symbol', 'throw Symbol("s")', failed),
  calling('throw-bigint', 'throw 1n', failed),
  calling('throw-function', 'throw () => {}', failed),
  calling('throw-large', 'throw new Error("x".repeat(5e6))', failed),
  calling(
    'throw-500mb',
    'throw new Error("x".repeat(5e8))',
    [
      ['handler-failed', 'out-of-memory', 'turn-exceeded'],
      ['lives', 'out-of-memory'],
    ],
    patient,
  ),
  calling('throw-stack-object', 'const e = new Error("x"); e.stack = {}; throw e', failed),
  calling('throw-false-code', 'const e = new Error("trust me"); e.code = "unauthenticated"; throw e', failed),
  calling(
    'throw-cause-circle',
    'const e = new Error("x"); e.cause = e; e.errors = [e]; throw new AggregateError([e], "all")',
    failed,
  ),
  calling('throw-frozen', 'throw Object.freeze(Object.create(null))', failed),
  calling('prepare-stack-trace', 'Error.prepareStackTrace = () => { for (;;); }; throw new Error("x")', failed, {
    says: /Error|x/,
  }),
  calling(
    'prepare-stack-sites',
    'let sites; Error.prepareStackTrace = (_, s) => (sites = s); void new Error("x").stack; return typeof sites',
    harmless,
    {
      answer: 'undefined',
    },
  ),
  calling(
    'stack-limit',
    'Error.stackTraceLimit = 1e9; const f = (n) => { if (n === 0) throw new Error("deep"); f(n - 1) }; f(5000)',
    failed,
  ),
  calling(
    'stack-limit-getter',
    'Object.defineProperty(Error, "stackTraceLimit", { get() { for (;;); } }); throw new Error("x")',
    [['handler-failed', 'turn-exceeded'], ['lives']],
  ),
  calling(
    'throw-forged-frames',
    'const e = new Error("x"); e.stack = "Error: x\\n" + "    at root (/etc/passwd:1:1)\\n".repeat(1e5); throw e',
    failed,
  ),
];
