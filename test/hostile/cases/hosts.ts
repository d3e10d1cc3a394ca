/** Floods and nonsense towards the host: log, metrics, key-value, publish, emit, call; and what the host refuses. */
import { calling, type Hostile, harmless, type Outcome } from '../case.ts';

const flood: Outcome = [['answered', 'turn-exceeded'], ['lives']];
const patient = { limits: { turnMs: 1_000, timeoutMs: 6_000 }, budgetMs: 6_000 };
const count = (asking: string) =>
  `let refused = {}; const all = []; for (let i = 0; i < 2000; i++) all.push(${asking}.catch((e) => { refused[e.code] = (refused[e.code] ?? 0) + 1 })); return Promise.all(all).then(() => Object.keys(refused).sort())`;
const code = (asking: string) => `return Promise.resolve().then(() => ${asking}).then(() => 'done', (e) => e.code ?? e.name)`;

export const hosts: readonly Hostile[] = [
  calling(
    'log-flood',
    'for (let i = 0; i < 1e5; i++) ctx.log.info("x".repeat(3000), { f: "y".repeat(30000) }); return 1',
    flood,
    { ...patient, hits: 'log-rate' },
  ),
  calling('log-endless', 'for (;;) ctx.log.error("again")', [['turn-exceeded'], ['lives']]),
  calling('log-getter', 'ctx.log.info("x", { get a() { for (;;); } }); return 1', [['turn-exceeded'], ['lives']]),
  calling('log-circle', 'const o = {}; o.o = o; ctx.log.info("x", o); ctx.log.info(o, 1n); return 1', harmless),
  calling('log-object', 'ctx.log.info({ toString() { for (;;); } }); return 1', flood),
  calling('console-flood', 'for (let i = 0; i < 1e5; i++) console.log("x", i, {}, [1]); return 1', flood, {
    ...patient,
    hits: 'log-rate',
  }),
  calling('console-deep', 'let o = {}; for (let i = 0; i < 1e4; i++) o = { o }; console.log(o); return 1', flood, patient),
  calling('metric-flood', 'for (let i = 0; i < 1e5; i++) ctx.metrics.increment("m"); return 1', flood, {
    ...patient,
    hits: 'metric-rate',
  }),
  calling('metric-names', 'for (let i = 0; i < 1e4; i++) ctx.metrics.gauge("m" + i, i); return 1', flood, patient),
  calling(
    'metric-nonsense',
    'let bad = 0; for (const [n, v] of [["A B", 1], ["a", NaN], ["a", Infinity], ["", 1], ["x".repeat(200), 1], [{}, 1], ["a", "1"]]) try { ctx.metrics.gauge(n, v) } catch { bad++ } return bad',
    harmless,
    { answer: 7 },
  ),
  calling('kv-flood', count('ctx.kv.get("k" + i)'), harmless, {
    ...patient,
    hits: 'requests',
    answer: ['overloaded'],
    host: { 'kv.get': () => null },
  }),
  calling('kv-put-flood', count('ctx.kv.put("k" + i % 10, i)'), harmless, {
    ...patient,
    hits: 'requests',
    answer: ['overloaded'],
    host: { 'kv.put': () => 1 },
  }),
  calling('kv-large', code('ctx.kv.put("k", "x".repeat(2e6))'), harmless, { hits: 'value-size', answer: 'too-large' }),
  calling('kv-key', `${code('ctx.kv.put("a.*.>", 1)')}`, harmless, { host: { 'kv.put': () => 1 } }),
  calling('kv-key-object', code('ctx.kv.get({ toString() { for (;;); } })'), harmless, { host: { 'kv.get': () => 1 } }),
  calling('kv-value-getter', code('ctx.kv.put("k", { get a() { for (;;); } })'), [['turn-exceeded'], ['lives']]),
  calling('kv-value-proxy', code('ctx.kv.put("k", new Proxy({}, { ownKeys() { throw new Error("no") } }))'), harmless),
  calling('kv-value-nothing', code('ctx.kv.put("k", 1n)'), harmless),
  calling(
    'kv-heavy',
    'return (async () => { const v = JSON.parse("[" + "[],".repeat(2e5) + "1]"); for (let i = 0; i < 40; i++) await ctx.kv.put("k", v).catch(() => {}); return 1 })()',
    [
      ['answered', 'deadline-exceeded', 'turn-exceeded', 'out-of-memory'],
      ['lives', 'out-of-memory'],
    ],
    { ...patient, host: { 'kv.put': () => 1 } },
  ),
  calling(
    'kv-just-allowed',
    'return (async () => { const v = JSON.parse("[" + "[],".repeat(2e4) + "1]"); for (let i = 0; i < 40; i++) await ctx.kv.put("k", v).catch(() => {}); return 1 })()',
    [['answered', 'deadline-exceeded', 'turn-exceeded'], ['lives']],
    patient,
  ),
  calling('publish-flood', count('ctx.publish("flood.it", i)'), harmless, {
    ...patient,
    grants: { publish: ['flood.>'] },
    host: { publish: () => null },
  }),
  calling('publish-reserved', code('ctx.publish("$SYS.REQ.SERVER.PING", 1)'), harmless, {
    answer: 'grant-refused',
    grants: { publish: ['flood.>'] },
  }),
  calling('publish-own-subjects', code('ctx.publish("cim.v1.call.other.do", 1)'), harmless, {
    answer: 'grant-refused',
    grants: { publish: ['flood.>'] },
  }),
  calling('publish-wildcard', code('ctx.publish("flood.*", 1)'), harmless, {
    answer: 'invalid-input',
    grants: { publish: ['flood.>'] },
  }),
  calling('emit-flood', count('ctx.emit("flood.happened", { i })'), harmless, { ...patient, host: { emit: () => null } }),
  calling('emit-reserved', code('ctx.emit("agent.deployed", {})'), harmless, { answer: 'grant-refused' }),
  calling('call-not-granted', code('ctx.call("someone.else", 1)'), harmless, { answer: 'grant-refused' }),
  calling(
    'call-forged-context',
    code('ctx.call("someone.else", 1, { timeout: "5m" }, { budgetMs: 1e9, correlationId: "forged" })'),
    harmless,
    { answer: 'grant-refused' },
  ),
  calling('secret-not-granted', code('ctx.secrets.get("../../etc/passwd")'), harmless, { answer: 'grant-refused' }),
  calling('asset-climbing', code('ctx.assets.text("../../../etc/passwd")'), harmless, { answer: 'not-found' }),
  calling('asks-kept', 'for (let i = 0; i < 300; i++) ctx.kv.get("k").catch(() => {}); return 1', harmless, {
    host: { 'kv.get': () => new Promise(() => {}) },
  }),
];
