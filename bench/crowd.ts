/**
 * A thousand agents on one node: how long from the desired change until every one of them answers, what they hold when idle, and that
 * the daemon is not busy with nothing to do.
 */
import { desiredKey } from '@cim/contracts';
import { cpuUs, descendants, MiB, pssBytes, sum } from './procfs.ts';
import { atMostRow, type Row } from './row.ts';
import { pause, until } from './waiting.ts';
import { bundleOf, echoEntry, type World, world } from './world.ts';

const capabilityOf = (i: number) => `bench.crowd-${i}`;
const nameOf = (i: number) => `bench-crowd-${i}`;
const DEADLINE_MS = 300_000;

/** On a node of its own. @param count agents; the bars are for 1,000 */
export async function crowdRows(count: number): Promise<Row[]> {
  const here = await world();
  try {
    return await rowsOf(here, count);
  } finally {
    await here.close();
  }
}

async function rowsOf(here: World, count: number): Promise<Row[]> {
  const { alchemist, instance, fleet } = here;
  const agent = fleet.pids()[`agent-${instance}`]!;
  const memory = () => {
    const cells = descendants(agent);
    return { cells: sum(cells.map(pssBytes)), daemon: pssBytes(agent), processes: cells.length };
  };
  await inLines(8, count, async (i) => {
    const bundle = await bundleOf(nameOf(i), echoEntry(capabilityOf(i)), [capabilityOf(i)]);
    await alchemist.deploy({ bundle, instance, replicas: 0, wait: false });
  });
  await until(async () => {
    const { workloads } = await alchemist.nodeStatus(instance);
    const ready = workloads.filter(({ name, converged }) => converged && name.startsWith('bench-crowd-'));
    return ready.length === count;
  });
  const writes: (() => Promise<number>)[] = [];
  await inLines(16, count, async (i) => {
    writes.push(await here.amend(desiredKey({ instance, kind: 'agent', name: nameOf(i) }), { replicas: 1 }));
  });
  const before = memory();
  const cpu = () => ({ daemon: cpuUs(agent), cells: sum(descendants(agent).map(cpuUs)) });
  const worked = cpu();
  const begun = performance.now();
  const writing = Promise.all(writes.map((write) => write()));
  const waiting = new Set(Array.from({ length: count }, (_, i) => i));
  while (waiting.size > 0) {
    if (performance.now() - begun > DEADLINE_MS) throw new Error(`${waiting.size} of ${count} agents did not answer`);
    const asked = [...waiting].slice(0, 64);
    const answered = await Promise.all(asked.map((i) => answers(here, i)));
    asked.forEach((i, at) => {
      if (answered[at]) waiting.delete(i);
    });
    // A pause where nobody answered, or the asking would take the core the node starts on.
    if (!answered.includes(true)) await pause(25);
  }
  await writing;
  const took = (performance.now() - begun) / 1000;
  const spent = cpu();
  await pause(3_000);
  const after = memory();
  const busy = cpuUs(agent);
  const from = performance.now();
  await pause(10_000);
  const idle = (cpuUs(agent) - busy) / 1000 / (performance.now() - from);
  const status = JSON.stringify(await alchemist.nodeStatus(instance)).length;
  const whole = (after.cells + after.daemon) / MiB;
  const each = (after.cells - before.cells) / MiB / count;
  return [
    atMostRow(`${count} agents, desired to all answering`, 's', took, 60, 15),
    atMostRow(`${count} agents, memory of daemon and cells (PSS)`, 'MiB', whole, 4096, 2048),
    atMostRow(`memory per idle shared workload (PSS), ${count} of them`, 'MiB', each, 3, 1.5),
    { name: 'cpu of a start, daemon', unit: 'ms', value: (spent.daemon - worked.daemon) / 1000 / count },
    { name: 'cpu of a start, cells', unit: 'ms', value: (spent.cells - worked.cells) / 1000 / count },
    { name: `${count} agents, cells`, unit: 'processes', value: after.processes },
    { name: `${count} agents, daemon alone (PSS)`, unit: 'MiB', value: after.daemon / MiB },
    { name: `${count} idle agents, cpu of the daemon`, unit: 'cores', value: idle },
    atMostRow(`${count} agents, status as the hub keeps it`, 'KiB', status / 1024, 1024, 512),
  ];
}

async function answers(world: World, i: number): Promise<boolean> {
  try {
    const reply = await world.leaf.request(`cim.v1.call.${capabilityOf(i)}`, String(i), { timeout: 10_000 });
    return reply.string() === String(i);
  } catch {
    return false;
  }
}

/** Does `work` for 0 to `count` - 1, so many at a time. */
async function inLines(lines: number, count: number, work: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const line = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: lines }, line));
}
