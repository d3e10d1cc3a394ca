/**
 * What a call costs through the sandbox: `node packages/node-agent/test/sandbox/bench.ts`. Not a test. Prints one line of JSON.
 */
import { readFileSync } from 'node:fs';
import { ask, openOf, sandboxOf } from './fixture.ts';

const SECONDS = 1.5;

interface Rate {
  readonly perSecond: number;
  readonly p50us: number;
  readonly p99us: number;
  /** Cpu a call costs, in this process (with the caller's own part) and in the cell: steadier than times on a busy machine. */
  readonly daemonCpuUs: number;
  readonly cellCpuUs: number;
}

const cellCpuMs = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
};

async function rate(pid: number, call: () => Promise<unknown>, inFlight: number): Promise<Rate> {
  const cellBefore = cellCpuMs(pid);
  const before = process.cpuUsage();
  const end = performance.now() + SECONDS * 1000;
  const times: number[] = [];
  const start = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (performance.now() < end) {
        const from = performance.now();
        await call();
        times.push(performance.now() - from);
      }
    }),
  );
  const { user, system } = process.cpuUsage(before);
  const cell = (cellCpuMs(pid) - cellBefore) * 1000;
  const took = (performance.now() - start) / 1000;
  times.sort((a, b) => a - b);
  const at = (p: number) => Math.round(times[Math.floor(times.length * p)]! * 1000);
  const each = (us: number) => Math.round((us / times.length) * 10) / 10;
  return {
    perSecond: Math.round(times.length / took),
    p50us: at(0.5),
    p99us: at(0.99),
    daemonCpuUs: each(user + system),
    cellCpuUs: each(cell),
  };
}

const sandbox = sandboxOf({ spareCells: 1 });
await sandbox.start();
const results: Record<string, unknown> = {};
const payload = { id: 1, text: 'x'.repeat(150) };
for (const [kind, source] of Object.entries({
  sync: 'return { ...input, seen: true };',
  async: 'return (async () => { await null; return { ...input, seen: true }; })();',
})) {
  const isolate = await sandbox.open(openOf({ source }, { limits: { maxConcurrent: 1000, turnMs: 2000 } }));
  const input = JSON.stringify(payload);
  const request = { callId: 'c'.repeat(36), capability: 't.do', input, budgetMs: 10_000, correlationId: 'd'.repeat(36) };
  for (let i = 0; i < 3000; i += 1) await isolate.call(request);
  for (const inFlight of [1, 64, 256])
    results[`${kind} ${inFlight}`] = await rate(isolate.cellPid, () => isolate.call(request), inFlight);
  await ask(isolate, 1);
  await isolate.close(1000);
}
const opens: number[] = [];
for (let i = 0; i < 8; i += 1) {
  const from = performance.now();
  const isolate = await sandbox.open(openOf({ source: 'return 1' }, { isolation: 'shared' }));
  await ask(isolate);
  opens.push(Math.round((performance.now() - from) * 100) / 100);
}
results['open to first answer, shared cell, ms'] = opens;
await sandbox.stop(1000);
console.log(JSON.stringify(results, null, 1));
