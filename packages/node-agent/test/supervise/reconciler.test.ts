/** The loop alone: coalescing, no overlap, waiting for what is due, surviving a pass that throws. */
import { silentLogger } from '@cim/contracts';
import { beforeEach, expect, test } from 'vitest';
import type { Seen, Step, Wanted } from '../../src/core/plan.ts';
import { createReconciler, type Reconciler } from '../../src/supervise/reconciler.ts';
import { type ManualClock, manualClock, settle } from './manual-clock.ts';

let clock: ManualClock;
let reconciler: Reconciler;
let passes: Step[][];
let seen: Seen[];
let during: () => void;
const wanted: Wanted[] = [{ key: 'agent.a', state: 'running', edition: 'e1', replicas: 1 }];

beforeEach(() => {
  clock = manualClock();
  passes = [];
  seen = [];
  during = () => {};
  reconciler = createReconciler({
    desired: () => [],
    supervisor: {
      want: () => {},
      wanted: () => wanted,
      observed: () => seen,
      apply(steps) {
        passes.push([...steps]);
        during();
      },
    },
    capacity: () => ({ memoryBytes: 1e9, milliCpu: 1e6, replicas: 10 }),
    clock,
    log: silentLogger,
  });
});

test('wakes that come together are one pass; one during a pass is another', async () => {
  for (let i = 0; i < 100; i++) reconciler.wake('replica');
  await settle();
  expect(passes.length).toBe(1);
  during = () => {
    during = () => {};
    reconciler.wake('replica');
    // Not from within the pass that is on.
    expect(passes.length).toBe(2);
  };
  reconciler.wake('desired');
  await settle();
  expect(passes.length).toBe(3);
});

test('looks again when something is due, and rests when nothing is', async () => {
  const edition = { edition: 'e1', bundle: 'here', demand: { memoryBytes: 1, milliCpu: 0 }, failures: 1 } as const;
  seen = [{ key: 'agent.a', serving: undefined, editions: [{ ...edition, hold: { kind: 'until', at: 5000 } }], replicas: [] }];
  reconciler.wake('start');
  await clock.advance(4999);
  expect(passes).toEqual([[{ kind: 'wait', until: 5000 }]]);
  during = () => {
    seen = [{ ...seen[0]!, editions: [{ ...edition, hold: { kind: 'given-up', verdict: 'failed' } }] }];
  };
  await clock.advance(60_000);
  expect(passes.map((steps) => steps.map(({ kind }) => kind))).toEqual([['wait'], ['start']]);
  reconciler.wake('timer');
  await settle();
  expect([passes.length, clock.pending()]).toEqual([3, 0]);
});

test('a pass that throws is tried again', async () => {
  during = () => {
    during = () => {};
    throw new Error('bug');
  };
  reconciler.wake('start');
  await clock.advance(1000);
  expect(passes.length).toBe(2);
});

test('planning gives way: after a long pass the next one waits three times as long', async () => {
  // A pass that takes 40 ms, on a clock that stands still otherwise.
  let turned = 0;
  const { monotonic } = clock;
  clock.monotonic = () => monotonic() + turned;
  during = () => {
    during = () => {};
    turned += 40;
    reconciler.wake('again');
  };
  reconciler.wake('start');
  await settle();
  expect(passes.length).toBe(1);
  await clock.advance(119);
  expect(passes.length).toBe(1);
  await clock.advance(1);
  expect(passes.length).toBe(2);
});

test('stopped is stopped', async () => {
  reconciler.wake('start');
  reconciler.stop();
  reconciler.wake('start');
  await clock.advance(10_000);
  expect([passes, clock.pending()]).toEqual([[], 0]);
});
