import { test } from 'vitest';
import { largeBundle } from '@cim/testkit';
import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { Objm, setSha256Backend } from '@nats-io/obj';
import { nodeStatus, tokenOf, workloadStatus, world } from './support.ts';
test('t', async () => {
  await using hub = await world();
  const r = await hub.registry({ limits: { maxBundle: 2 ** 28, requestsPerMinute: 1000000 } , log: {level:'info'}});
  setSha256Backend('native');
  const out: string[] = [];
  const rss = async () => Number(/cim_registry_process_resident_memory_bytes (\d+)/.exec((await r.ask('GET', '/metrics')).body)?.[1]) / 2 ** 20;
  out.push(`rss idle ${await rss()}`);
  const store = await new Objm(jetstream(hub.admin)).open('CIM_BUNDLES');
  for (let i = 0; i < 3; i++) {
    const big = await largeBundle(64 * 2 ** 20, { name: 'big', version: `1.0.${i}`, sequence: i + 1, entry: `export default ${i}` });
    let t = performance.now();
    await store.put({ name: 'raw' + i }, new ReadableStream({ start(c) { c.enqueue(big.bytes); c.close(); } }));
    const raw = performance.now() - t;
    t = performance.now();
    const s = (await r.publish(big)).status;
    const pub = performance.now() - t;
    t = performance.now();
    await store.getBlob('raw' + i);
    const get = performance.now() - t;
    t = performance.now();
    const a = await fetch(`${r.url}/api/v1/bundles/${big.statement.digest}`, { headers: { authorization: `Bearer ${tokenOf('viewer')}` } });
    await a.arrayBuffer();
    out.push(`${s} raw put ${raw | 0} publish ${pub | 0}; raw get ${get | 0} http get ${(performance.now() - t) | 0} rss ${await rss()}`);
  }
  const kv = await new Kvm(jetstream(hub.admin)).open('CIM_NODES');
  const w = Array.from({ length: 3 }, (_, i) => workloadStatus('w' + i, `sha256:${'a'.repeat(64)}` as never, 1));
  const cpu = async () => Number(/cim_registry_process_cpu_seconds_total ([\d.]+)/.exec((await r.ask('GET', '/metrics')).body)?.[1]);
  let c = await cpu();
  let t = performance.now();
  for (let k = 0; k < 3; k++) for (let i = 0; i < 1000; i += 100) await Promise.all(Array.from({ length: 100 }, (_, j) => kv.put(`cim-${i + j}`, JSON.stringify(nodeStatus(`cim-${i + j}`, { workloads: w })))));
  out.push(`3000 heartbeats in ${(performance.now() - t) | 0} ms, registry cpu ${(await cpu()) - c} s`);
  for (let i = 0; i < 3; i++) { t = performance.now(); const n = (await r.ask('GET', '/api/v1/nodes')).body.nodes.length; out.push(`nodes ${n} ${(performance.now() - t) | 0} ms`); }
  t = performance.now();
  const one = async () => { for (let i = 0; i < 250; i++) await r.ask('GET', '/api/v1/whoami'); };
  await Promise.all([one(), one(), one(), one()]);
  out.push(`1000 whoami ${(performance.now() - t) | 0} ms`);
  t = performance.now();
  const two = async () => { for (let i = 0; i < 250; i++) await r.ask('GET', '/api/v1/desired?instance=a'); };
  await Promise.all([two(), two(), two(), two()]);
  out.push(`1000 desired ${(performance.now() - t) | 0} ms`);
  out.push(`rss ${await rss()}`);
  console.log(out.join('\n'));
}, 120000);
