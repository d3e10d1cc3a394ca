/** What the set-up takes for good is what the registry takes for good. */
import { leafLimitsKept } from '@cim/contracts';
import { expect, test } from 'vitest';
import { judgeVersion } from '../place/server-version.mjs';

test('keeps leaves to their limits: the rule of packages/contracts, at every version around each floor', () => {
  const versions = [0, 1, 2, 3].flatMap((major) =>
    [0, 2, 9, 10, 11, 12, 13, 14, 15, 20].flatMap((minor) =>
      [0, 6, 7, 15, 16, 27].map((patch) => `${major}.${minor}.${patch}`),
    ),
  );
  for (const version of versions)
    expect([version, judgeVersion(`nats-server: v${version}`)?.keeps]).toEqual([version, leafLimitsKept(version)]);
});

test('what programs say', () => {
  expect(judgeVersion('nats-server: v2.10.27\n')).toEqual({ version: '2.10.27', fit: true, keeps: false });
  expect(judgeVersion('nats-server: v2.15.1')).toEqual({ version: '2.15.1', fit: true, keeps: true });
  expect(judgeVersion('nats-server: v2.14.0-RC.2')).toEqual({ version: '2.14.0-RC.2', fit: true, keeps: true });
  expect(judgeVersion('nats-server: v2.9.10')).toMatchObject({ fit: false });
  expect(judgeVersion('nothing of the kind')).toBeUndefined();
});
