/**
 * Calls through the sandbox over the bare echo on the same leaf, from one request client, interleaved: throughput at 1, 64 and 256 in
 * flight, latency at 1. Limits are on. The client is the ceiling well before the responder at 64 and more, for both alike.
 */
import { latencies, throughput } from './load.ts';
import { cpuUs, sum } from './procfs.ts';
import { atMostRow, median, percentile, type Row, ratioRow } from './row.ts';
import { bundleOf, echoEntry, type World } from './world.ts';

export async function callRows(world: World, rounds: number): Promise<Row[]> {
  await world.alchemist.deploy({
    bundle: await bundleOf('bench-echo', echoEntry('bench.echo'), ['bench.echo'], { configuration: { maxConcurrent: 512 } }),
    instance: world.instance,
  });
  const bare = await world.echo('bench.bare');
  const subjects = { floor: 'bench.bare', product: 'cim.v1.call.bench.echo' } as const;
  const rates: Record<string, { floor: number[]; product: number[] }> = {};
  /** Microseconds of cpu of a call: steadier than any time where the machine is busy. */
  const cpu: { floor: number[]; product: number[] } = { floor: [], product: [] };
  const p50: { floor: number[]; product: number[] } = { floor: [], product: [] };
  const p99: { floor: number[]; product: number[] } = { floor: [], product: [] };
  try {
    for (const subject of Object.values(subjects)) await throughput(world.leaf, subject, 64, 1_500);
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? (['floor', 'product'] as const) : (['product', 'floor'] as const);
      for (const who of order) {
        const took = await latencies(world.leaf, subjects[who], 1_500);
        p50[who].push(percentile(took, 0.5));
        p99[who].push(percentile(took, 0.99));
      }
      for (const inFlight of [1, 64, 256]) {
        rates[inFlight] ??= { floor: [], product: [] };
        const at = rates[inFlight];
        for (const who of order) {
          const pids = who === 'floor' ? [bare.pid] : world.nodePids();
          const before = sum(pids.map(cpuUs));
          const { perSecond, answered } = await throughput(world.leaf, subjects[who], inFlight, 1_000);
          at[who].push(perSecond);
          if (inFlight === 64) cpu[who].push((sum(pids.map(cpuUs)) - before) / answered);
        }
      }
    }
  } finally {
    bare.stop();
  }
  const rows: Row[] = [];
  for (const [inFlight, { floor, product }] of Object.entries(rates)) {
    const name = `calls, ${inFlight} in flight`;
    const [value, base] = [median(product), median(floor)];
    if (inFlight === '1') rows.push({ name, unit: 'calls/s', value, floor: base, ratio: value / base });
    else rows.push(ratioRow(name, 'calls/s', value, base, 0.75, inFlight === '64' ? 0.9 : 0.95));
  }
  rows.push({
    name: 'cpu of a call, 64 in flight (daemon and cell)',
    unit: 'us',
    value: median(cpu.product),
    floor: median(cpu.floor),
    ratio: median(cpu.product) / median(cpu.floor),
  });
  const added = median(p50.product) - median(p50.floor);
  rows.push({
    name: 'call latency p50, 1 in flight',
    unit: 'us',
    value: median(p50.product),
    floor: median(p50.floor),
    ratio: median(p50.product) / median(p50.floor),
  });
  rows.push({
    name: 'call latency p99, 1 in flight',
    unit: 'us',
    value: median(p99.product),
    floor: median(p99.floor),
    ratio: median(p99.product) / median(p99.floor),
  });
  rows.push(atMostRow('added p50, 1 in flight', 'us', added, 90, 50));
  return rows;
}
