/** The fuzzer for a few seconds, with a fixed seed; `npm run test:hostile -- --fuzz 10m` takes any and goes on for as long as is asked. */
import { expect, test } from 'vitest';
import { fuzzFor } from './fuzz.ts';

test('whatever a cell sends, calls end once and with nothing of another cell', { timeout: 60_000 }, async () => {
  const { line, runs, failures } = await fuzzFor(8_000, 20_261_123);
  process.stdout.write(`${line}\n`);
  expect(failures, line).toBe(0);
  expect(runs).toBeGreaterThan(200);
});
