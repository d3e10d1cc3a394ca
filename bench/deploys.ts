/**
 * From a change at the hub to what the leaf does about it: desired change to action (over a bare pull on the same leaf), and
 * deploy to first answered call with the bundle cached.
 */
import { dataOf, desiredKey, hubInboxPrefix, READERS, readerConsumer, topology } from '@cim/contracts';
import { type ConsumerConfig, DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { createInbox, nanos } from '@nats-io/transport-node';
import { atMostRow, median, percentile, type Row } from './row.ts';
import { pause } from './waiting.ts';
import { bundleOf, echoEntry, type World, world } from './world.ts';

/** Milliseconds from the acknowledged write of a desired change to the node's event that it acts on it. */
export async function desiredRows(world: World, count: number): Promise<Row[]> {
  const { alchemist, instance } = world;
  const bundle = await bundleOf('bench-change', echoEntry('bench.change'), ['bench.change']);
  await alchemist.deploy({ bundle, instance });
  const key = desiredKey({ instance, kind: 'agent', name: 'bench-change' });
  let heard: (() => void) | undefined;
  const events = world.leaf.subscribe(`cim.v1.evt.${instance}.agent.bench-change.starting`, { callback: () => heard?.() });
  await world.leaf.flush();
  const took: number[] = [];
  for (let i = 0; i < count; i++) {
    const write = await world.amend(key, { config: { i } });
    const acted = new Promise<void>((resolve) => {
      heard = resolve;
    });
    const begun = performance.now();
    // Written as the registry writes it: the way from the hub's store to the leaf is what is measured.
    const generation = await write();
    await acted;
    took.push(performance.now() - begun);
    await settled(world, 'bench-change', generation);
  }
  events.unsubscribe();
  const floor = await pullFloor(world, count);
  return [
    {
      name: 'desired change to action, p50',
      unit: 'ms',
      value: median(took),
      floor: median(floor),
      ratio: median(took) / median(floor),
    },
    atMostRow('desired change to action, p99', 'ms', percentile(took, 0.99), 50, 10, percentile(floor, 0.99)),
  ];
}

/** The same way without us: a KV write at the hub to a bare pull on the leaf. What is written is no document; the node refuses it and goes on. */
async function pullFloor(world: World, count: number): Promise<number[]> {
  const bucket = await new Kvm(jetstream(world.hub)).open(topology.desired.name);
  const key = `${world.instance}.agent.bench-floor`;
  const reader = await bareReader(world, key);
  const took: number[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const seen = reader.next();
      const begun = performance.now();
      await bucket.put(key, String(i));
      took.push((await seen) - begun);
    }
  } finally {
    await reader.stop();
  }
  await bucket.purge(key);
  return took;
}

/**
 * Reads a desired key on the leaf as the node does and does nothing with it: from a consumer such as the registry makes, under the node's own
 * permissions.
 */
async function bareReader(world: World, key: string) {
  const { stream, config } = readerConsumer(world.instance, { row: 'desired', slot: READERS - 1, from: 'last' });
  const jsm = await jetstreamManager(world.hub);
  const consumer = { ...config, filter_subject: `${dataOf(topology.desired)}.${key}`, deliver_policy: DeliverPolicy.New };
  await jsm.consumers.add(stream, consumer as Partial<ConsumerConfig>);
  let heard: (() => void) | undefined;
  const inbox = createInbox(hubInboxPrefix('node', world.instance));
  const pulled = world.asNode.subscribe(inbox, { callback: (_, { headers }) => void (headers?.code ? undefined : heard?.()) });
  world.asNode.publish(
    `$JS.hub.API.CONSUMER.MSG.NEXT.${stream}.${config.name}`,
    JSON.stringify({ batch: MOST_READ, expires: nanos(100_000) }),
    { reply: inbox },
  );
  await world.asNode.flush();
  return {
    /** When the next change was there, as `performance.now()` says it. To be called before it is written. @throws Error after a while */
    next() {
      const seen = new Promise<number>((resolve, reject) => {
        const late = setTimeout(
          () => reject(new Error(`the bare reader did not see the change within ${LATE_MS} ms`)),
          LATE_MS,
        );
        heard = () => {
          clearTimeout(late);
          resolve(performance.now());
        };
      });
      // Whoever failed before it waited for this has told why already.
      seen.catch(() => {});
      return seen;
    },
    async stop() {
      pulled.unsubscribe();
      await jsm.consumers.delete(stream, config.name);
    },
  };
}
/** More changes than any row makes. */
const MOST_READ = 1_000;
const LATE_MS = 30_000;

