/**
 * Rows of the threat model (docs/security.md) that no room's own tests show: what somebody on the link between a leaf and its hub sees and
 * can pretend, that a registry is nobody by mistake, and what one workload sees of another's storage. Real nats-servers, with the
 * configuration the product writes.
 */
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { WorkloadName, workloadBucket } from '@cim/contracts';
import { type NatsProcess, startNatsServer } from '@cim/fleet';
import { type TemporaryDirectory, temporaryDirectory, testAuthority, waitFor } from '@cim/testkit';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openWorkloadBucket } from '../packages/node-agent/src/hub/leaf-streams.ts';
import { createWorkloadKv } from '../packages/node-agent/src/hub/workload-kv.ts';
import { demandIdentity } from '../packages/registry/src/config.ts';

const PASSWORD = 'planted-password-5b1f0c77e2';
const PAYLOAD = 'planted-payload-91d3a6f04c';
const authority = testAuthority('the hub’s own');
const stranger = testAuthority('somebody else’s');

let folder: TemporaryDirectory;
let parts: AsyncDisposableStack;
beforeEach(() => {
  folder = temporaryDirectory('cim-threats');
  parts = new AsyncDisposableStack();
});
afterEach(async () => {
  await parts.disposeAsync();
  folder[Symbol.dispose]();
});

