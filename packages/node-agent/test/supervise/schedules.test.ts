/** Work on the clock: when it is due, that it never overlaps, and what a new version changes. */
import { Fault, silentLogger } from '@cim/contracts';
import { beforeEach, expect, test } from 'vitest';
import { createSchedules, nextDue, type Schedules } from '../../src/supervise/schedules.ts';
import { type ManualClock, manualClock, settle } from './manual-clock.ts';

let clock: ManualClock;
let schedules: Schedules;
let runs: string[];
beforeEach(() => {
  clock = manualClock(Date.UTC(2025, 0, 1, 11, 58, 30));
  schedules = createSchedules({ clock, log: silentLogger });
  runs = [];
});
const at = () => new Date(clock.now()).toISOString().slice(11, 19);
const run = async (entry: string) => void runs.push(`${entry} ${at()}`);

test.each([
  ['*/5 * * * *', '2025-01-01T11:58:30Z', '2025-01-01T12:00:00Z'],
  ['0 3 * * *', '2025-01-01T11:58:30Z', '2025-01-02T03:00:00Z'],
  ['0 0 29 2 *', '2025-01-01T00:00:00Z', '2028-02-29T00:00:00Z'],
])('cron %s is due in UTC', (cron, from, due) => {
  expect(new Date(Date.parse(from) + nextDue({ cron }, Date.parse(from))).toISOString()).toBe(new Date(due).toISOString());
});

test.each(['61 * * * *', 'often', '* * * * * *', '0 0 30 2 *'])('cron %s is refused', (cron) => {
  expect(() => nextDue({ cron }, 0)).toThrow(Fault);
});

test('every and cron side by side, a bad one keeps no good one from running', async () => {
  schedules.set('agent.a', { beat: { every: '1m' }, noon: { cron: '0 12 * * *' }, bad: { cron: '99 * * * *' } }, run);
  await clock.advance(180_000);
  expect(runs).toEqual(['beat 11:59:30', 'noon 12:00:00', 'beat 12:00:30', 'beat 12:01:30']);
});

test('a far date is reached in steps, and does not fire early', async () => {
  schedules.set('agent.a', { nightly: { cron: '0 3 * * *' } }, run);
  await clock.advance(15 * 3_600_000);
  expect(runs).toEqual([]);
  await clock.advance(3_600_000);
  expect(runs).toEqual(['nightly 03:00:00']);
});

test('one at a time: what comes due meanwhile runs after, once', async () => {
  const gates: PromiseWithResolvers<void>[] = [];
  schedules.set('agent.a', { slow: { every: '10s' }, other: { every: '15s' } }, async (entry) => {
    runs.push(entry);
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    await gate.promise;
  });
  await clock.advance(60_000);
  expect(runs).toEqual(['slow']);
  gates[0]!.resolve();
  await settle();
  expect(runs.length).toBe(2);
  gates[1]!.resolve();
  await settle();
  gates[2]!.resolve();
  await settle();
  expect(runs).toEqual(['slow', 'other', 'slow']);
});

test('a run that fails does not end the beat', async () => {
  schedules.set('agent.a', { beat: { every: '1s' } }, async (entry) => {
    runs.push(entry);
    throw new Error('no');
  });
  await clock.advance(3000);
  expect(runs.length).toBe(3);
});

test('a new version keeps the beat of what did not change, and the rest goes or comes', async () => {
  schedules.set('agent.a', { beat: { every: '10s' }, gone: { every: '1s' }, other: { every: '1h' } }, run);
  await clock.advance(7000);
  runs.length = 0;
  schedules.set('agent.a', { beat: { every: '10s' }, other: { every: '2s' } }, async (entry) => void runs.push(`new ${entry}`));
  await clock.advance(3000);
  expect(runs).toEqual(['new other', 'new beat']);
  schedules.clear('agent.a');
  schedules.clear('agent.a');
  expect(clock.pending()).toBe(0);
});
