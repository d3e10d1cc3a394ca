/** Limits that were run into: an event at once, then one for many; all counted. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { LIMITS } from '../../src/core/limit-names.ts';
import { createLimitHits } from '../../src/host/limit-hits.ts';
import { manualClock } from '../supervise/manual-clock.ts';

const setUp = () => {
  const clock = manualClock();
  const told: [string, Record<string, unknown>, string][] = [];
  const counted: [string, string, number][] = [];
  const hits = createLimitHits({
    clock,
    emit: (...event) => void told.push(event),
    count: (...count) => void counted.push(count),
  });
  return { clock, told, counted, hits };
};
const id = { kind: 'agent', name: 'a', version: '1.0.0', replica: 0 } as const;

test('the first is told at once, a flood once in ten seconds with its number', async () => {
  const { clock, told, counted, hits } = setUp();
  for (let i = 0; i < 100_000; i += 1) hits.hit(id, 'kv-rate', `hit ${i}`);
  expect(told).toEqual([
    ['agent.limit-hit', { limit: 'kv-rate', detail: 'hit 0', hits: 1, version: '1.0.0', replica: 0 }, 'a'],
  ]);
  expect(counted.length).toBe(100_000);
  await clock.advance(9_999);
  expect(told.length).toBe(1);
  await clock.advance(1);
  expect(told[1]).toEqual(['agent.limit-hit', expect.objectContaining({ detail: 'hit 99999', hits: 99_999 }), 'a']);
  // It goes on: not told at once again. Then it is quiet, and the next is.
  hits.hit(id, 'kv-rate', 'on', 5);
  expect(told.length).toBe(2);
  await clock.advance(10_000);
  expect(told[2]![1]).toMatchObject({ hits: 5 });
  await clock.advance(10_000);
  hits.hit(id, 'kv-rate', 'anew');
  expect(told.length).toBe(4);
});

test('limits and workloads are told apart', () => {
  const { told, hits } = setUp();
  hits.hit(id, 'kv-rate', 'x');
  hits.hit(id, 'timers', 'x');
  hits.hit({ ...id, kind: 'service' }, 'timers', 'x');
  hits.hit({ kind: 'agent', name: 'b' }, 'queue', 'x');
  expect(told.map(([type, { limit }, name]) => [type, limit, name])).toEqual([
    ['agent.limit-hit', 'kv-rate', 'a'],
    ['agent.limit-hit', 'timers', 'a'],
    ['service.limit-hit', 'timers', 'a'],
    ['agent.limit-hit', 'queue', 'b'],
  ]);
});

test('what was not told yet is told at the end, and no timer is left', async () => {
  const { clock, told, hits } = setUp();
  hits.hit(id, 'kv-rate', 'x');
  hits.hit(id, 'kv-rate', 'y', 3);
  hits.stop();
  expect(told.length).toBe(2);
  expect(told[1]![1]).toMatchObject({ hits: 3, detail: 'y' });
  await clock.advance(60_000);
  expect(told.length).toBe(2);
});

test('every limit is in the table authors read', () => {
  const page = readFileSync(new URL('../../../../docs/writing-agents.md', import.meta.url), 'utf8');
  for (const limit of LIMITS) expect(page).toMatch(new RegExp(`^\\| .*\`${limit}\``, 'm'));
});
