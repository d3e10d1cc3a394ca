/** What a workload may keep: its bucket takes so many bytes and no more, and says which limit that is. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Fault } from '@cim/contracts';
import { type NatsProcess, startNatsServer } from '@cim/fleet';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openWorkloadBucket } from '../../src/hub/leaf-streams.ts';
import { createWorkloadKv } from '../../src/hub/workload-kv.ts';

let directory: string;
let server: NatsProcess;
let connection: NatsConnection;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cim-storage-'));
  server = await startNatsServer({ name: 'cim-a', domain: 'cim-a', directory: join(directory, 'leaf'), users: [] });
  connection = await connect({ servers: server.url });
});
afterAll(async () => {
  await connection.close();
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

test('a full bucket refuses with storage-exceeded, and takes again after a delete', async () => {
  const kv = createWorkloadKv({
    ready: async () => connection,
    open: (to) => openWorkloadBucket(to, 'agent', 'hoarder', 256 * 1024),
  });
  let fault: Fault | undefined;
  let stored = 0;
  for (; stored < 100 && !fault; stored += 1)
    await kv.put(`k${stored}`, JSON.stringify('x'.repeat(16 * 1024))).catch((error: Fault) => {
      fault = error;
    });
  expect(fault?.code).toBe('storage-exceeded');
  expect(fault?.detail).toContain('resources.storage');
  expect(stored).toBeLessThan(20);
  expect((await kv.entry('k0'))?.value).toHaveLength(16 * 1024);
  // Nothing could ever be put again if what is full could not be emptied.
  await kv.delete('k0');
  await kv.delete('k1');
  expect(await kv.entry('k0')).toBeUndefined();
  await kv.put('again', JSON.stringify('x'.repeat(16 * 1024)));
});
