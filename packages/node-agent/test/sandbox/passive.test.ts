/** Passivation: with a clock turned by hand and a sandbox of plain functions; then once with real cells. */
import { Fault, silentLogger, systemClock } from '@cim/contracts';
import { afterEach, expect, test } from 'vitest';
import { passivating } from '../../src/sandbox/passive.ts';
import type { Isolate, Sandbox } from '../../src/sandbox/sandbox.ts';
import { fakeSandbox } from '../supervise/fake-sandbox.ts';
import { manualClock, settle } from '../supervise/manual-clock.ts';
import { ask, doorOf, faultFrom, openOf, sandboxOf, soon } from './fixture.ts';

const AFTER_MS = 60_000;
const options = openOf({ source: 'return 1', manifest: { subscribe: ['news.>'], schedule: { tick: { every: '1h' } } } });

async function house() {
  const clock = manualClock();
  const fake = fakeSandbox();
  const sandbox = passivating(fake, { clock, log: silentLogger, afterMs: AFTER_MS });
  await sandbox.start();
  const isolate = await sandbox.open(options);
  const asleep = async () => {
    await clock.advance(AFTER_MS * 1.5);
    await settle();
    expect(isolate.asleep).toBe(true);
  };
  return { clock, fake, sandbox, isolate, asleep };
}

const call = (isolate: Isolate, budgetMs = 1_000) =>
  isolate.call({ callId: 'c', capability: 't.do', input: '1', budgetMs, correlationId: 'c' });

test('idle, it is closed; the next call opens it again and is answered', async () => {
  const { fake, isolate, asleep } = await house();
  await call(isolate);
  await asleep();
  expect(fake.living()).toHaveLength(0);
  expect(await call(isolate)).toContain('probe@1.0.0');
  expect(isolate.asleep).toBe(false);
  expect(fake.opened).toHaveLength(2);
});

test('calls, messages and runs that find it asleep wait for one opening, and none is lost', async () => {
  const { fake, isolate, asleep } = await house();
  await asleep();
  const gate = Promise.withResolvers<void>();
  fake.opening = () => gate.promise;
  const work = [call(isolate), call(isolate), isolate.message('news.>', 'news.x', '1'), isolate.run('tick')];
  await settle();
  gate.resolve();
  await Promise.all(work);
  expect(fake.opened).toHaveLength(2);
  const [, woken] = fake.opened;
  expect([woken!.calls.length, woken!.messages.length, woken!.runs.length]).toEqual([2, 1, 1]);
});

test('a call that arrives while it falls asleep waits for the end of that, and then for the new one', async () => {
  const { clock, fake, isolate } = await house();
  const closed = Promise.withResolvers<void>();
  const close = fake.opened[0]!.close;
  fake.opened[0]!.close = async (deadlineMs) => {
    await closed.promise;
    await close(deadlineMs);
  };
  await clock.advance(AFTER_MS * 1.5);
  const answer = call(isolate);
  await settle();
  expect(fake.opened).toHaveLength(1);
  closed.resolve();
  expect(await answer).toContain('probe');
  expect(fake.opened).toHaveLength(2);
});

test('what is at work is not put to sleep, and its idle time begins at its end', async () => {
  const { clock, fake, isolate } = await house();
  fake.hold = true;
  const answer = call(isolate, 10 * AFTER_MS);
  await clock.advance(3 * AFTER_MS);
  expect(isolate.asleep).toBe(false);
  fake.opened[0]!.release();
  await answer;
  await clock.advance(AFTER_MS / 2);
  expect(isolate.asleep).toBe(false);
  await clock.advance(AFTER_MS);
  await settle();
  expect(isolate.asleep).toBe(true);
});

test('a health probe neither wakes it nor keeps it awake', async () => {
  const { clock, fake, isolate } = await house();
  for (let i = 0; i < 12; i++) {
    await isolate.health();
    await clock.advance(AFTER_MS / 8);
  }
  await settle();
  expect(isolate.asleep).toBe(true);
  await isolate.health();
  expect(fake.opened).toHaveLength(1);
});

