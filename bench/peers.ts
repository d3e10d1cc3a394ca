/**
 * The peers: other ways to run somebody's code, doing the same work (parse JSON, add a field, write JSON) behind the same NATS request path,
 * on the same leaf, in the same run. They enforce no limits; ours does. Their packages are installed by scripts/bench.mjs.
 *
 * Each stands against ours alone, in short turns, and what counts is the median of what the turns of each pair give: hosts differ from one ten
 * seconds to the next by more than the contenders do, and whoever has waited for long has to get warm again first. What that costs ours has
 * a row of its own.
 *
 * The bars: ahead of each on throughput, and ahead on memory of all that isolate by process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { idleBytes } from './idle.ts';
import { latencies, throughput } from './load.ts';
import { type Kind, kinds, missing } from './peers/guests.ts';
import { cpuUs, MiB, sum } from './procfs.ts';
import { median, percentile, type Row } from './row.ts';
import { pause } from './waiting.ts';
import { bundleOf, type World } from './world.ts';

const RESPONDER = fileURLToPath(new URL('./peers/responder.ts', import.meta.url));
const IN_FLIGHT = [64, 256] as const;
/** Guests opened to learn what one takes: many where one is small. */
const IDLE: Record<Kind, number> = { worker_threads: 12, child_process: 8, quickjs: 60, deno: 8, workerd: 8 };
/** Those that give each guest a process. */
const BY_PROCESS: readonly Kind[] = ['child_process', 'deno', 'workerd'];
const WARM_MS = 1_000;
/** Calls one after the other in each turn. */
const SINGLE = 150;
/** How long ours stands still before what that costs is measured; and how long it is called then, ms. */
const STILL_MS = 10_000;
const FIRST_MS = 200;
/** Workloads of ours opened to learn what one takes. */
const DEDICATED = 6;
const SHARED = 60;

const transform = (capability: string): string =>
  `export default { kind: 'agent', api: 1, capabilities: { ${JSON.stringify(capability)}: { handle: (input) => ({ ...input, seen: true }) } } };`;

interface Contender {
  readonly name: string;
  readonly subject: string;
  readonly pids: () => readonly number[];
  readonly stop: () => void;
}

/** What the turns of one gave, in their order. */
interface Figures {
  readonly rate: Record<(typeof IN_FLIGHT)[number], number[]>;
  /** Microseconds of cpu of a call at 64 in flight, all processes of the contender. */
  readonly cpu: number[];
  /** Microseconds of each call alone. */
  readonly single: number[];
}

/** @param rounds turns of each of a pair. @param ms length of one */
export async function peerRows(world: World, rounds: number, ms: number): Promise<Row[]> {
  const own = await ours(world);
  const here = kinds.filter((kind) => {
    const why = missing(kind);
    if (why !== undefined) process.stderr.write(`peer ${kind} left out: ${why}\n`);
    return why === undefined;
  });
  const rows: Row[] = [];
  for (const open of [() => floor(world), ...here.map((kind) => () => peer(world, kind))]) {
    const other = await open();
    try {
      rows.push(...pairRows(other.name, ...(await inTurns(world, own, other, rounds, ms))));
    } finally {
      other.stop();
    }
  }
  rows.push(...(await stillRows(world, own, rounds)));
  const dedicated = await idleBytes(world, DEDICATED, 'dedicated');
  const shared = await idleBytes(world, SHARED, 'shared');
  rows.push(
    { name: 'cim: memory per idle workload in a cell of its own (PSS)', unit: 'MiB', value: dedicated / MiB },
    { name: 'cim: memory per idle workload in a shared cell (PSS)', unit: 'MiB', value: shared / MiB },
  );
  for (const kind of here) {
    const cold = (await lineOf<number[]>(['cold', kind, '5'])) ?? [];
    rows.push({ name: `${kind}: cold start`, unit: 'ms', value: median(cold) });
    const bytes = (await lineOf<number>(['idle', kind, String(IDLE[kind])])) ?? 0;
    rows.push({
      name: `${kind}: memory per idle guest (PSS)`,
      unit: 'MiB',
      value: bytes / MiB,
      ...(BY_PROCESS.includes(kind)
        ? { bar: `ours, shared / it < 1 (${(shared / bytes).toFixed(2)})`, ok: shared < bytes }
        : {}),
    });
  }
  return rows;
}

