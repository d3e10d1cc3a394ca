import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type Clock, DeadlineError, systemClock, waitUntil, withDeadline } from '../src/index.ts';
import { handClock } from './hand-clock.ts';

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

describe('the system’s clock', () => {
  it('tells wall time and a time that never goes back', async () => {
    expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1000);
    const before = systemClock.monotonic();
    await systemClock.sleep(2);
    expect(systemClock.monotonic()).toBeGreaterThan(before);
  });

  it('sleeps, and leaves neither timer nor listener behind (T2)', async () => {
    const { signal } = new AbortController();
    const before = timers();
    await systemClock.sleep(1, signal);
    expect([timers(), listeners(signal)]).toEqual([before, 0]);
  });

  it('wakes at once when aborted, with the reason, and leaves neither timer nor listener behind (T2)', async () => {
    const controller = new AbortController();
    const before = timers();
    const sleeps = [systemClock.sleep(60_000, controller.signal), systemClock.sleep(60_000, controller.signal)];
    expect(timers()).toBe(before + 2);
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await Promise.allSettled(sleeps)).toEqual([
      { status: 'rejected', reason },
      { status: 'rejected', reason },
    ]);
    expect([timers(), listeners(controller.signal)]).toEqual([before, 0]);
  });

  it('does not begin to sleep for a signal that is over', async () => {
    const before = timers();
    await expect(systemClock.sleep(60_000, AbortSignal.abort(new Error('over')))).rejects.toThrow('over');
    expect(timers()).toBe(before);
  });

  it('takes lengths Node would misread: below zero is now, above 2^31 is long, not at once', async () => {
    await systemClock.sleep(-5);
    let fired = 0;
    const far = [systemClock.after(2 ** 40, () => fired++), systemClock.every(2 ** 40, () => fired++)];
    await systemClock.sleep(5);
    for (const timer of far) timer.cancel();
    expect(fired).toBe(0);
  });

  it('fires once after a while, every while, and not when taken back (twice is once)', async () => {
    const controller = new AbortController();
    const seen: string[] = [];
    const once = systemClock.after(1, () => seen.push('once'));
    const never = systemClock.after(1, () => seen.push('never'));
    never.cancel();
    never.cancel();
    const often = systemClock.every(1, () => seen.push('often'));
    expect(
      await waitUntil(systemClock, 5_000, () => seen.filter((word) => word === 'often').length >= 3, 1, controller.signal),
    ).toBe(true);
    often.cancel();
    once.cancel();
    const count = seen.length;
    await systemClock.sleep(10);
    expect(seen).toHaveLength(count);
    expect(seen.filter((word) => word === 'once')).toHaveLength(1);
    expect(seen).not.toContain('never');
  });
});

describe.each<[string, () => Clock & { turn?(ms: number): Promise<void> }]>([
  ['by hand', handClock],
  ['of the system', () => systemClock],
])('withDeadline, clock %s', (_, make) => {
  it('gives what the work gives, and takes its timer back', async () => {
    const clock = make();
    const before = timers();
    expect(await withDeadline(clock, 60_000, 'work', async () => 7)).toBe(7);
    await expect(withDeadline(clock, 60_000, 'work', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(
      withDeadline(clock, 60_000, 'work', () => {
        throw new Error('at once');
      }),
    ).rejects.toThrow('at once');
    expect(timers()).toBe(before);
    if ('pending' in clock) expect((clock as ReturnType<typeof handClock>).pending()).toBe(0);
  });

  it('aborts the work at the deadline and says what did not finish', async () => {
    const clock = make();
    const before = timers();
    let aborted: unknown;
    const waiting = withDeadline(clock, 5, 'the backup', (signal) => {
      signal.addEventListener('abort', () => {
        aborted = signal.reason;
      });
      return new Promise(() => {});
    });
    const outcome = waiting.catch((error: unknown) => error);
    await clock.turn?.(5);
    const error = await outcome;
    expect(error).toBeInstanceOf(DeadlineError);
    expect(error).toMatchObject({ message: 'the backup did not finish within 5 ms', what: 'the backup', ms: 5 });
    expect(aborted).toBe(error);
    expect(timers()).toBe(before);
  });

  it('work that fails after its deadline troubles nobody', async () => {
    const clock = make();
    const waiting = withDeadline(
      clock,
      5,
      'work',
      (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('late')))),
    ).catch((error: unknown) => error);
    await clock.turn?.(5);
    expect(await waiting).toBeInstanceOf(DeadlineError);
  });
});

describe('waitUntil', () => {
  it('asks at once and needs no time for what is so already', async () => {
    const clock = handClock();
    expect(await waitUntil(clock, 0, () => true)).toBe(true);
    expect(clock.pending()).toBe(0);
  });

  it('asks again every while until it is so', async () => {
    const clock = handClock();
    let asked = 0;
    const waiting = waitUntil(clock, 1_000, async () => ++asked === 4, 100);
    await clock.turn(300);
    expect(await waiting).toBe(true);
    expect([asked, clock.now(), clock.pending()]).toEqual([4, 300, 0]);
  });

  it('gives up at the deadline, not a step behind it, after asking one last time', async () => {
    const clock = handClock();
    const asked: number[] = [];
    const waiting = waitUntil(clock, 250, () => void asked.push(clock.now()) as unknown as boolean, 100);
    await clock.turn(250);
    expect(await waiting).toBe(false);
    expect(asked).toEqual([0, 100, 200, 250]);
    expect(clock.pending()).toBe(0);
  });

  it('ends when it is aborted, and passes on what the question throws', async () => {
    const clock = handClock();
    const controller = new AbortController();
    const waiting = waitUntil(clock, 1_000, () => false, 100, controller.signal);
    await clock.turn(50);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(clock.pending()).toBe(0);
    await expect(waitUntil(clock, 1_000, () => Promise.reject(new Error('asked wrongly')))).rejects.toThrow('asked wrongly');
  });
});
