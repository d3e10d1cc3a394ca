/**
 * Ends and beginnings under attack: closing while guest code runs, waits or floods; a cell killed with hundreds of calls in flight; memory
 * met again and again; honest work near its limit, which must not be taken for an attack.
 */
import { Fault } from '@cim/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Isolate } from '../../packages/node-agent/src/sandbox/sandbox.ts';
import { calling, type Hostile, harmless, MIB } from './case.ts';
import { type CellWall, cellWall, isolateOf } from './cells.ts';
import { until } from './judge.ts';
import { MemoryWatch } from './watch.ts';

/** `CIM_HOSTILE_TIMES=100 CIM_HOSTILE_CROWD=1000` is how it is run by hand; less tells as much in `npm test`. */
const TIMES = Number(process.env['CIM_HOSTILE_TIMES'] ?? 6);
const CROWD = Number(process.env['CIM_HOSTILE_CROWD'] ?? 100);

let wall: CellWall;
beforeAll(async () => {
  wall = await cellWall({ spareCells: 2 });
});
afterAll(async () => {
  await wall?.[Symbol.asyncDispose]();
});

const opened = (one: Hostile): Promise<Isolate> => isolateOf(wall.sandbox, one);
let calls = 0;
const ask = (isolate: Isolate, { name }: Hostile, input: unknown = 'bad', budgetMs = 5_000): Promise<string> => {
  calls += 1;
  const request = { callId: `c${calls}`, capability: `${name}.do`, input: JSON.stringify(input), budgetMs, correlationId: 'k' };
  return isolate
    .call(request)
    .then(String)
    .catch((error: unknown) => (error instanceof Fault ? error.code : Promise.reject(error)));
};
const gone = (pid: number) => until(() => !wall.sandbox.cells().some((cell) => cell.pid === pid), 5_000);

describe('closed', () => {
  test.each([
    ['while it spins', 'for (;;);', {}],
    ['while it spins where nothing stops it', 'return [].includes.call({ length: 2 ** 53 - 1 }, 1)', {}],
    ['while promises run', 'return (async () => { for (;;) await null; })()', {}],
    ['while it waits for the host', 'return ctx.kv.get("k")', { host: { 'kv.get': () => new Promise(() => {}) } }],
    [
      'while it floods the log',
      'return (async () => { for (;;) { ctx.log.info("x"); await new Promise((d) => setTimeout(d, 4)) } })()',
      {},
    ],
    ['while it allocates', 'const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1))', {}],
    ['while a timer is due', 'setInterval(() => { for (;;); }, 5); return new Promise(() => {})', {}],
  ])('%s', async (_, body, rest) => {
    const one = calling('closed', body, harmless, rest);
    const isolate = await opened(one);
    const pid = isolate.cellPid;
    const call = ask(isolate, one);
    await new Promise((done) => setTimeout(done, 60));
    const from = performance.now();
    await isolate.close(100);
    expect(await call).toBeOneOf(['workload-draining', 'turn-exceeded', 'cell-died', 'out-of-memory', 'handler-failed']);
    expect(performance.now() - from).toBeLessThan(5_000);
    expect(await gone(pid)).toBe(true);
    expect(await ask(isolate, one, 'well')).toBeOneOf(['workload-not-ready', 'workload-draining']);
  });

  test('in the middle of being opened', async () => {
    const one = calling('opening', 'return 1', harmless);
    const opening = Promise.all(Array.from({ length: 4 }, () => opened(one)));
    const isolates = await opening;
    await Promise.all(isolates.map((isolate) => isolate.close(0)));
    for (const { cellPid } of isolates) expect(await gone(cellPid)).toBe(true);
  });

  test('with everything in flight: the whole sandbox', async () => {
    await using other = await cellWall({ spareCells: 1 });
    const one = calling('stopped', 'return new Promise(() => {})', harmless, { limits: { maxConcurrent: 300 } });
    const isolate = await isolateOf(other.sandbox, one);
    const all = Array.from({ length: 256 }, () => ask(isolate, one));
    await other.sandbox.stop(100);
    expect(new Set(await Promise.all(all))).toEqual(new Set(['workload-draining']));
    expect(other.sandbox.cells()).toEqual([]);
  });
});

