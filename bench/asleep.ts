/** Passivation and the memory of what is idle: how long the first call waits for a workload that sleeps, and what one takes awake. */
import { idleBytes } from './idle.ts';
import { MiB } from './procfs.ts';
import { atMostRow, median, type Row } from './row.ts';
import { until } from './waiting.ts';
import { bundleOf, echoEntry, type World, world } from './world.ts';

const DEDICATED = 6;

/** @param count wakings of each kind */
export async function asleepRows(count: number): Promise<Row[]> {
  const here = await world({ passivateAfter: '2s' });
  try {
    // First: a workload that falls asleep meanwhile would be taken off what these take.
    const each = (await idleBytes(here, DEDICATED, 'dedicated')) / MiB;
    const row = atMostRow('memory per idle dedicated workload (PSS)', 'MiB', each, 28, 18);
    return [...(await wakeRows(here, count)), row];
  } finally {
    await here.close();
  }
}

async function wakeRows(here: World, count: number): Promise<Row[]> {
  const rows: Row[] = [];
  // Its timer keeps it awake, and so a shared cell of this publisher alive.
  const keeper = `setInterval(() => {}, 600000); ${echoEntry('bench.keeper')}`;
  await here.alchemist.deploy({ bundle: await bundleOf('bench-keeper', keeper, ['bench.keeper']), instance: here.instance });
  for (const [isolation, gate, goal, what] of [
    ['shared', 10, 4, 'running cell'],
    ['dedicated', 20, 6, 'spare cell'],
  ] as const) {
    const name = `bench-sleeper-${isolation}`;
    const capability = `bench.sleeper-${isolation}`;
    const bundle = await bundleOf(name, echoEntry(capability), [capability]);
    await here.alchemist.deploy({ bundle, instance: here.instance, isolation });
    const took: number[] = [];
    for (let i = 0; i < count; i++) {
      await until(async () => {
        const { workloads } = await here.alchemist.nodeStatus(here.instance);
        return workloads.find((one) => one.name === name)?.replicas.passive === 1;
      });
      const begun = performance.now();
      await here.leaf.request(`cim.v1.call.${capability}`, '1', { timeout: 10_000 });
      took.push(performance.now() - begun);
    }
    rows.push(atMostRow(`first call of a passive workload, ${isolation} (${what}), p50`, 'ms', median(took), gate, goal));
  }
  return rows;
}
