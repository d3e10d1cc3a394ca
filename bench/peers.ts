/**
 * The peers: other ways to run somebody's code, doing the same work (parse JSON, add a field, write JSON) behind the same NATS request path,
 * on the same leaf, in the same run, in turns with ours and with the bare echo. They enforce no limits; ours does. Their packages are installed by
 * scripts/bench.mjs.
 *
 * The bars: ahead of each on throughput, and ahead on memory of all that isolate by process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { latencies, throughput } from './load.ts';
import { type Kind, kinds, missing } from './peers/guests.ts';
import { cpuUs, MiB, sum } from './procfs.ts';
import { median, percentile, type Row } from './row.ts';
import { bundleOf, type World } from './world.ts';

const RESPONDER = fileURLToPath(new URL('./peers/responder.ts', import.meta.url));
const IN_FLIGHT = [64, 256] as const;
/** Guests opened to learn what one takes: many where one is small. */
const IDLE: Record<Kind, number> = { worker_threads: 12, child_process: 8, quickjs: 60, deno: 8, workerd: 8 };

const transform = (capability: string): string =>
  `export default { kind: 'agent', api: 1, capabilities: { ${JSON.stringify(capability)}: { handle: (input) => ({ ...input, seen: true }) } } };`;

interface Contender {
  readonly name: string;
  readonly subject: string;
  readonly pids: () => readonly number[];
  readonly stop: () => void;
}

interface Figures {
  readonly rate: Record<number, number[]>;
  /** Microseconds of cpu of a call at 64 in flight, all processes of the contender. */
  readonly cpu: number[];
  readonly p50: number[];
  readonly p99: number[];
}

/** @param ms length of one measurement */
export async function peerRows(world: World, rounds: number, ms: number): Promise<Row[]> {
  const rows: Row[] = [];
  const here = kinds.filter((kind) => {
    const why = missing(kind);
    if (why !== undefined) process.stderr.write(`peer ${kind} left out: ${why}\n`);
    return why === undefined;
  });
  const contenders: Contender[] = [];
  const figures = new Map<string, Figures>();
  try {
    contenders.push(await floor(world), await ours(world));
    for (const kind of here) contenders.push(await peer(world, kind));
    for (const { name, subject } of contenders) {
      figures.set(name, { rate: { 64: [], 256: [] }, cpu: [], p50: [], p99: [] });
      await throughput(world.leaf, subject, 64, 1_000);
    }
    for (let round = 0; round < rounds; round++) {
      // Another one begins each time.
      const order = [...contenders.slice(round % contenders.length), ...contenders.slice(0, round % contenders.length)];
      for (const { name, subject, pids } of order) {
        const of = figures.get(name)!;
        const took = await latencies(world.leaf, subject, 400);
        of.p50.push(percentile(took, 0.5));
        of.p99.push(percentile(took, 0.99));
        for (const inFlight of IN_FLIGHT) {
          const before = sum(pids().map(cpuUs));
          const { perSecond, answered } = await throughput(world.leaf, subject, inFlight, ms);
          of.rate[inFlight]!.push(perSecond);
          if (inFlight === 64) of.cpu.push((sum(pids().map(cpuUs)) - before) / answered);
        }
      }
    }
  } finally {
    for (const { stop } of contenders) stop();
  }
  const base = figures.get('floor')!;
  const own = figures.get('cim')!;
  for (const [name, of] of figures) {
    const us = name === 'cim' || name === 'floor';
    for (const inFlight of IN_FLIGHT) {
      const value = median(of.rate[inFlight]!);
      const ahead = median(own.rate[inFlight]!) / value;
      rows.push({
        name: `${name}: calls, ${inFlight} in flight`,
        unit: 'calls/s',
        value,
        floor: median(base.rate[inFlight]!),
        ratio: value / median(base.rate[inFlight]!),
        ...(us ? {} : { bar: `ours / it >= 1 (${ahead.toFixed(2)})`, ok: ahead >= 1 }),
      });
    }
    rows.push(
      { name: `${name}: cpu of a call, 64 in flight`, unit: 'us', value: median(of.cpu), floor: median(base.cpu) },
      { name: `${name}: latency p50, 1 in flight`, unit: 'us', value: median(of.p50), floor: median(base.p50) },
      { name: `${name}: latency p99, 1 in flight`, unit: 'us', value: median(of.p99), floor: median(base.p99) },
    );
  }
  for (const kind of here) {
    const cold = (await lineOf<number[]>(['cold', kind, '5'])) ?? [];
    rows.push({ name: `${kind}: cold start`, unit: 'ms', value: median(cold) });
    const bytes = (await lineOf<number>(['idle', kind, String(IDLE[kind])])) ?? 0;
    rows.push({ name: `${kind}: memory per idle guest (PSS)`, unit: 'MiB', value: bytes / MiB });
  }
  return rows;
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
