import { spawn } from 'node:child_process';
import { connect } from '@nats-io/transport-node';

const port = 14000 + Math.floor(Math.random() * 1000);
const srv = spawn('/tmp/natsbin/usr/sbin/nats-server', ['-a', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
await new Promise((r) => setTimeout(r, 400));
const url = `127.0.0.1:${port}`;
const nc = await connect({ servers: url });
const body = JSON.stringify({ id: 1, text: 'x'.repeat(150) });
const res: any = {};
for (let round = 0; round < 3; round++)
  for (const kind of ['echo', 'sync', 'async']) {
    const c = spawn(process.execPath, [new URL('./nb-resp.tmp.ts', import.meta.url).pathname, kind, url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise<void>((r) => c.stdout.on('data', () => r()));
    const w = performance.now() + 700;
    while (performance.now() < w) await Promise.all(Array.from({ length: 32 }, () => nc.request('x', body)));
    for (const k of [1, 64, 256]) {
      const end = performance.now() + 1000;
      const t: number[] = [];
      const st = performance.now();
      await Promise.all(
        Array.from({ length: k }, async () => {
          while (performance.now() < end) {
            const a = performance.now();
            await nc.request('x', body, { timeout: 5000 });
            t.push(performance.now() - a);
          }
        }),
      );
      t.sort((a, b) => a - b);
      const key = `${kind} ${k}`;
      (res[key] ??= []).push([Math.round(t.length / ((performance.now() - st) / 1000)), Math.round(t[t.length >> 1]! * 1000)]);
    }
    c.kill('SIGTERM');
    await new Promise((r) => c.on('exit', r));
  }
const med = (a: number[]) => a.sort((x, y) => x - y)[a.length >> 1]!;
for (const k of [1, 64, 256]) {
  const e = res[`echo ${k}`];
  for (const kind of ['echo', 'sync', 'async']) {
    const r = res[`${kind} ${k}`];
    console.log(
      kind,
      k,
      'req/s',
      med(r.map((x: any) => x[0])),
      'ratio',
      (med(r.map((x: any) => x[0])) / med(e.map((x: any) => x[0]))).toFixed(2),
      'p50us',
      med(r.map((x: any) => x[1])),
      'added',
      med(r.map((x: any) => x[1])) - med(e.map((x: any) => x[1])),
    );
  }
}
await nc.close();
srv.kill();
