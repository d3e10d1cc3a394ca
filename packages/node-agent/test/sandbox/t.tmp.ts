import { spawn } from 'node:child_process';
import { openOf, sandboxOf } from './fixture.ts';
const c = spawn(process.execPath, ['/tmp/ptest/echo-child.mjs'], { stdio: ['ignore','inherit','inherit','pipe'] }); const sock = c.stdio[3] as any;
let res: any; sock.on('data', () => res()); const buf = Buffer.alloc(280, 97); const raw = () => new Promise<void>(r => { res = r; sock.write(Buffer.from(buf)); });
const s = sandboxOf({ spareCells: 0 }); await s.start();
const i = await s.open(openOf({ source: 'return { ...input, seen: true };' }));
const input = JSON.stringify({ id: 1, text: 'x'.repeat(150) });
const request = { callId: 'c'.repeat(36), capability: 't.do', input, budgetMs: 10_000, correlationId: 'd'.repeat(36) };
const one = () => i.call(request);
const med = async (f: () => Promise<unknown>, n: number) => { const t: number[] = []; for (let k = 0; k < n; k++) { const a = performance.now(); await f(); t.push(performance.now() - a); } t.sort((a, b) => a - b); return Math.round(t[n >> 1]! * 1000); };
await med(raw, 2000); await med(one, 3000);
const raws: number[] = [], calls: number[] = []; for (let r = 0; r < 150; r++) { raws.push(await med(raw, 60)); calls.push(await med(one, 60)); } for (const [n, a] of [["raw", raws], ["call", calls]] as const) { a.sort((x, y) => x - y); console.log(n, "min", a[0], "p10", a[15], "p50", a[75]); }
c.kill(); await s.stop(100);
