/**
 * Calls through the sandbox over the bare echo on the same leaf, from one request client, interleaved: throughput at 1, 64 and 256 in
 * flight, latency at 1. Limits are on. The client is the ceiling well before the responder at 64 and more, for both alike; so the same
 * once more from a generator on the bare protocol, where the responder is.
 *
 * Beside them what other designs would cost at least on this machine (echo-responder.ts): a relay between two processes, and an isolate in
 * the process that holds the connection.
 */
import type { Floor } from './echo-responder.ts';
import { saturate } from './generator.ts';
import { latencies, throughput } from './load.ts';
import { cpuUs, descendants, sum } from './procfs.ts';
import { atMostRow, median, percentile, type Row, ratioRow } from './row.ts';
import { bundleOf, echoEntry, type World } from './world.ts';

type Contender = Floor | 'product';

/** What is measured of one contender, a figure for each round. */
interface Figures {
  /** Calls a second by calls in flight. */
  readonly rate: Record<1 | 64 | 256, number[]>;
  /** The same from the generator. */
  readonly saturated: number[];
  /** Microseconds of cpu of a call, 64 in flight: steadier than any time where the machine is busy. */
  readonly cpu: number[];
  /** Microseconds, 1 in flight. */
  readonly p50: number[];
  readonly p99: number[];
}

const IN_FLIGHT = [1, 64, 256] as const;
const ROUND_MS = 1_000;
const LATENCIES = 1_500;
const NAMES: Record<Exclude<Contender, 'product' | 'echo'>, string> = {
  relay: 'a bare relay between two processes',
  holder: 'an isolate in the process with the connection',
};

export async function callRows(world: World, rounds: number): Promise<Row[]> {
  await world.alchemist.deploy({
    bundle: await bundleOf('bench-echo', echoEntry('bench.echo'), ['bench.echo'], { configuration: { maxConcurrent: 512 } }),
    instance: world.instance,
  });
  const floors = (['echo', 'relay', 'holder'] as const).map(async (kind) => {
    const responder = await world.echo(`bench.bare-${kind}`, kind);
    return {
      who: kind as Contender,
      subject: `bench.bare-${kind}`,
      pids: () => [responder.pid, ...descendants(responder.pid)],
      stop: responder.stop,
    };
  });
  const product = {
    who: 'product' as Contender,
    subject: 'cim.v1.call.bench.echo',
    pids: () => world.nodePids(),
    stop: () => {},
  };
  const contenders = [product, ...(await Promise.all(floors))];
  const figures = new Map<Contender, Figures>(
    contenders.map(({ who }) => [who, { rate: { 1: [], 64: [], 256: [] }, saturated: [], cpu: [], p50: [], p99: [] }]),
  );
  try {
    // Until everybody's code is compiled, for both kinds of load.
    for (const { subject } of contenders) await throughput(world.leaf, subject, 64, 1_500);
    for (const { subject } of contenders) await saturate(world.admin, subject, 256, ROUND_MS);
    for (let round = 0; round < rounds; round++) {
      // Another one begins each time.
      const from = round % contenders.length;
      const order = [...contenders.slice(from), ...contenders.slice(0, from)];
      for (const { who, subject } of order) {
        const took = await latencies(world.leaf, subject, LATENCIES);
        figures.get(who)!.p50.push(percentile(took, 0.5));
        figures.get(who)!.p99.push(percentile(took, 0.99));
      }
      for (const inFlight of IN_FLIGHT) {
        for (const { who, subject, pids } of order) {
          const of = figures.get(who)!;
          const before = sum(pids().map(cpuUs));
          const { perSecond, answered } = await throughput(world.leaf, subject, inFlight, ROUND_MS);
          of.rate[inFlight].push(perSecond);
          if (inFlight === 64) of.cpu.push((sum(pids().map(cpuUs)) - before) / answered);
        }
      }
      for (const { who, subject } of order)
        figures.get(who)!.saturated.push((await saturate(world.admin, subject, 256, ROUND_MS)).perSecond);
    }
  } finally {
    for (const { stop } of contenders) stop();
  }
  return rowsOf(figures);
}

function rowsOf(figures: ReadonlyMap<Contender, Figures>): Row[] {
  const ours = figures.get('product')!;
  const echo = figures.get('echo')!;
  const over = (name: string, unit: string, pick: (of: Figures) => readonly number[], of = ours): Row => {
    const [value, floor] = [median(pick(of)), median(pick(echo))];
    return { name, unit, value, floor, ratio: value / floor };
  };
  const added = (of: Figures): number => median(of.p50) - median(echo.p50);
  const rows: Row[] = [
    over('calls, 1 in flight', 'calls/s', (of) => of.rate[1]),
    ratioRow('calls, 64 in flight', 'calls/s', median(ours.rate[64]), median(echo.rate[64]), 0.75, 0.9),
    ratioRow('calls, 256 in flight', 'calls/s', median(ours.rate[256]), median(echo.rate[256]), 0.75, 0.95),
    ratioRow('calls, 256 in flight, raw generator', 'calls/s', median(ours.saturated), median(echo.saturated), 0.4, 0.55),
    over('cpu of a call, 64 in flight (daemon and cell)', 'us', (of) => of.cpu),
    over('call latency p50, 1 in flight', 'us', (of) => of.p50),
    over('call latency p99, 1 in flight', 'us', (of) => of.p99),
    atMostRow('added p50, 1 in flight', 'us', added(ours), 90, 50),
  ];
  for (const [kind, name] of Object.entries(NAMES)) {
    const of = figures.get(kind as Floor)!;
    rows.push(
      over(`calls, 64 in flight, ${name}`, 'calls/s', ({ rate }) => rate[64], of),
      over(`calls, 256 in flight, raw generator, ${name}`, 'calls/s', ({ saturated }) => saturated, of),
      { name: `added p50, 1 in flight, ${name}`, unit: 'us', value: added(of) },
    );
  }
  return rows;
}
