/**
 * What hostile guests cost others: the daemon's event loop and a neighbour in another cell, while guests spin, bomb and flood; and how long
 * a workload is away whose cell had to be killed because nothing could interrupt it.
 *
 * Beside the neighbour a bare responder is called in turns with it, without a sandbox and without the daemon: what it suffers under the same
 * attack is the part of the machine, the kernel and nats-server, which no sandbox can take away.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { latencies } from './load.ts';
import { atMostRow, median, percentile, type Row } from './row.ts';
import { pause } from './waiting.ts';
import { bundleOf, echoEntry, type World } from './world.ts';

const handler = (capability: string, body: string): string =>
  `export default { kind: 'agent', api: 1, capabilities: { ${JSON.stringify(capability)}: { handle(input, ctx) { ${body} } } } };`;

const HOSTILE: Record<string, string> = {
  spin: 'for (;;);',
  hog: 'const end = Date.now() + 400; while (Date.now() < end); return 1;',
  bomb: "const kept = []; for (;;) kept.push('x'.repeat(2 ** 20) + kept.length);",
  fill: 'return new Array(1e9).fill(1).length;',
  logs: "for (let i = 0; i < 1e5; i++) ctx.log.info('x'.repeat(1000), { i }); return 1;",
  large: "return 'x'.repeat(900000);",
  promises: 'return (async () => { for (let i = 0; i < 3e5; i++) await null; return 1; })();',
};
const TURN = { configuration: { turn: '500ms', timeout: '3s' }, resources: { memory: '64Mi' } };

export async function neighbourRows(world: World, seconds: number): Promise<Row[]> {
  const { alchemist, instance, leaf } = world;
  const place = async (name: string, entry: string, capability: string, over = {}) =>
    alchemist.deploy({ bundle: await bundleOf(name, entry, [capability], over), instance, isolation: 'dedicated' });
  await place('bench-neighbour', echoEntry('bench.neighbour'), 'bench.neighbour');
  const kinds = Object.entries(HOSTILE);
  for (const [kind, body] of kinds) await place(`bench-${kind}`, handler(`bench.${kind}`, body), `bench.${kind}`, TURN);
  const neighbour = 'cim.v1.call.bench.neighbour';
  const bare = await world.echo(BARE);
  // Until everybody's code is compiled: the first calls of a process cost several times more.
  await inTurns(leaf, [neighbour, BARE], WARM_TURNS);
  const calm = await inTurns(leaf, [neighbour, BARE], CALM_TURNS);
  const attack = await attackers(world, seconds, Object.keys(HOSTILE));
  const before = await delays(world);
  const ended = attack.begin();
  const meanwhile = await inTurns(leaf, [neighbour, BARE], Number.POSITIVE_INFINITY, performance.now() + seconds * 1000);
  const after = await delays(world);
  const calls = Object.entries(await ended);
  bare.stop();
  const p99 = (times: readonly number[]) => percentile(times, 0.99);
  const suffered = (name: string, before: number, under: number): Row => ({
    name,
    unit: 'us',
    value: under,
    floor: before,
    ratio: under / before,
  });
  const [normal, hit] = [p99(calm[0]), p99(meanwhile[0])];
  const rows: Row[] = [
    atMostRow('event-loop delay of the daemon under attack, p99', 'ms', quantile(before, after, 0.99) * 1000, 20, 10),
    suffered('neighbour, p50 under attack', median(calm[0]), median(meanwhile[0])),
    suffered('bare responder, p50 under the same attack', median(calm[1]), median(meanwhile[1])),
    {
      ...atMostRow('neighbour, p99 under attack', 'us', hit, 2 * normal, 1.3 * normal, normal),
      bar: 'ratio <= 2',
      goal: 'ratio <= 1.3',
    },
    suffered('bare responder, p99 under the same attack', p99(calm[1]), p99(meanwhile[1])),
    ...calls.map(
      ([kind, count]): Row => ({ name: `attack: calls of ${kind} that ended`, unit: '1/s', value: count / seconds }),
    ),
  ];
  for (const [kind] of kinds) await alchemist.undeploy({ name: `bench-${kind}`, instance });
  return [...rows, await recoveryRow(world)];
}

const BARE = 'bench.bare-neighbour';
const WARM_TURNS = 50;
const CALM_TURNS = 75;

/** Connects the callers of the hostile workloads. @returns how they begin; what it gives tells how many calls of each kind ended */
async function attackers({ admin }: World, seconds: number, kinds: readonly string[]) {
  const entry = new URL('./attackers.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [entry, admin.url, admin.user, admin.password, `${seconds}`, ...kinds], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    async begin(): Promise<Record<string, number>> {
      child.stdin.end();
      const { value } = await lines.next();
      return JSON.parse(value as string);
    },
  };
}

