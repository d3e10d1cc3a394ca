/** Who keeps a core busy is put behind the others, once; a burst is not, and calm brings it back. */
import { expect, test } from 'vitest';
import { createStanding } from '../../src/sandbox/priority.ts';

function cell(refuse: (priority: number) => boolean = () => false) {
  const set: number[] = [];
  const standing = createStanding(
    () => 7,
    (pid, priority) => {
      expect(pid).toBe(7);
      if (refuse(priority)) throw new Error('EACCES');
      set.push(priority);
    },
  );
  const looks = (count: number, share: number) => {
    for (let i = 0; i < count; i++) standing.used(100 * share, 100);
  };
  return { set, standing, looks };
}

test('a burst of a tenth of a second changes nothing; a second at full load does, once', () => {
  const { set, looks } = cell();
  looks(1, 1);
  looks(20, 0);
  expect(set).toEqual([]);
  looks(50, 1);
  expect(set).toEqual([10]);
});

test('half a core is no hog; calm brings one back', () => {
  const { set, looks } = cell();
  looks(100, 0.45);
  expect(set).toEqual([]);
  looks(10, 1);
  looks(30, 0);
  expect(set).toEqual([10, 0]);
});

test('one long look counts for as many short ones', () => {
  const { set, standing } = cell();
  standing.used(1_000, 1_000);
  expect(set).toEqual([10]);
  standing.used(0, 5_000);
  expect(set).toEqual([10, 0]);
});

test('without the right to go back up it stays, and goes on', () => {
  const { set, looks } = cell((priority) => priority === 0);
  looks(10, 1);
  looks(50, 0);
  looks(10, 1);
  expect(set).toEqual([10, 10]);
});
