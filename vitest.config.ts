/**
 * How tests run: each file in a process of its own. The tests of packages and examples go two files at a time; then the walks
 * through the whole house, one file at a time, since each of them has a fleet of processes to itself.
 * In CI a test that failed is tried once more, and the closing lines name those that passed only then (scripts/tally.mjs).
 */
import { defineConfig } from 'vitest/config';

const retry = process.env['CI'] ? 1 : 0;
const limits = { pool: 'forks', retry, testTimeout: 30_000, hookTimeout: 60_000, teardownTimeout: 15_000 } as const;

export default defineConfig({
  test: {
    reporters: ['default', './scripts/tally.mjs'],
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...limits,
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts', 'examples/*/test/**/*.test.ts', 'scripts/test/**/*.test.mjs'],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: { ...limits, name: 'walks', include: ['test/**/*.test.ts'], fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
