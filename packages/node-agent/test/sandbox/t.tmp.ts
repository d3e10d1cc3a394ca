import { readFileSync } from 'node:fs';
import { ask, openOf, sandboxOf } from './fixture.ts';

const s = sandboxOf({ spareCells: 1 });
await s.start();
const pss = (pid: number) => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))![1]) / 1024;
const sum = () => s.cells().reduce((n, c) => n + pss(c.pid), 0);
const before = sum();
const t = performance.now();
const n = Number(process.argv[2]);
const ts: number[] = [];
for (let i = 0; i < n; i++) {
  const a = performance.now();
  const x = await s.open(openOf({ source: 'return 1' }, { isolation: 'shared' }));
  await ask(x);
  ts.push(performance.now() - a);
}
ts.sort((a, b) => a - b);
console.log(
  'open+answer ms p50',
  ts[n >> 1].toFixed(1),
  'p99',
  ts[Math.floor(n * 0.99)].toFixed(1),
  'total s',
  ((performance.now() - t) / 1000).toFixed(1),
  'cells',
  s.cells().length,
  'PSS MB each',
  ((sum() - before) / n).toFixed(2),
);
await new Promise((r) => setTimeout(r, 3000));
console.log(
  'idle PSS MB each',
  ((sum() - before) / n).toFixed(2),
  'one cell rss',
  s
    .cells()
    .map((c) => [c.isolates, Math.round(c.rssBytes / 2 ** 20), Math.round(pss(c.pid))].join('/'))
    .join(' '),
);
const c0 = process.cpuUsage();
const cc = s.cells().reduce((n, c) => n + c.cpuMs, 0);
await new Promise((r) => setTimeout(r, 4000));
const c1 = process.cpuUsage(c0);
console.log(
  'idle daemon cpu %',
  ((c1.user + c1.system) / 40000).toFixed(1),
  'cells cpu %',
  ((s.cells().reduce((n, c) => n + c.cpuMs, 0) - cc) / 40).toFixed(1),
);
await s.stop(100);
