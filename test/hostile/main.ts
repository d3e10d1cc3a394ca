/**
 * `npm run test:hostile`: every hostile bundle, one by one and all at once, on the sandbox and on a real node, with a table and the worst
 * that was found. `--wall cells|node` and `--round one|all` take one of the two, `--only NAME` cases whose names begin so, `--width N`
 * so many at a time, `--fuzz 10m` only the fuzzer for that long, with `--seed N`. Exit code 1 when a case did not end as it must.
 */
import os from 'node:os';
import { parseArgs } from 'node:util';
import { msOf } from '@cim/contracts';
import type { Hostile } from './case.ts';
import { all } from './cases/all.ts';
import { askHonest, cellWall } from './cells.ts';
import { sweep, type Verdict, type Wall } from './judge.ts';
import { loopDelay, readMetrics } from './metrics.ts';
import { nodeWall, uncounted } from './node.ts';
import { lineOf, worstOf } from './report.ts';
import { type LoopDelay, LoopWatch, Neighbour, percentile } from './watch.ts';

const { values } = parseArgs({
  options: {
    wall: { type: 'string', multiple: true, default: ['cells', 'node'] },
    only: { type: 'string', multiple: true },
    round: { type: 'string', multiple: true, default: ['one', 'all'] },
    width: { type: 'string', default: '12' },
    fuzz: { type: 'string' },
    seed: { type: 'string' },
  },
});
const say = (text: string) => void process.stdout.write(`${text}\n`);

/** How the delay of the event loop is read between two moments. */
type Delays = () => Promise<() => Promise<LoopDelay>>;
interface Round {
  readonly wall: Wall;
  readonly call: () => Promise<unknown>;
  readonly delays: Delays;
}

const QUIET_MS = 2_000;
let passed = 0;
let failed = 0;

const unreadable = (name: string, error: unknown): Verdict => ({
  name,
  problems: [String((error as Error).stack ?? error)],
  met: [],
  seen: 'no verdict',
  ms: 0,
  peakBytes: 0,
  overBytes: 0,
});

async function round(title: string, { wall, call, delays }: Round, cases: readonly Hostile[], width: number): Promise<void> {
  say(`\n${title}: ${cases.length} bundles, ${width === 1 ? 'one by one' : `${width} at a time`}`);
  const neighbour = new Neighbour(call);
  await new Promise((done) => setTimeout(done, QUIET_MS));
  const quietMs = percentile(neighbour.take(), 0.99);
  const read = await delays();
  const verdicts: Verdict[] = [];
  for (const [name, pending] of sweep(wall, cases, width)) {
    const verdict = await pending.catch((error: unknown) => unreadable(name, error));
    verdicts.push(verdict);
    say(lineOf(verdict));
  }
  const delay = await read();
  const times = neighbour.take();
  await neighbour.stop();
  const bad = verdicts.filter(({ problems }) => problems.length > 0).length;
  passed += verdicts.length - bad;
  failed += bad;
  say(worstOf(verdicts, { delay, quietMs, busyMs: percentile(times, 0.99), answered: times.length }));
  if (neighbour.faults.length > 0) {
    failed += 1;
    say(`FAILED neighbour: ${neighbour.faults.length} calls were not answered, first: ${neighbour.faults[0]}`);
  }
}

/** Rounds that were asked for, by how many bundles run at a time in each. */
const widths = (width: number): number[] => [
  ...(values.round.includes('one') ? [1] : []),
  ...(values.round.includes('all') ? [width] : []),
];

const ownDelay: Delays = async () => {
  const loop = new LoopWatch();
  return async () => {
    const delay = loop.read();
    loop.stop();
    return delay;
  };
};

async function onCells(cases: readonly Hostile[], width: number): Promise<void> {
  await using wall = await cellWall();
  const isolate = await wall.neighbour();
  const it: Round = { wall, call: () => askHonest(isolate), delays: ownDelay };
  for (const at of widths(width)) await round('sandbox', it, cases, at);
}

async function onNode(cases: readonly Hostile[], width: number): Promise<void> {
  for (const at of widths(width)) {
    // A node of its own for each round: what was quarantined in the first would not be let in again.
    await using wall = await nodeWall();
    const call = await wall.neighbour();
    const delays: Delays = async () => {
      const before = await readMetrics(wall.agentUrl);
      return async () => loopDelay(before, await readMetrics(wall.agentUrl));
    };
    await round('node', { wall, call, delays }, cases, at);
    const missing = await uncounted(wall);
    failed += missing.length;
    for (const line of missing) say(`FAILED metrics: ${line}`);
  }
}

say(`hostile suite on ${os.availableParallelism()} cores, Node ${process.versions.node}, load ${os.loadavg()[0]?.toFixed(1)}`);
if (values.fuzz !== undefined) {
  const { fuzzFor } = await import('./fuzz.ts');
  const told = await fuzzFor(msOf(values.fuzz), values.seed === undefined ? undefined : Number(values.seed));
  say(told.line);
  passed += told.runs;
  failed += told.failures;
} else {
  const cases = values.only ? all.filter(({ name }) => values.only!.some((start) => name.startsWith(start))) : all;
  if (values.wall.includes('cells')) await onCells(cases, Number(values.width));
  if (values.wall.includes('node')) await onNode(cases, Number(values.width));
}
say(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
