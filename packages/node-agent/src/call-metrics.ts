/**
 * What is counted of calls: how many ended how, and how long they took. On the hot path of the node, so a call costs three look-ups and two additions;
 * labels and sums are worked out when somebody scrapes. (prom-client's own histogram spells the labels of every observation, which was a
 * twentieth of what a call cost the node-agent.)
 *
 * Promises:
 * C1. What is shown is what prom-client's Counter and Histogram would show: names, labels, cumulated buckets, sum and count.
 */
import { Counter, type Histogram, type MetricValueWithName, type Registry } from 'prom-client';

/** Upper bounds in seconds. */
const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];
const DURATION = 'cim_call_duration_seconds';

/** Of one workload since the node-agent began. */
interface Counts {
  readonly labels: { readonly kind: string; readonly workload: string };
  /** Since the last scrape, by outcome. */
  readonly outcomes: Map<string, number>;
  /** Calls up to each bound and beyond the one before; last, those beyond all. */
  readonly buckets: Float64Array;
  seconds: number;
}

/** @returns counts a call that ended */
export function countCalls(registry: Registry): (kind: string, workload: string, outcome: string, seconds: number) => void {
  const kinds = new Map<string, Map<string, Counts>>();
  const all = () => [...kinds.values()].flatMap((workloads) => [...workloads.values()]);
  new Counter({
    name: 'cim_calls_total',
    help: 'Calls answered, by workload and outcome (ok or an error code).',
    labelNames: ['kind', 'workload', 'outcome'],
    registers: [registry],
    collect() {
      for (const { labels, outcomes } of all()) {
        for (const [outcome, count] of outcomes) this.inc({ ...labels, outcome }, count);
        outcomes.clear();
      }
    },
  });
  const durations = {
    name: DURATION,
    get: async () => ({
      name: DURATION,
      help: "Time from the call's arrival to its answer.",
      type: 'histogram',
      aggregator: 'sum',
      values: all().flatMap(valuesOf),
    }),
  };
  // All that a registry asks of a metric.
  registry.registerMetric(durations as unknown as Histogram);

  const open = (kind: string, workload: string): Counts => {
    const workloads = kinds.get(kind) ?? new Map<string, Counts>();
    kinds.set(kind, workloads);
    const counts = {
      labels: { kind, workload },
      outcomes: new Map<string, number>(),
      buckets: new Float64Array(BOUNDS.length + 1),
      seconds: 0,
    };
    workloads.set(workload, counts);
    return counts;
  };
  return (kind, workload, outcome, seconds) => {
    const counts = kinds.get(kind)?.get(workload) ?? open(kind, workload);
    counts.outcomes.set(outcome, (counts.outcomes.get(outcome) ?? 0) + 1);
    let at = 0;
    while (at < BOUNDS.length && seconds > BOUNDS[at]!) at++;
    counts.buckets[at]! += 1;
    counts.seconds += seconds;
  };
}

function valuesOf({ labels, buckets, seconds }: Counts): MetricValueWithName<string>[] {
  let count = 0;
  const cumulated = [...BOUNDS, '+Inf'].map((le, at) => {
    count += buckets[at]!;
    return { metricName: `${DURATION}_bucket`, labels: { le, ...labels }, value: count };
  });
  return [
    ...cumulated,
    { metricName: `${DURATION}_sum`, labels, value: seconds },
    { metricName: `${DURATION}_count`, labels, value: count },
  ];
}
