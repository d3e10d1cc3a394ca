/** The closing lines of a test run: what failed is counted and said, whatever way it failed. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import Tally, { lineOf } from '../tally.mjs';

let folder;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cim-tally-'));
  vi.stubEnv('CIM_TALLY', join(folder, 'tally.json'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

const one = (fullName, state, errors, retryCount = 0) => ({
  fullName,
  result: () => ({ state, errors }),
  diagnostic: () => ({ retryCount }),
});
const file = (relativeModuleId, tests, errors = [], suites = []) => ({
  relativeModuleId,
  children: { allTests: () => tests, allSuites: () => suites },
  errors: () => errors,
});

/** What a run of these files leaves and says. */
function told(modules, unhandled = []) {
  const tally = new Tally();
  const once = vi.spyOn(process, 'once').mockReturnThis();
  tally.onInit();
  const end = once.mock.calls[0][1];
  once.mockRestore();
  tally.onTestRunEnd(modules, unhandled);
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  end();
  const said = write.mock.calls.map(([text]) => text).join('');
  write.mockRestore();
  return { said, counts: JSON.parse(readFileSync(process.env.CIM_TALLY, 'utf8')) };
}

test('each way to fail is a failure of its file, named with what was wrong', () => {
  const { said, counts } = told(
    [
      file('a', [one('well', 'passed'), one('bad', 'failed', [{ message: 'no\nmore', stacks: [{ file: 'a.ts', line: 3 }] }])]),
      file('b', [one('cut short', 'pending'), one('left out', 'skipped')]),
      file('c', [], [{ message: 'cannot load' }], [{ errors: () => [{ message: 'a hook' }] }]),
    ],
    [{ message: 'nobody saw it' }],
  );
  expect(counts).toEqual({
    '': { passed: 0, failed: 1, skipped: 0 },
    a: { passed: 1, failed: 1, skipped: 0 },
    b: { passed: 0, failed: 1, skipped: 1 },
    c: { passed: 0, failed: 2, skipped: 0 },
  });
  expect(said.split('\n')).toEqual([
    'FAILED nobody caught nobody saw it',
    'FAILED a > bad: no (a.ts:3)',
    'FAILED b > cut short: did not end',
    'FAILED c: cannot load',
    'FAILED c: a hook',
    '1 passed, 5 failed, 1 skipped',
    '',
  ]);
});

test('what passed only when tried again is named', () => {
  const { said } = told([file('a', [one('at once', 'passed'), one('late', 'passed', [], 1)])]);
  expect(said).toBe('passed only when tried again: a > late\n2 passed, 0 failed\n');
});

test('the last run of a file counts', () => {
  const first = { a: { passed: 1, failed: 1, skipped: 0 }, b: { passed: 2, failed: 0, skipped: 1 } };
  expect(lineOf({ ...first, a: { passed: 2, failed: 0, skipped: 0 } })).toBe('4 passed, 0 failed, 1 skipped');
});
