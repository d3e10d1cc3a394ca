/**
 * A 64 MiB bundle: publish (verified, over HTTP) over a raw object-store put, and pull to the leaf (verified, on disk, fsynced) over the
 * same chunks got raw on the leaf: in batches, hashed natively as a client of the object store does (NATS ADR-20), not kept. The pull counts from
 * the moment the desired document is at the hub; what the order costs before that is in the rows on deploys.
 */
import { createHash, randomBytes } from 'node:crypto';
import { dataOf, desiredKey, hubInboxPrefix, objectName, streamName, topology } from '@cim/contracts';
import { jetstream } from '@nats-io/jetstream';
import { Objm, setSha256Backend } from '@nats-io/obj';
import { createInbox } from '@nats-io/transport-node';
import { median, type Row, ratioRow } from './row.ts';
import { bundleOf, echoEntry, type World } from './world.ts';

const MiB = 2 ** 20;

export async function bundleRows(world: World, rounds: number): Promise<Row[]> {
  setSha256Backend('native');
  const size = 64 * MiB;
  const raw = await new Objm(jetstream(world.hub)).create('BENCH_RAW');
  const store = await new Objm(jetstream(world.hub)).open(topology.bundles.name);
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
    const { nuid, chunks } = (await store.info(objectName(bundle.digest)))!;
    get.push(await seconds(() => rawGet(world, nuid, chunks, bundle.digest)));
    // From the desired document at the hub to the event that the bundle is pulled, verified and on disk.
    const ordered = new Promise<number>((resolve) => {
      const subject = `$KV.${topology.desired.name}.${desiredKey({ instance: world.instance, kind: 'agent', name })}`;
      world.hub.subscribe(subject, { max: 1, callback: () => resolve(performance.now()) });
    });
    const fetched = new Promise<number>((resolve) => {
      world.leaf.subscribe(`cim.v1.evt.${world.instance}.bundle.${name}.fetched`, {
        max: 1,
        callback: () => resolve(performance.now()),
      });
    });
    await Promise.all([world.leaf.flush(), world.hub.flush()]);
    await world.alchemist.deploy({ name, instance: world.instance, wait: false });
    const begun = await ordered;
    pull.push(((await fetched) - begun) / 1000);
    await world.alchemist.undeploy({ name, instance: world.instance });
    await raw.delete(`raw-${round}`);
  }
  const rate = (times: readonly number[]) => size / MiB / median(times);
  return [
    { name: 'publish 64 MiB', unit: 'MiB/s', value: rate(publish), floor: rate(put), ratio: rate(publish) / rate(put) },
    ratioRow('pull 64 MiB through a leaf, verified', 'MiB/s', rate(pull), rate(get), 0.8, 0.95),
  ];
}

/** Every chunk of an object, through the leaf, by as bare a client as can be: batches of direct gets (NATS ADR-31), one after the other. */
async function rawGet({ asNode, instance }: World, nuid: string, chunks: number, digest: string): Promise<void> {
  const hash = createHash('sha256');
  let from = 1;
  let left = chunks;
  while (left > 0) {
    const inbox = createInbox(hubInboxPrefix('node', instance));
    const done = Promise.withResolvers<void>();
    const batch = asNode.subscribe(inbox, {
      callback: (error, { headers, data }) => {
        if (error) return done.reject(error);
        if (headers?.code)
          return headers.code === 204 ? done.resolve() : done.reject(new Error(`raw get: ${headers.description}`));
        hash.update(data);
        from = Number(headers?.get('Nats-Sequence')) + 1;
        left--;
      },
    });
    const ask = { seq: from, next_by_subj: `${dataOf(topology.bundles)}.C.${nuid}`, batch: 64 };
    asNode.publish(`$JS.hub.API.DIRECT.GET.${streamName(topology.bundles)}`, JSON.stringify(ask), { reply: inbox });
    await done.promise;
    batch.unsubscribe();
  }
  if (!digest.endsWith(hash.digest('hex'))) throw new Error('raw get: other bytes than were put');
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}