test('SIGKILL with 256 calls in flight: each has a fault, and the next isolate answers', async () => {
  const one = calling('killed-busy', 'return new Promise(() => {})', harmless, { limits: { maxConcurrent: 300 } });
  const isolate = await opened(one);
  const all = Array.from({ length: 256 }, () => ask(isolate, one));
  expect(isolate.usage().inFlight).toBe(256);
  process.kill(isolate.cellPid, 'SIGKILL');
  expect(new Set(await Promise.all(all))).toEqual(new Set(['cell-died']));
  expect((await isolate.exited).kind).toBe('cell-died');
  const next = await opened(one);
  expect(await ask(next, one, 'well')).toBe('"well"');
  await next.close(0);
});

test('out of memory again and again: the sandbox stays as it is', { timeout: 20_000 + TIMES * 8_000 }, async () => {
  const one = calling('greedy', 'const all = []; for (;;) all.push({ a: [1, 2, 3] })', harmless, {
    limits: { turnMs: 2_000, timeoutMs: 9_000 },
  });
  const ends = new Set<string>();
  for (let i = 0; i < TIMES; i++) {
    const isolate = await opened(one);
    ends.add(await ask(isolate, one));
    await isolate.close(0);
  }
  expect([...ends].filter((end) => !['out-of-memory', 'turn-exceeded'].includes(end))).toEqual([]);
  expect(await until(() => wall.sandbox.cells().length <= 3, 5_000)).toBe(true);
});

test('a crowd of one publisher: so many to a cell and no more, each answers, and all ends with them', {
  timeout: 30_000 + CROWD * 200,
}, async () => {
  await using other = await cellWall({ spareCells: 1, startTimeout: '60s' });
  const one = calling('crowd', 'return 1', harmless);
  const all = await Promise.all(Array.from({ length: CROWD }, () => isolateOf(other.sandbox, one, 'shared')));
  const most = Math.max(...other.sandbox.cells().map(({ isolates }) => isolates));
  expect(most).toBeLessThanOrEqual(64);
  expect(other.sandbox.cells().filter(({ isolates }) => isolates > 0).length).toBeLessThanOrEqual(Math.ceil(CROWD / 64) + 1);
  expect(new Set(await Promise.all(all.map((isolate) => ask(isolate, one, 'well', 30_000))))).toEqual(new Set(['"well"']));
  const pids = new Set(all.map(({ cellPid }) => cellPid));
  await Promise.all(all.map((isolate) => isolate.close(0)));
  for (const pid of pids) expect(await until(() => !other.sandbox.cells().some((cell) => cell.pid === pid), 10_000)).toBe(true);
});

test('honest and heavy: 64 answers of 100 KB in flight at 32 MiB, again and again, and memory stays flat', async () => {
  const one = calling(
    'heavy',
    'return (async () => { await null; return { text: input.text, more: "y".repeat(1000) } })()',
    harmless,
    {
      limits: { maxConcurrent: 64, turnMs: 5_000, timeoutMs: 20_000 },
    },
  );
  const isolate = await opened(one);
  const memory = new MemoryWatch();
  const text = 'x'.repeat(100_000);
  const round = async () => {
    const answers = await Promise.all(Array.from({ length: 64 }, () => ask(isolate, one, { text }, 20_000)));
    expect(answers.every((answer) => answer.length > 100_000)).toBe(true);
  };
  for (let i = 0; i < 4; i++) await round();
  memory.follow(isolate.cellPid);
  for (let i = 0; i < 12; i++) await round();
  const peak = memory.letGo(isolate.cellPid);
  memory.stop();
  process.stdout.write(`heavy and honest: ${Math.round(peak / MIB)} MiB at most\n`);
  expect(peak).toBeLessThan((32 + 96) * MIB);
  await isolate.close(0);
});
