import { withDeadline } from '@cim/contracts';
import { describe, expect, test } from 'vitest';
import { manualClock, waitFor } from '../src/index.ts';

describe('manualClock', () => {
  test('fires what is due in order, and what firing adds', async () => {
    const clock = manualClock(1000);
    const seen: string[] = [];
    const note = (what: string) => () => void seen.push(`${what}@${clock.monotonic()}`);
    clock.after(30, note('c'));
    clock.after(10, () => {
      note('a')();
      clock.after(5, note('b'));
    });
    clock.after(31, note('never'));
    const tick = clock.every(20, note('tick'));
    await clock.advance(30);
    expect(seen).toEqual(['a@10', 'b@15', 'tick@20', 'c@30']);
    expect(clock.now()).toBe(1030);
    tick.cancel();
    await clock.advance(1);
    expect(seen.at(-1)).toBe('never@31');
    expect(clock.waiting()).toBe(0);
  });

  test('lets what a timer began go on before the next one is due', async () => {
    const clock = manualClock();
    const seen: number[] = [];
    const work = (async () => {
      for (let round = 0; round < 3; round++) {
        await clock.sleep(100);
        await Promise.resolve();
        seen.push(clock.monotonic());
      }
    })();
    await clock.advance(300);
    await work;
    expect(seen).toEqual([100, 200, 300]);
  });

  test('a sleep that is aborted leaves nothing behind', async () => {
    const clock = manualClock();
    const controller = new AbortController();
    const sleeping = clock.sleep(1_000, controller.signal);
    controller.abort(new Error('enough'));
    await expect(sleeping).rejects.toThrow('enough');
    expect(clock.waiting()).toBe(0);
    await expect(clock.sleep(1, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
  });

  test('carries deadlines', async () => {
    const clock = manualClock();
    const late = withDeadline(clock, 500, 'the work', () => new Promise(() => {}));
    const outcome = expect(late).rejects.toThrow('the work did not finish within 500 ms');
    await clock.advance(500);
    await outcome;
  });

  test('the wall clock can jump and lengths do not notice', async () => {
    const clock = manualClock(1_000_000);
    clock.set(5);
    expect(clock.monotonic()).toBe(0);
    await clock.advance(10);
    expect([clock.now(), clock.monotonic()]).toEqual([15, 10]);
  });
});

describe('waitFor', () => {
  test('gives the value', async () => {
    let asked = 0;
    expect(await waitFor(() => (++asked > 2 ? asked : undefined), 2_000, 'three')).toBe(3);
    expect(await waitFor(() => 0, 100, 'a zero')).toBe(0);
  });
  test('says what it waited for and why it was not there', async () => {
    const failing = waitFor(
      () => {
        throw new Error('not yet');
      },
      60,
      'the impossible',
    );
    await expect(failing).rejects.toMatchObject({ message: 'waited 60 ms for the impossible', cause: new Error('not yet') });
  });
});
