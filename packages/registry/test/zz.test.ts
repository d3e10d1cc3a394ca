import { createServer } from 'node:http';
import { systemClock as clock, readBundle, topology } from '@cim/contracts';
import { capturedLog, largeBundle, natsServer } from '@cim/testkit';
import { jetstream } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { test } from 'vitest';
import { spool } from '../src/spool.ts';
import { createHub } from '../src/store/hub.ts';
import { createObjects } from '../src/store/objects.ts';
import { applyTopology } from '../src/store/topology-apply.ts';

test('t', async () => {
  await using nats = await natsServer();
  const hub = createHub({ clock, random: () => 0.5, log: capturedLog(), config: { url: nats.url }, domain: 'hub' });
  await hub.start();
  await applyTopology(await hub.up(AbortSignal.timeout(10_000)), clock, { replicas: 1, storage: 'file' });
  const objects = createObjects(hub, clock, topology.bundles);
  const store = await new Objm(jetstream(hub.current()!.connection)).open('CIM_BUNDLES');
  const out: string[] = [];
  for (let i = 0; i < 4; i++) {
    const big = await largeBundle(64 * 2 ** 20, {
      name: 'big',
      version: `1.0.${i}`,
      sequence: i + 1,
      entry: `export default ${i}`,
    });
    let t = performance.now();
    const lap = () => {
      const n = performance.now();
      const d = (n - t) | 0;
      t = n;
      return d;
    };
    await store.put(
      { name: 'raw' + i },
      new ReadableStream({
        start(c) {
          c.enqueue(big.bytes);
          c.close();
        },
      }),
    );
    const raw = lap();
    async function* chunks() {
      for (let j = 0; j < big.bytes.length; j += 65536) yield big.bytes.subarray(j, j + 65536);
    }
    const s = await spool(chunks(), big.bytes.length);
    const sp = lap();
    await readBundle(s.read());
    const rd = lap();
    await objects.keep(big.statement.digest, s.size, () => s.read());
    const kp = lap();
    await s.close();
    const srv = createServer(async (req, res) => {
      for await (const _ of req) void _;
      res.end('x');
    }).listen(0);
    await new Promise((r) => srv.once('listening', r));
    t = performance.now();
    await (await fetch(`http://127.0.0.1:${(srv.address() as any).port}`, { method: 'POST', body: big.bytes as never })).text();
    const up = lap();
    srv.close();
    const { bytes } = await objects.open(big.statement.digest);
    for await (const _ of bytes) void _;
    const op = lap();
    await store.getBlob('raw' + i);
    out.push(`raw put ${raw} spool ${sp} read ${rd} keep ${kp} upload ${up} open ${op} raw get ${lap()}`);
  }
  await hub.stop();
  console.log(out.join('\n'));
}, 120000);
