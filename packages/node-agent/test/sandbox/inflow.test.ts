/** What a cell may cost the daemon, by the clock of a test: slices, pauses, what answers earn. */
import type { Clock } from '@cim/contracts';
import { expect, test } from 'vitest';
import { frame } from '../../src/sandbox/frames.ts';
import { Inflow } from '../../src/sandbox/inflow.ts';
import { manualClock, settle } from '../supervise/manual-clock.ts';

/** A cell whose frames cost `costMs` of the daemon each, at this clock. */
function place(costMs: number, payload = 10_000) {
  const manual = manualClock();
  let worked = 0;
  const clock: Clock = { ...manual, monotonic: () => manual.monotonic() + worked };
  let listener: (chunk: Buffer) => void = () => {};
  const seen = { taken: 0, paused: false, held: [] as number[], failed: [] as string[] };
  const inflow = new Inflow({
    clock,
    source: {
      on: (_, given) => {
        listener = given;
      },
      pause: () => {
        seen.paused = true;
      },
      resume: () => {
        seen.paused = false;
      },
    },
    largest: 2 ** 20,
    take: ({ kind }) => {
      worked += costMs;
      seen.taken += 1;
      if (kind === 9) throw new Error('no such frame');
    },
    fail: ({ message }) => void seen.failed.push(message),
    held: (ms) => void seen.held.push(ms),
  });
  const frames = (count: number, kind = 1) =>
    Buffer.concat(Array.from({ length: count }, () => frame(kind, 1, 0, payload, (out, at) => out.fill(0, at))));
  return { inflow, seen, manual, send: (count: number, kind?: number) => listener(frames(count, kind)) };
}

test('cheap frames are all taken at once', async () => {
  const { seen, send } = place(0.001);
  send(500);
  expect(seen).toMatchObject({ taken: 500, paused: false, held: [] });
});

test('dear ones a slice at a time, with the rest of the daemon between', async () => {
  const { seen, send } = place(1);
  send(12);
  expect(seen.taken).toBeLessThan(8);
  expect(seen.paused).toBe(true);
  await settle();
  expect(seen).toMatchObject({ taken: 12, paused: false, held: [], failed: [] });
});

test('who has used up what it saved is not read until it has some again', async () => {
  const { seen, send, manual } = place(1);
  for (let i = 0; i < 40; i++) {
    send(10);
    await settle();
  }
  expect(seen.held.length).toBe(1);
  const { taken } = seen;
  expect(taken).toBeLessThan(400);
  expect(seen.paused).toBe(true);
  await manual.advance(5_000);
  expect(seen.taken).toBeGreaterThan(taken);
});

test('what is waited for pays for itself', async () => {
  const { seen, send, inflow } = place(1);
  for (let i = 0; i < 100; i++) {
    send(10);
    for (let k = 0; k < 10; k++) inflow.earned();
    await settle();
  }
  expect(seen).toMatchObject({ taken: 1_000, held: [] });
});

test('a daemon that was not let run does not charge it to the cell', async () => {
  // Each small frame takes a tenth of a second by the clock: the machine was busy elsewhere.
  const { seen, send } = place(100, 10);
  for (let i = 0; i < 100; i++) {
    send(1);
    await settle();
  }
  expect(seen).toMatchObject({ taken: 100, held: [] });
});

test('after a frame that cannot be, nothing more is taken', async () => {
  const { seen, send } = place(0.001);
  send(1, 9);
  send(5);
  await settle();
  expect(seen).toMatchObject({ taken: 1, failed: ['no such frame'] });
});

test('a length above the largest fails, and what came whole before it counts', () => {
  const { seen, send, inflow } = place(0.001, 2 ** 20 + 1);
  send(1);
  expect(seen).toMatchObject({ taken: 0, failed: [expect.stringContaining('at most')] });
  inflow.stop();
});
