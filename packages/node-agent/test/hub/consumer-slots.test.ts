import { expect, test } from 'vitest';
import { createConsumerSlots } from '../../src/hub/consumer-slots.ts';

test('a number is lent to one at a time, in the order of asking; who gives up is passed over', async () => {
  const slots = createConsumerSlots(1);
  const never = new AbortController().signal;
  const first = await slots.take(never);
  const order: string[] = [];
  const second = slots.take(never).then((slot) => {
    order.push('second');
    return slot;
  });
  const gaveUp = new AbortController();
  const third = slots.take(gaveUp.signal);
  const fourth = slots.take(never).then((slot) => {
    order.push('fourth');
    return slot;
  });
  gaveUp.abort(new Error('enough'));
  await expect(third).rejects.toThrow('enough');
  await Promise.resolve();
  expect(order).toEqual([]);
  first.release();
  expect((await second).number).toBe(0);
  expect(order).toEqual(['second']);
  (await second).release();
  expect((await fourth).number).toBe(0);
  await expect(slots.take(AbortSignal.abort(new Error('late')))).rejects.toThrow('late');
});

test('numbers go from the lowest, and the lowest that is free goes first again', async () => {
  const slots = createConsumerSlots(3);
  const { signal } = new AbortController();
  const taken = [await slots.take(signal), await slots.take(signal), await slots.take(signal)];
  expect(taken.map(({ number }) => number)).toEqual([0, 1, 2]);
  taken[1]!.release();
  expect((await slots.take(signal)).number).toBe(1);
});
