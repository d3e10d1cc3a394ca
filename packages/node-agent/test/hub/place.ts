/**
 * A real hub and a real leaf with the permissions of the product, and the hub's topology as the registry makes it: where the tests of
 * hub/ stand. The node's side is under test, the hub's side is done here by an administrator.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hubInboxPrefix, objectName, readerConsumer, silentLogger, systemClock, topology, waitUntil } from '@cim/contracts';
import { serve } from '@cim/contracts/bus';
import { type NatsProcess, startNatsServer } from '@cim/fleet';
import { type ConsumerConfig, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { Objm, setSha256Backend } from '@nats-io/obj';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { createLeaf, type Leaf } from '../../src/hub/leaf.ts';

export const INSTANCE = 'cim-a';
export const inbox = hubInboxPrefix('node', INSTANCE);

/** The node's connection to a server of the test's own, without a hub behind it. */
export const leafOf = (url: string): Leaf =>
  createLeaf({ clock: systemClock, log: silentLogger, config: { url }, name: 'test', inboxPrefix: `_INBOX.node.${INSTANCE}` });

export interface Place {
  readonly directory: string;
  readonly hub: NatsProcess;
  readonly leafServer: NatsProcess;
  readonly leaf: Leaf;
  /** Sees everything at the hub. */
  readonly admin: NatsConnection;
  /** Puts a bundle of random bytes into the store. */
  putBundle(bytes: number): Promise<{ readonly digest: string; readonly bytes: Buffer }>;
  putDesired(key: string, text: string): Promise<number>;
  /** Undefined while the hub does not say: it is away, or only just back. */
  eventsAtHub(): Promise<number | undefined>;
  close(): Promise<void>;
}

export async function place(): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'cim-hub-'));
  const hub = await startNatsServer({
    name: 'hub',
    domain: 'hub',
    directory: join(directory, 'hub'),
    leaves: true,
    users: [
      { user: 'admin', password: 'a' },
      { user: 'leaf', password: 'l', party: { party: 'node', id: INSTANCE } },
    ],
  });
  const leafServer = await startNatsServer({
    name: INSTANCE,
    domain: INSTANCE,
    directory: join(directory, 'leaf'),
    users: [],
    remotes: [{ url: `nats-leaf://leaf:l@127.0.0.1:${hub.leafPort}` }],
  });
  const admin = await connect({ servers: hub.url, user: 'admin', pass: 'a', maxReconnectAttempts: -1, reconnectTimeWait: 100 });
  setSha256Backend('native');
  const js = jetstream(admin);
  const kvm = new Kvm(js);
  const desired = await kvm.create(topology.desired.name, { history: 4 });
  await kvm.create(topology.nodes.name, { ttl: topology.nodes.ttlMs });
  const bundles = await new Objm(js).create(topology.bundles.name);
  const jsm = await jetstreamManager(admin);
  // The registry's part: readers.ts there.
  serve(admin, 'read', {}, async (request, { instance }) => {
    const { stream, config } = readerConsumer(instance, request);
    await jsm.consumers.delete(stream, config.name).catch(() => {});
    const { num_pending } = await jsm.consumers.add(stream, config as Partial<ConsumerConfig>);
    return { stream, consumer: config.name, pending: num_pending };
  });
  await jsm.streams.add({
    name: topology.fleetEvents.name,
    subjects: [...topology.fleetEvents.subjects],
    subject_transform: topology.fleetEvents.transform,
    allow_direct: true,
  });
  const leaf = createLeaf({
    clock: systemClock,
    log: silentLogger,
    config: { url: leafServer.url },
    name: 'test',
    inboxPrefix: inbox,
  });
  await leaf.start();
  await leaf.ready(5_000);
  await waitUntil(systemClock, 5_000, async () => (await hub.links()) > 0);
  return {
    directory,
    hub,
    leafServer,
    leaf,
    admin,
    async putBundle(size) {
      const bytes = randomBytes(size);
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      await bundles.putBlob({ name: objectName(digest) }, bytes);
      return { digest, bytes };
    },
    putDesired: (key, text) => desired.put(key, text),
    eventsAtHub: () =>
      jsm.streams.info(topology.fleetEvents.name).then(
        ({ state }) => state.messages,
        () => undefined,
      ),
    async close() {
      await leaf.stop();
      await admin.close();
      await leafServer.stop();
      await hub.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