async function settled(world: World, name: string, generation: number): Promise<void> {
  for (;;) {
    const status = await world.alchemist.nodeStatus(world.instance);
    const found = status.workloads.find((one) => one.name === name);
    if (found?.generation === generation && found.converged) return;
    await pause(5);
  }
}

/** Milliseconds from the deploy as the node sees it to the first answered call; the bundle is on the leaf already. */
export async function coldStartRows(world: World, count: number): Promise<Row[]> {
  const rows: Row[] = [];
  // Keeps a shared cell of this publisher alive: "running cell" means that one is there.
  await world.alchemist.deploy({
    bundle: await bundleOf('bench-keeper', echoEntry('bench.keeper'), ['bench.keeper']),
    instance: world.instance,
  });
  for (const [isolation, gate, goal, what] of [
    ['dedicated', 20, 6, 'spare cell'],
    ['shared', 10, 4, 'running cell'],
  ] as const) {
    const name = `bench-start-${isolation}`;
    const capability = `bench.start-${isolation}`;
    const bundle = await bundleOf(name, echoEntry(capability), [capability]);
    await world.alchemist.deploy({ bundle, instance: world.instance, isolation });
    const took = await starts(world, name, capability, isolation, count);
    rows.push(atMostRow(`deploy to first answer, ${isolation} (${what}), p50`, 'ms', median(took), gate, goal));
  }
  return rows;
}

/** The same with no spare cell: a process has to be started first. On a node of its own. */
export async function nothingWarmRow(count: number): Promise<Row> {
  const here = await world({ spareCells: 0 });
  try {
    const bundle = await bundleOf('bench-cold', echoEntry('bench.cold'), ['bench.cold']);
    await here.alchemist.deploy({ bundle, instance: here.instance, isolation: 'dedicated' });
    const took = await starts(here, 'bench-cold', 'bench.cold', 'dedicated', count);
    return atMostRow('deploy to first answer, nothing warm, p50', 'ms', median(took), 200, 110);
  } finally {
    await here.close();
  }
}

/**
 * Milliseconds from a desired change to the first answer, each from none to one replica. The change is there when a bare reader on the same leaf
 * has it: the way from the hub is a row of its own (`desired change to action`).
 */
async function starts(
  world: World,
  name: string,
  capability: string,
  isolation: 'shared' | 'dedicated',
  count: number,
): Promise<number[]> {
  const key = desiredKey({ instance: world.instance, kind: 'agent', name });
  const reader = await bareReader(world, key);
  const took: number[] = [];
  try {
    for (let i = 0; i < count; i++) {
      await world.alchemist.deploy({ name, instance: world.instance, isolation, replicas: 0 });
      const write = await world.amend(key, { replicas: 1 });
      // A spare cell is refilled in the background: give it the time it has in life.
      await pause(400);
      const seen = reader.next();
      await write();
      for (;;) {
        try {
          await world.leaf.request(`cim.v1.call.${capability}`, '1', { timeout: 2_000 });
          break;
        } catch {
          // No responders yet. A pause, or the asking would take the core the node starts on.
          await pause(1);
        }
      }
      took.push(performance.now() - (await seen));
    }
  } finally {
    await reader.stop();
  }
  return took;
}
