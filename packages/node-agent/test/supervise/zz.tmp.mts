import { systemClock, silentLogger, Manifest, Desired, digestOf } from '/work/main/packages/contracts/src/index.ts';
import { createRouter } from '/work/main/packages/node-agent/src/supervise/router.ts';
import { createSupervisor } from '/work/main/packages/node-agent/src/supervise/supervisor.ts';
import { createReconciler } from '/work/main/packages/node-agent/src/supervise/reconciler.ts';
import { asVerified } from '/work/main/packages/node-agent/src/bundle/verified.ts';
import { fakeSandbox } from '/work/main/packages/node-agent/test/supervise/fake-sandbox.ts';
import { monitorEventLoopDelay } from 'node:perf_hooks';
const N = 1000;
const clock = systemClock, log = silentLogger;
const sandbox = fakeSandbox();
const router = createRouter({ clock, maxQueue: 1024, observe: () => {} });
const bundles = new Map();
let held: any[] = [];
const open0 = sandbox.open.bind(sandbox); sandbox.open = async (o: any) => { const i: any = await open0(o); i.call = async () => "1"; return i; };
const key: any = 'A' + 'B'.repeat(55);
const record = (i: number, v: string, g: number) => {
  const digest = digestOf(new TextEncoder().encode(`w${i}@${v}`));
  bundles.set(digest, asVerified({ statement: { name: `w${i}`, version: v, kind: 'agent', digest, size: 1, manifestDigest: digest, sequence: g } as any, manifest: Manifest.parse({ api: 1, name: `w${i}`, version: v, kind: 'agent', capabilities: { [`w${i}.x`]: {} } }), publisher: { name: 'a', key }, entry: '', sourceMap: undefined, asset: async () => undefined }));
  return { signatures: [], document: Desired.parse({ api: 1, instance: 'leaf-1', kind: 'agent', name: `w${i}`, generation: g, state: 'running', bundle: { version: v, digest, size: 1, envelope: { payloadType: 'x', payload: '', signatures: [{ keyid: key, sig: '' }] } }, issuedAt: '2025-01-01T00:00:00.000Z', issuedBy: 'a' }) };
};
let passes = 0;
const supervisor = createSupervisor({ instance: 'leaf-1', sandbox, bundles: { open: async () => {}, get: async (ref: any) => { await new Promise((r) => setImmediate(r)); return bundles.get(ref.digest); }, collect: async () => ({ removed: 0, bytes: 0 }), conditions: () => [] }, floors: { load: async () => {}, floorOf: () => 0, raise: async () => {} }, router, clock, random: Math.random, log, hostDoor: () => ({}) as any, host: { capabilities: [], gpu: false }, capacity: () => cap, timing: { drainMs: 1000, probeMs: 10000, startTimeoutMs: 20000 }, emit: () => {}, pinned: () => new Set(), served: async (k, r) => { held = held.map((h) => (h.key === k ? { ...h, serving: r } : h)); }, wake: () => reconciler.wake('r') });
const cap = { memoryBytes: 2 ** 50, milliCpu: 1e9, replicas: 10000 };
const apply = supervisor.apply; (supervisor as any).apply = (s: any) => { passes++; apply(s); };
const reconciler = createReconciler({ desired: () => held, supervisor, capacity: () => cap, clock, log });
supervisor.onChange(() => void 0);
sandbox.opening = () => new Promise((r) => setTimeout(r, 5));
const run = async (v: string, g: number) => {
  held = Array.from({ length: N }, (_, i) => ({ key: `agent.w${i}`, record: record(i, v, g), revision: g })).sort((a, b) => (a.key < b.key ? -1 : 1));
  const h = monitorEventLoopDelay({ resolution: 1 }); h.enable();
  const t = performance.now(); const c0 = process.cpuUsage(); passes = 0;
  reconciler.wake('x');
  while (!supervisor.status().every((s) => s.converged && s.generation === g) || supervisor.status().length < N) await clock.sleep(50);
  h.disable();
  { const c = process.cpuUsage(c0); console.log('cpu ms', Math.round((c.user + c.system) / 1000)); }
  console.log(v, 'ms', Math.round(performance.now() - t), 'passes', passes, 'loop p99 ms', (h.percentile(99) / 1e6).toFixed(1), 'max', (h.max / 1e6).toFixed(1));
};
await run('1.0.0', 1); await run('2.0.0', 2);
const t = performance.now(); const M = 200000;
for (let i = 0; i < M; i += 64) await Promise.all(Array.from({ length: 64 }, () => router.call({ callId: 'c', capability: 'w5.x', input: '', budgetMs: 1000, correlationId: '' }).catch((e) => e)));
console.log('call us', ((performance.now() - t) * 1000 / M).toFixed(2));
// one deploy among 1000
const h2 = [...held]; const i = h2.findIndex((x) => x.key === 'agent.w7'); h2[i] = { ...h2[i], record: record(7, '3.0.0', 3) }; held = h2; sandbox.opening = () => {};
const t2 = performance.now();
{ const b = process.cpuUsage(); for (let i=0;i<200;i++) { reconciler.wake('x'); await new Promise((r)=>setTimeout(r,0)); } const c = process.cpuUsage(b); console.log('idle pass cpu ms', (c.user+c.system)/1000/200); }
reconciler.wake('d');
for (;;) { const s = supervisor.status; let ok = false; try { ok = (await router.call({ callId: 'c', capability: 'w7.x', input: '', budgetMs: 1000, correlationId: '' })).by.version === '3.0.0'; } catch {} if (ok) break; await new Promise((r) => setImmediate(r)); }
console.log('deploy to first call among 1000: ms', (performance.now() - t2).toFixed(2));
process.exit(0);