const write = (name: string, text: string): string => {
  const file = join(folder.path, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
};
const joined = async (server: NatsProcess, user: { user?: string; pass?: string } = {}): Promise<NatsConnection> => {
  const connection = await connect({ servers: server.url, ...user });
  parts.defer(() => connection.close());
  return connection;
};

/** A hub that leaves join over TLS, with a certificate of this authority, or in the clear. */
async function hubOf(by?: typeof authority): Promise<NatsProcess> {
  const { cert, key } = (by ?? authority).issue({ name: 'localhost' });
  const options = {
    name: 'hub',
    domain: 'hub',
    directory: join(folder.path, 'hub'),
    leaves: true,
    users: [
      { user: 'admin', password: 'a' },
      { user: 'leaf', password: PASSWORD },
    ],
    ...(by === undefined ? {} : { leafTls: { certFile: write('hub.crt', cert), keyFile: write('hub.key', key) } }),
  };
  return parts.use(await startNatsServer(options));
}

/** A leaf that believes our authority and no other, and reaches the hub at this port. */
async function leafTo(port: number, tls: boolean): Promise<NatsProcess> {
  const url = `${tls ? 'tls' : 'nats-leaf'}://leaf:${PASSWORD}@127.0.0.1:${port}`;
  const remote = { url, ...(tls ? { caFile: write('ca.crt', authority.cert) } : {}) };
  const options = { name: 'leaf', domain: 'leaf', directory: join(folder.path, 'leaf'), users: [], remotes: [remote] };
  return parts.use(await startNatsServer(options));
}

/** Somebody on the way: passes everything on and keeps a copy. */
async function listener(port: number): Promise<{ readonly port: number; seen(): Buffer; tries(): number }> {
  const heard: Buffer[] = [];
  const open = new Set<Socket>();
  let tries = 0;
  const copied = (from: Socket, to: Socket) => {
    open.add(from);
    from.on('data', (bytes) => {
      heard.push(bytes);
      to.write(bytes);
    });
    from.on('error', () => {});
    from.on('close', () => to.destroy());
  };
  const server: Server = createServer((near) => {
    tries += 1;
    const far = connectTcp(port, '127.0.0.1');
    copied(near, far);
    copied(far, near);
  });
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', up));
  parts.defer(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, seen: () => Buffer.concat(heard), tries: () => tries };
}

/** Sends the payload from the leaf to the hub. @returns when the hub has it */
async function speakAcross(hub: NatsProcess, leaf: NatsProcess): Promise<void> {
  await waitFor(async () => (await leaf.links()) > 0, 20_000, 'the leaf to join');
  const above = await joined(hub, { user: 'admin', pass: 'a' });
  const below = await joined(leaf);
  let heard = '';
  above.subscribe('orders.new', {
    callback: (_, message) => {
      heard = message.string();
    },
  });
  await above.flush();
  // The hub's interest takes a moment to reach the leaf.
  await waitFor(
    () => {
      below.publish('orders.new', PAYLOAD);
      return heard === PAYLOAD;
    },
    10_000,
    'the message at the hub',
  );
}

describe('somebody on the link', () => {
  test('reads neither password nor message where the link has TLS', async () => {
    const hub = await hubOf(authority);
    const wire = await listener(hub.leafPort!);
    await speakAcross(hub, await leafTo(wire.port, true));
    expect(wire.seen().length).toBeGreaterThan(1_000);
    for (const planted of [PASSWORD, PAYLOAD, 'orders.new'])
      expect([planted, wire.seen().includes(planted)]).toEqual([planted, false]);
  });

  test('reads both where it has none: the copy above looked in the right place', async () => {
    const hub = await hubOf();
    const wire = await listener(hub.leafPort!);
    await speakAcross(hub, await leafTo(wire.port, false));
    for (const planted of [PASSWORD, PAYLOAD]) expect([planted, wire.seen().includes(planted)]).toEqual([planted, true]);
  });

  test('cannot pass for the hub: a certificate of another authority is told nothing, again and again', async () => {
    const hub = await hubOf(stranger);
    const wire = await listener(hub.leafPort!);
    const leaf = await leafTo(wire.port, true);
    await waitFor(() => wire.tries() >= 3, 20_000, 'the leaf to try three times');
    expect([await leaf.links(), await hub.links()]).toEqual([0, 0]);
    expect(wire.seen().includes(PASSWORD)).toBe(false);
  });

  test('cannot talk a leaf out of TLS: a hub that offers none is told nothing', async () => {
    const hub = await hubOf();
    const wire = await listener(hub.leafPort!);
    const leaf = await leafTo(wire.port, true);
    await waitFor(() => wire.tries() >= 3, 20_000, 'the leaf to try three times');
    expect([await leaf.links(), await hub.links()]).toEqual([0, 0]);
    expect(wire.seen().includes(PASSWORD)).toBe(false);
  });
});

test('a registry joins no hub without saying who it is, unless that was asked for', () => {
  const nats = { url: 'nats://127.0.0.1:4222', domain: 'hub' };
  expect(() => demandIdentity({ nats })).toThrow(/insecureDev/);
  for (const more of [{ user: 'registry' }, { credentialsFile: 'registry.creds' }, { insecureDev: true }])
    expect(() => demandIdentity({ nats: { ...nats, ...more } })).not.toThrow();
});

describe('storage of workloads on one leaf', () => {
  test('is apart: what one keeps another neither lists, reads nor overwrites', async () => {
    const server = parts.use(
      await startNatsServer({ name: 'leaf', domain: 'leaf', directory: join(folder.path, 'l'), users: [] }),
    );
    const connection = await joined(server);
    const of = (kind: 'agent' | 'service', name: string) =>
      createWorkloadKv({
        ready: async () => connection,
        open: (to) => openWorkloadBucket(to, kind, WorkloadName.parse(name), 1024 * 1024),
      });
    const [mine, ...others] = [of('agent', 'mine'), of('service', 'mine'), of('agent', 'mine-too')] as const;
    await mine.put('key', '"mine"');
    for (const other of others) {
      expect(await other.keys('')).toEqual([]);
      expect(await other.entry('key')).toBeUndefined();
      await other.put('key', '"theirs"');
      await other.delete('key');
    }
    expect((await mine.entry('key'))?.value).toBe('mine');
  });

  test('has a bucket of its own for every kind and name', () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '-', '_', '0'), minLength: 1, maxLength: 6 });
    const one = fc.tuple(
      fc.constantFrom('agent', 'service'),
      name.filter((text) => WorkloadName.safeParse(text).success),
    );
    fc.assert(
      fc.property(one, one, ([kind, name], [otherKind, otherName]) => {
        const same = kind === otherKind && name === otherName;
        expect(workloadBucket(kind, name) === workloadBucket(otherKind, otherName)).toBe(same);
      }),
    );
  });
});