/** Calls both, some at a time and one after the other, so that what happens to the machine happens to both. @returns us of each call */
async function inTurns(
  leaf: World['leaf'],
  [first, second]: readonly [string, string],
  turns: number,
  end = Number.POSITIVE_INFINITY,
): Promise<readonly [number[], number[]]> {
  const took: readonly [number[], number[]] = [[], []];
  for (let turn = 0; turn < turns && performance.now() < end; turn++) {
    took[0].push(...(await latencies(leaf, first, 20)));
    took[1].push(...(await latencies(leaf, second, 20)));
    await pause(10);
  }
  return took;
}

/** From the call that holds the thread to the next answer of the same workload. */
async function recoveryRow({ alchemist, instance, leaf }: World): Promise<Row> {
  const took: number[] = [];
  for (let i = 0; i < 3; i++) {
    const capability = `bench.stall-${i}`;
    const entry = handler(capability, 'return input === 1 ? Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1) : 0;');
    const bundle = await bundleOf(`bench-stall-${i}`, entry, [capability], TURN);
    await alchemist.deploy({ bundle, instance, isolation: 'dedicated' });
    const begun = performance.now();
    const held = leaf.request(`cim.v1.call.${capability}`, '1', { timeout: 10_000 }).catch(() => {});
    for (;;) {
      await pause(5);
      const reply = await leaf.request(`cim.v1.call.${capability}`, '0', { timeout: 10_000 }).catch(() => undefined);
      if (reply?.string() === '0') break;
      if (performance.now() - begun > 30_000) throw new Error('a stalled workload did not come back within 30 s');
    }
    took.push(performance.now() - begun);
    await held;
    await alchemist.undeploy({ name: `bench-stall-${i}`, instance });
  }
  return { ...atMostRow('stalled cell, killed and answering again (limit 500 ms)', 'ms', median(took), 1_500, 900) };
}

/** The node's own histogram of how late its event loop was: upper bound in seconds to count, cumulated. */
async function delays(world: World): Promise<[number, number][]> {
  const text = await world.metrics();
  const lines = text.matchAll(/^cim_node_event_loop_delay_seconds_bucket\{le="([^"]+)"\} (\d+)/gm);
  return [...lines].map(([, bound, count]) => [bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound), Number(count)]);
}

/** Quantile of what came between two readings, straight between the bounds of its bucket. */
function quantile(before: readonly [number, number][], after: readonly [number, number][], p: number): number {
  const counts = after.map(([bound, count], i): [number, number] => [bound, count - (before[i]?.[1] ?? 0)]);
  const wanted = p * (counts.at(-1)?.[1] ?? 0);
  let [from, passed] = [0, 0];
  for (const [bound, count] of counts) {
    if (count >= wanted)
      return bound === Number.POSITIVE_INFINITY
        ? from
        : from + ((bound - from) * (wanted - passed)) / Math.max(1, count - passed);
    [from, passed] = [bound, count];
  }
  return Number.NaN;
}