test('a wait longer than the call has ends with its deadline; the opening goes on for the next', async () => {
  const { clock, fake, isolate, asleep } = await house();
  await asleep();
  const gate = Promise.withResolvers<void>();
  fake.opening = () => gate.promise;
  const late = faultFrom(call(isolate, 50));
  await clock.advance(60);
  expect((await late).code).toBe('deadline-exceeded');
  gate.resolve();
  expect(await call(isolate)).toContain('probe');
  expect(fake.opened).toHaveLength(2);
});

test('a start that fails fails what waited and ends the replica', async () => {
  const { fake, isolate, asleep } = await house();
  await asleep();
  fake.opening = () => {
    throw new Fault('start-failed', 'start: no');
  };
  expect((await faultFrom(call(isolate))).code).toBe('start-failed');
  expect(await isolate.exited).toMatchObject({ kind: 'faulted' });
  expect((await faultFrom(call(isolate))).code).toBe('workload-not-ready');
});

test('closed while asleep or while it wakes, nothing of it is left', async () => {
  const one = await house();
  await one.asleep();
  await one.isolate.close(1_000);
  expect(await one.isolate.exited).toEqual({ kind: 'closed' });

  const two = await house();
  await two.asleep();
  const gate = Promise.withResolvers<void>();
  two.fake.opening = () => gate.promise;
  const answer = faultFrom(call(two.isolate));
  await settle();
  const closing = two.isolate.close(1_000);
  gate.resolve();
  await closing;
  await settle();
  expect(await two.isolate.exited).toEqual({ kind: 'closed' });
  expect((await answer).code).toBe('workload-not-ready');
  expect(two.fake.living()).toHaveLength(0);
});

test('an end nobody asked for, awake, is told as ever', async () => {
  const { fake, isolate } = await house();
  fake.opened[0]!.end({ kind: 'out-of-memory', detail: 'too much' });
  expect(await isolate.exited).toEqual({ kind: 'out-of-memory', detail: 'too much' });
});

let sandbox: Sandbox | undefined;
afterEach(() => sandbox?.stop(0));

const HOOKS = `
  let calls = 0;
  export default { kind: 'agent', api: 1,
    start(ctx) { ctx.log.info('started'); }, stop(ctx) { ctx.log.info('stopped'); },
    capabilities: { 't.do': { handle(input) {
      if (input === 'timer') setTimeout(() => {}, 3600000);
      return ++calls;
    } } } };`;

test('real cells: hooks run at every sleep and waking, memory goes back, a timer keeps it awake', {
  timeout: 60_000,
}, async () => {
  sandbox = sandboxOf({ spareCells: 1, passivateAfter: '300ms' });
  await sandbox.start();
  const { door, logs } = doorOf();
  const hooks = { start: true, stop: true, health: false };
  const isolate = await sandbox.open(openOf({ source: HOOKS, manifest: { hooks } }, { host: door }));
  const said = () => logs.map(({ message }) => message);
  expect(await ask(isolate)).toBe(1);
  const { cellPid } = isolate;
  expect(await soon(() => isolate.asleep === true, 20_000)).toBe(true);
  expect(said()).toEqual(['started', 'stopped']);
  // Alone in its cell: the process is given back.
  expect(await soon(() => !sandbox!.cells().some(({ pid }) => pid === cellPid), 10_000)).toBe(true);

  expect(await Promise.all([ask(isolate), ask(isolate), ask(isolate)])).toEqual([1, 2, 3]);
  expect(said()).toEqual(['started', 'stopped', 'started']);

  expect(await ask(isolate, 'timer')).toBe(4);
  const from = systemClock.monotonic();
  await soon(() => systemClock.monotonic() - from > 1_500 || isolate.asleep === true, 10_000);
  expect(isolate.asleep).toBe(false);
  expect(await ask(isolate)).toBe(5);
});