async function inTurns(
  world: World,
  own: Contender,
  other: Contender,
  rounds: number,
  ms: number,
): Promise<[Figures, Figures]> {
  const both = [own, other].map((who) => ({ ...who, figures: { rate: { 64: [], 256: [] }, cpu: [], single: [] } as Figures }));
  for (const { subject } of both) await throughput(world.leaf, subject, 64, WARM_MS);
  for (let round = 0; round < rounds; round++) {
    // The other one begins each time.
    const order = round % 2 === 0 ? both : [...both].reverse();
    for (const inFlight of IN_FLIGHT) {
      for (const { subject, pids, figures } of order) {
        const before = sum(pids().map(cpuUs));
        const { perSecond, answered } = await throughput(world.leaf, subject, inFlight, ms);
        figures.rate[inFlight].push(perSecond);
        if (inFlight === 64) figures.cpu.push((sum(pids().map(cpuUs)) - before) / answered);
      }
    }
    for (const { subject, figures } of order) figures.single.push(...(await latencies(world.leaf, subject, SINGLE)));
  }
  return [both[0]!.figures, both[1]!.figures];
}

/** Values are the other's, `floor` is ours in the same turns, and the ratio is ours over theirs. */
function pairRows(name: string, own: Figures, other: Figures): Row[] {
  const rates = IN_FLIGHT.map((inFlight): Row => {
    const ratio = median(own.rate[inFlight].map((mine, turn) => mine / other.rate[inFlight][turn]!));
    return {
      name: `${name}: calls, ${inFlight} in flight`,
      unit: 'calls/s',
      value: median(other.rate[inFlight]),
      floor: median(own.rate[inFlight]),
      ratio,
      ...(name === 'floor' ? {} : { bar: 'ours / it >= 1', ok: ratio >= 1 }),
    };
  });
  const beside = (what: string, theirs: number, mine: number): Row => ({
    name: `${name}: ${what}`,
    unit: 'us',
    value: theirs,
    floor: mine,
    ratio: mine / theirs,
  });
  return [
    ...rates,
    beside('cpu of a call, 64 in flight', median(other.cpu), median(own.cpu)),
    beside('latency p50, 1 in flight', percentile(other.single, 0.5), percentile(own.single, 0.5)),
    beside('latency p99, 1 in flight', percentile(other.single, 0.99), percentile(own.single, 0.99)),
  ];
}

/** What having stood still costs ours: the first calls after it, over those that follow. */
async function stillRows({ leaf }: World, { subject }: Contender, rounds: number): Promise<Row[]> {
  const ratios: number[] = [];
  const first: number[] = [];
  const later: number[] = [];
  for (let round = 0; round < Math.min(rounds, 4); round++) {
    await pause(STILL_MS);
    first.push((await throughput(leaf, subject, 64, FIRST_MS)).perSecond);
    await throughput(leaf, subject, 64, WARM_MS);
    later.push((await throughput(leaf, subject, 64, FIRST_MS)).perSecond);
    ratios.push(first.at(-1)! / later.at(-1)!);
  }
  const name = `cim: calls in the first ${FIRST_MS} ms after ${STILL_MS / 1000} s of standing still, 64 in flight`;
  return [{ name, unit: 'calls/s', value: median(first), floor: median(later), ratio: median(ratios) }];
}

async function floor(world: World): Promise<Contender> {
  const echo = await world.echo('bench.peer-floor');
  return { name: 'floor', subject: 'bench.peer-floor', pids: () => [echo.pid], stop: echo.stop };
}

async function ours(world: World): Promise<Contender> {
  const capability = 'bench.transform';
  await world.alchemist.deploy({
    bundle: await bundleOf('bench-transform', transform(capability), [capability], { configuration: { maxConcurrent: 512 } }),
    instance: world.instance,
  });
  return { name: 'cim', subject: `cim.v1.call.${capability}`, pids: world.nodePids, stop: () => {} };
}

async function peer(world: World, kind: Kind): Promise<Contender> {
  const subject = `bench.peer.${kind}`;
  const { url, user, password } = world.admin;
  const child = spawn(process.execPath, [RESPONDER, 'serve', kind, url, user, password, subject], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const { pids } = JSON.parse(line) as { pids: number[] };
  return { name: kind, subject, pids: () => [child.pid!, ...pids], stop: () => void child.kill('SIGTERM') };
}

/** What a responder prints before it ends. */
async function lineOf<T>(args: readonly string[]): Promise<T | undefined> {
  const child = spawn(process.execPath, [RESPONDER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) text += chunk;
  return text === '' ? undefined : (JSON.parse(text) as T);
}
