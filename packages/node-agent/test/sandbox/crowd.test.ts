/** A crowd of agents of one publisher, with real cells: all answer, they share few processes, each takes little, and all of it comes back. */
import { readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import type { Isolate, Sandbox } from '../../src/sandbox/sandbox.ts';
import { ask, faultFrom, openOf, sandboxOf, soon } from './fixture.ts';

const COUNT = 130;
/** Where a process stands alone in a shared cell: the bar is 3 MiB each, the goal 1.5. */
const MOST_EACH_MIB = 3;

const pssMib = (pid: number) =>
  Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))![1]) / 1024;

let sandbox: Sandbox | undefined;
afterEach(() => sandbox?.stop(0));

test(`${COUNT} shared agents`, { timeout: 120_000 }, async () => {
  sandbox = sandboxOf({ spareCells: 1, startTimeout: '60s' });
  await sandbox.start();
  const open = (i: number) =>
    sandbox!.open({
      ...openOf({ source: `return input + ${i};` }, { isolation: 'shared' }),
      id: { instance: 'cim-test-001', kind: 'agent', name: `crowd-${i}`, version: '1.0.0', replica: 0 },
    });
  const used = () => sandbox!.cells().filter(({ publisher }) => publisher !== undefined);
  // What a cell takes for itself is not an agent's.
  const first = await open(0);
  expect(await ask(first, 1)).toBe(1);
  const before = pssMib(used()[0]!.pid);

  const rest = await Promise.all(Array.from({ length: COUNT - 1 }, (_, i) => open(i + 1)));
  const all: readonly Isolate[] = [first, ...rest];
  const answers = await Promise.all(all.map((isolate) => ask(isolate, 1_000)));
  expect(answers).toEqual(all.map((_, i) => 1_000 + i));

  const cells = used();
  expect(cells.length).toBe(Math.ceil(COUNT / 64));
  expect(Math.max(...cells.map(({ isolates }) => isolates))).toBeLessThanOrEqual(64);
  const whole = cells.reduce((sum, { pid }) => sum + pssMib(pid), 0);
  expect((whole - cells.length * before) / (COUNT - cells.length)).toBeLessThan(MOST_EACH_MIB);

  await Promise.all(all.map((isolate) => isolate.close(5_000)));
  expect(await soon(() => used().length === 0, 10_000)).toBe(true);
});

test('those that load for ever are ended for it, and who waited behind them is not', { timeout: 60_000 }, async () => {
  sandbox = sandboxOf({ spareCells: 1, startTimeout: '10s' });
  await sandbox.start();
  const limits = { turnMs: 300 };
  const slow = Array.from({ length: 4 }, () =>
    faultFrom(sandbox!.open(openOf({ source: 'export default 1; for (;;);' }, { isolation: 'shared', limits }))),
  );
  const honest = Array.from({ length: 4 }, () =>
    sandbox!.open(openOf({ source: 'return input;' }, { isolation: 'shared', limits })),
  );
  expect((await Promise.all(slow)).map(({ code }) => code)).toEqual(Array(4).fill('turn-exceeded'));
  const opened = await Promise.all(honest);
  expect(await Promise.all(opened.map((isolate, i) => ask(isolate, i)))).toEqual([0, 1, 2, 3]);
});

test('what starting and opening left behind is given back in a moment of calm, and calls go on', {
  timeout: 60_000,
}, async () => {
  sandbox = sandboxOf({ spareCells: 1 });
  await sandbox.start();
  const isolate = await sandbox.open(openOf({ source: 'return input;' }, { isolation: 'dedicated' }));
  expect(await ask(isolate, 1)).toBe(1);
  const before = pssMib(isolate.cellPid);
  // The engine's own reducer begins after eight seconds: what is gone before that is our doing.
  expect(await soon(() => pssMib(isolate.cellPid) < before - 1.5, 6_000)).toBe(true);
  expect(await ask(isolate, 2)).toBe(2);
});
