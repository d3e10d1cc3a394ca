/**
 * A 64 MiB bundle: publish (verified, over HTTP) over a raw object-store put, and pull to the leaf (verified, on disk, fsynced) over a raw
 * object-store get on the leaf with the native hash.
 */
import { randomBytes } from 'node:crypto';
import { objectName, topology } from '@cim/contracts';
import { jetstream } from '@nats-io/jetstream';
import { Objm, setSha256Backend } from '@nats-io/obj';
import { median, type Row, ratioRow } from './row.ts';
import { bundleOf, echoEntry, type World } from './world.ts';

const MiB = 2 ** 20;

export async function bundleRows(world: World, rounds: number): Promise<Row[]> {
  setSha256Backend('native');
  const size = 64 * MiB;
  const raw = await new Objm(jetstream(world.hub)).create('BENCH_RAW');
  const rawAtLeaf = await new Objm(jetstream(world.asNode, { domain: 'hub' })).open(topology.bundles.name);
  const put: number[] = [];
  const publish: number[] = [];
  const get: number[] = [];
  const pull: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const name = `bench-large-${round}`;
    const capability = `bench.large-${round}`;
    const bundle = world.alchemist.sign(
      await bundleOf(name, echoEntry(capability), [capability], {}, new Map([['blob.bin', new Uint8Array(randomBytes(size))]])),
    );
    put.push(await seconds(() => raw.putBlob({ name: `raw-${round}` }, bundle.bytes)));
    publish.push(await seconds(() => world.alchemist.publish(bundle)));
    get.push(
      await seconds(async () => {
        const object = await rawAtLeaf.get(objectName(bundle.digest));
        const reader = object!.data.getReader();
        while (!(await reader.read()).done);
        if (await object!.error) throw new Error('raw get failed');
      }),
    );
    // From the order to deploy to the event that the bundle is pulled, verified and on disk.
    const fetched = new Promise<void>((resolve) => {
      world.leaf.subscribe(`cim.v1.evt.${world.instance}.bundle.${name}.fetched`, { max: 1, callback: () => resolve() });
    });
    await world.leaf.flush();
    pull.push(
      await seconds(async () => {
        await world.alchemist.deploy({ name, instance: world.instance, wait: false });
        await fetched;
      }),
    );
    await world.alchemist.undeploy({ name, instance: world.instance });
    await raw.delete(`raw-${round}`);
  }
  const rate = (times: readonly number[]) => size / MiB / median(times);
  return [
    { name: 'publish 64 MiB', unit: 'MiB/s', value: rate(publish), floor: rate(put), ratio: rate(publish) / rate(put) },
    ratioRow('pull 64 MiB through a leaf, verified', 'MiB/s', rate(pull), rate(get), 0.8, 0.95),
  ];
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}
