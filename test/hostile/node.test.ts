/**
 * The core of the suite on a real node: nats-server, registry and node-agent as processes. Besides what the caller sees, the state and
 * its reason, the events and the counters must say what happened. `npm run test:hostile` brings every bundle here.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { all } from './cases/all.ts';
import { sweep, type Verdict } from './judge.ts';
import { loopDelay, type Metrics, readMetrics } from './metrics.ts';
import { type NodeWall, nodeWall, uncounted } from './node.ts';
import { worstOf } from './report.ts';
import { Neighbour, percentile } from './watch.ts';

const CORE = [
  'load-spin',
  'load-throw',
  'load-memory',
  'start-throws',
  'spin-for',
  'three-in-a-row',
  'includes-endless',
  'regex-catastrophe',
  'loop-after-await',
  'never-settles',
  'lost-rejection-getter',
  'strings',
  'map-flood',
  'array-like-sort',
  'resizable-buffers',
  'answer-large',
  'answer-proxy-spin',
  'throw-getter-spin',
  'prepare-stack-trace',
  'json-replaced',
  'log-flood',
  'metric-flood',
  'kv-put-flood',
  'publish-flood',
  'publish-reserved',
  'emit-flood',
  'emit-reserved',
  'secret-not-granted',
  'reach-process',
  'eval-function',
];
const WIDTH = 4;

let wall: NodeWall;
let neighbour: Neighbour;
let before: Metrics;
let quietMs = 0;
let verdicts: ReadonlyMap<string, Promise<Verdict>>;

beforeAll(async () => {
  wall = await nodeWall();
  neighbour = new Neighbour(await wall.neighbour());
  await new Promise((done) => setTimeout(done, 500));
  quietMs = percentile(neighbour.take(), 0.99);
  before = await readMetrics(wall.agentUrl);
  verdicts = sweep(
    wall,
    all.filter(({ name }) => CORE.includes(name)),
    WIDTH,
  );
}, 120_000);
afterAll(async () => {
  await neighbour?.stop();
  await wall?.[Symbol.asyncDispose]();
});

test.each(CORE)('%s', { timeout: 90_000 }, async (name) => {
  const { problems } = await verdicts.get(name)!;
  expect(problems).toEqual([]);
});

test('three strikes are quarantine, said with a reason; a mended version lifts it', { timeout: 90_000 }, async () => {
  const one = all.find(({ name }) => name === 'reverse-endless')!;
  const { world } = wall;
  await wall.open(one);
  for (let strike = 1; strike <= 3; strike++) {
    await world.call(`${one.name}.do`, 'bad', { instance: wall.instance, timeout: '2500ms' }).catch(() => {});
    await world.until(
      wall.instance,
      one.name,
      ({ state, restarts }) => state === 'quarantined' || (restarts >= strike && state === 'ready'),
      `restarted ${strike} times`,
    );
  }
  const status = await world.workloadOf(wall.instance, one.name);
  expect(status).toMatchObject({ state: 'quarantined', reason: { code: 'quarantined' } });
  await expect(world.call(`${one.name}.do`, 'well', { instance: wall.instance, timeout: '2s' })).rejects.toMatchObject({
    code: expect.toBeOneOf(['quarantined', 'capability-unknown']),
  });
  const manifest = { capabilities: { [`${one.name}.do`]: {} } };
  const entry = `export default { kind: 'agent', api: 1, capabilities: { '${one.name}.do': { handle: () => 'mended' } } };`;
  await world.deploySource({ name: one.name, version: '2.0.0', entry, manifest }, wall.instance, { isolation: 'dedicated' });
  expect(await world.call(`${one.name}.do`, 'well', { instance: wall.instance })).toBe('mended');
});

test('every ending was counted, the neighbour was served, the event loop was not held up', async () => {
  const done = await Promise.all(verdicts.values());
  const delay = loopDelay(before, await readMetrics(wall.agentUrl));
  const times = neighbour.take();
  process.stdout.write(`${worstOf(done, { delay, quietMs, busyMs: percentile(times, 0.99), answered: times.length })}\n`);
  expect(await uncounted(wall)).toEqual([]);
  expect(neighbour.faults).toEqual([]);
  expect(times.length).toBeGreaterThan(50);
  // The goal is 20 ms on a quiet machine; four hostile bundles at a time on two shared cores are not that.
  expect(delay.p99Ms).toBeLessThanOrEqual(1_000);
});
