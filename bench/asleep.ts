/** Passivation and the memory of what is idle: how long the first call waits for a workload that sleeps, and what one takes awake. */
import { descendants, MiB, pssBytes, sum } from './procfs.ts';
import { atMostRow, median, type Row } from './row.ts';
import { pause, until } from './waiting.ts';
import { bundleOf, echoEntry, type World, world } from './world.ts';

const DEDICATED = 6;
/** After that the engine has given back what it does by itself, ms. */
const SETTLED_MS = 25_000;

/** @param count wakings of each kind */
export async function asleepRows(count: number): Promise<Row[]> {
  const here = await world({ passivateAfter: '2s' });
  try {
    // First: a workload that falls asleep meanwhile would be taken off what these take.
    const dedicated = await dedicatedRow(here);
    return [...(await wakeRows(here, count)), dedicated];
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

/** A timer keeps these awake: this is about what they take, not about giving it back. */
async function dedicatedRow(here: World): Promise<Row> {
  const agent = here.fleet.pids()[`agent-${here.instance}`]!;
  const cells = () => sum(descendants(agent).map(pssBytes));
  // What every node has: the launcher, and one spare cell as calm as those to come.
  await pause(SETTLED_MS);
  const before = cells();
  for (let i = 0; i < DEDICATED; i++) {
    const capability = `bench.alone-${i}`;
    const entry = `setInterval(() => {}, 600000); ${echoEntry(capability)}`;
    const bundle = await bundleOf(`bench-alone-${i}`, entry, [capability]);
    await here.alchemist.deploy({ bundle, instance: here.instance, isolation: 'dedicated' });
    await here.leaf.request(`cim.v1.call.${capability}`, '1', { timeout: 10_000 });
  }
  await pause(SETTLED_MS);
  const each = (cells() - before) / MiB / DEDICATED;
  for (let i = 0; i < DEDICATED; i++) await here.alchemist.undeploy({ name: `bench-alone-${i}`, instance: here.instance });
  return atMostRow('memory per idle dedicated workload (PSS)', 'MiB', each, 28, 18);
}
