/** What is counted of calls, against the histogram and the counter of the library that shows everything else. */
import fc from 'fast-check';
import { Counter, Histogram, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { countCalls } from '../src/call-metrics.ts';

const call = fc.record({
  kind: fc.constantFrom('agent', 'service'),
  workload: fc.constantFrom('a', 'b', 'c"\\'),
  outcome: fc.constantFrom('ok', 'overloaded'),
  // In quarters of milliseconds: sums are the same in whatever order they were added, and bounds are met exactly.
  seconds: fc.nat(2 ** 19).map((n) => n / 2 ** 13),
});

/** Lines in an order of their own: the order of labels and of series has no meaning. */
const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) =>
      line.replace(/\{(.*)\}/, (_, labels: string) =>
        labels
          .split(/,(?=\w+=)/)
          .sort()
          .join(','),
      ),
    )
    .filter((line) => line !== '')
    .sort();

test('is shown as the library would show it, however often somebody looks', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(call, { maxLength: 30 }), { maxLength: 3 }), async (rounds) => {
      const ours = new Registry();
      const count = countCalls(ours);
      const theirs = new Registry();
      const calls = new Counter({
        name: 'cim_calls_total',
        help: 'Calls answered, by workload and outcome (ok or an error code).',
        labelNames: ['kind', 'workload', 'outcome'],
        registers: [theirs],
      });
      const durations = new Histogram({
        name: 'cim_call_duration_seconds',
        help: "Time from the call's arrival to its answer.",
        labelNames: ['kind', 'workload'],
        buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
        registers: [theirs],
      });
      for (const round of rounds) {
        for (const { kind, workload, outcome, seconds } of round) {
          count(kind, workload, outcome, seconds);
          calls.inc({ kind, workload, outcome });
          durations.observe({ kind, workload }, seconds);
        }
        expect(linesOf(await ours.metrics())).toEqual(linesOf(await theirs.metrics()));
      }
      expect((await ours.getMetricsAsJSON()).map(({ name }) => name)).toEqual(['cim_calls_total', 'cim_call_duration_seconds']);
    }),
  );
});
