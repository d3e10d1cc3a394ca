import { describe, expect, it } from 'vitest';
import { type Part, startParts } from '../src/index.ts';
import { handClock } from './hand-clock.ts';

/** Parts that write down what happens to them. */
function parts(log: string[], names: readonly string[], odd: Record<string, Partial<Part>> = {}): Part[] {
  return names.map((name) => ({
    name,
    start: async () => void log.push(`start ${name}`),
    stop: async (deadline) => void log.push(`stop ${name} ${deadline}`),
    ...odd[name],
  }));
}
const never = () => new Promise<void>(() => {});

describe('startParts', () => {
  it('starts in order, each after the one before is up, and stops in reverse (L1, L2)', async () => {
    const log: string[] = [];
    const clock = handClock();
    const slow = { start: () => clock.sleep(10).then(() => void log.push('start b')) };
    const starting = startParts(clock, parts(log, ['a', 'b', 'c'], { b: slow }));
    await clock.turn(0);
    expect(log).toEqual(['start a']);
    await clock.turn(10);
    const running = await starting;
    expect(await running.stop(1_000)).toEqual({ late: [], failed: [] });
    expect(log).toEqual(['start a', 'start b', 'start c', 'stop c 1000', 'stop b 1000', 'stop a 1000']);
    expect(clock.pending()).toBe(0);
  });

  it('unwinds what was started when a part fails, in reverse, and throws its failure (L1)', async () => {
    const log: string[] = [];
    const failure = new Error('port in use');
    const odd = { c: { start: () => Promise.reject(failure) } };
    await expect(startParts(handClock(), parts(log, ['a', 'b', 'c', 'd'], odd), 700)).rejects.toBe(failure);
    expect(log).toEqual(['start a', 'start b', 'stop b 700', 'stop a 700']);
  });

  it('throws the failure of the start, whatever goes wrong while unwinding', async () => {
    const log: string[] = [];
    const clock = handClock();
    const odd = {
      b: { stop: () => Promise.reject(new Error('stuck')) },
      c: { stop: never },
      d: {
        start() {
          throw new Error('the first cause');
        },
      },
    };
    const starting = startParts(clock, parts(log, ['a', 'b', 'c', 'd'], odd), 500).catch((error: unknown) => error);
    await clock.turn(500);
    expect(await starting).toMatchObject({ message: 'the first cause' });
    expect(log).toContain('stop a 250');
    expect(clock.pending()).toBe(0);
  });

  it('reports a part that is late and one that fails, and stops the rest all the same (L2)', async () => {
    const log: string[] = [];
    const clock = handClock();
    const error = new Error('stuck');
    const odd = {
      b: { stop: () => Promise.reject(error) },
      c: { stop: never },
      d: {
        stop() {
          throw error;
        },
      },
    };
    const running = await startParts(clock, parts(log, ['a', 'b', 'c', 'd', 'e'], odd));
    const stopping = running.stop(1_000);
    await clock.turn(1_000);
    expect(await stopping).toEqual({
      late: ['c'],
      failed: [
        { name: 'd', error },
        { name: 'b', error },
      ],
    });
    expect(log.filter((line) => line.startsWith('stop'))).toEqual(['stop e 1000', 'stop a 250']);
  });

  it('keeps one deadline for all: what one part uses up, the others do not have', async () => {
    const log: string[] = [];
    const clock = handClock();
    const slow = { c: { stop: (deadline: number) => clock.sleep(600).then(() => void log.push(`stop c ${deadline}`)) } };
    const running = await startParts(clock, parts(log, ['a', 'b', 'c'], slow));
    const stopping = running.stop(1_000);
    await clock.turn(1_000);
    await stopping;
    expect(log.slice(3)).toEqual(['stop c 1000', 'stop b 400', 'stop a 400']);
  });

  it('ends in bounded time when every part hangs', async () => {
    const clock = handClock();
    const names = ['a', 'b', 'c', 'd'];
    const running = await startParts(clock, parts([], names, Object.fromEntries(names.map((name) => [name, { stop: never }]))));
    const stopping = running.stop(1_000);
    await clock.turn(1_000 + 3 * 250);
    expect(await stopping).toEqual({ late: ['d', 'c', 'b', 'a'], failed: [] });
    expect(clock.pending()).toBe(0);
  });

  it('stopped twice is stopped once, with the same report (L3)', async () => {
    const log: string[] = [];
    const running = await startParts(handClock(), parts(log, ['a']));
    const [one, other] = [running.stop(1_000), running.stop(5)];
    expect(await one).toBe(await other);
    expect(await running.stop(9)).toBe(await one);
    expect(log).toEqual(['start a', 'stop a 1000']);
  });

  it('of nothing runs and stops', async () => {
    expect(await (await startParts(handClock(), [])).stop(0)).toEqual({ late: [], failed: [] });
  });
});
