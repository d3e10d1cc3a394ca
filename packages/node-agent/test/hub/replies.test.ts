/**
 * Who asks says where the answer goes, and the node answers with its own rights, on its own leaf too. So it answers into inboxes and nowhere
 * else: not into a key of its hub or of a workload's own store, not to a JetStream API.
 */
import { subjectOf, systemClock } from '@cim/contracts';
import { natsServer, waitFor } from '@cim/testkit';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCallServer } from '../../src/hub/calls.ts';
import { serveCommands } from '../../src/hub/commands.ts';
import type { Leaf } from '../../src/hub/leaf.ts';
import { serveServicesProtocol } from '../../src/hub/services.ts';
import { leafOf } from './place.ts';

const INSTANCE = 'cim-a';
let server: Awaited<ReturnType<typeof natsServer>>;
let asker: NatsConnection;
let leaf: Leaf;
const routed: string[] = [];
beforeAll(async () => {
  server = await natsServer({});
  leaf = leafOf(server.url);
  await leaf.start();
  await leaf.ready(5_000);
  const calls = createCallServer({
    leaf,
    instance: INSTANCE,
    monotonic: () => systemClock.monotonic(),
    serve: ({ input }, done) => {
      routed.push(input);
      done(input, { kind: 'agent', name: 'echo', version: '1.0.0' });
    },
  });
  calls.offer(['echo.say']);
  const at = new Date(0).toISOString();
  serveCommands({
    leaf,
    instance: INSTANCE,
    status: () => ({ instance: INSTANCE, phase: 'running', health: 'healthy', at }) as never,
    check: async () => ({ instance: INSTANCE, results: [] }),
    drain: () => 'drained',
  });
  serveServicesProtocol({
    leaf,
    instance: INSTANCE,
    id: 'X',
    version: '1.0.0',
    startedAt: at,
    offers: () => ['echo.say'],
    counts: () => calls.counts(),
  });
  await leaf.current()!.flush();
  asker = await connect({ servers: server.url });
});
afterAll(async () => {
  await asker?.close();
  await leaf?.stop();
  await server?.[Symbol.asyncDispose]();
});

const requests: readonly (readonly [subject: string, payload: string])[] = [
  [subjectOf('call', { capability: 'echo.say' }), '"forged"'],
  [subjectOf('callAt', { instance: INSTANCE, capability: 'echo.say' }), '"forged"'],
  [subjectOf('status', { instance: INSTANCE }), ''],
  [subjectOf('probe', { instance: INSTANCE }), ''],
  [subjectOf('check', { instance: INSTANCE }), '{"checks":["connectivity"]}'],
  [subjectOf('check', { instance: INSTANCE }), 'no request'],
  [subjectOf('drain', { instance: INSTANCE }), '{"drain":true}'],
  ['$SRV.PING', ''],
  ['$SRV.INFO.cim-node-agent', ''],
  ['$SRV.STATS.cim-node-agent.X', ''],
];

test.each(requests)('%s is answered into an inbox', async (subject, payload) => {
  const answer = await asker.request(subject, payload, { timeout: 5_000 });
  expect(answer.data.length).toBeGreaterThan(0);
});

test('and nowhere else, whatever is asked', async () => {
  const places = [
    '$KV.CIM_WL_agent_bank.balance',
    '$JS.hub.API.$KV.CIM_NODES.cim-a',
    '$JS.API.STREAM.DELETE.CIM_EVENTS',
    'cim.v1.fwd.cim-a.agent.x.said',
    'cim.v1.evt.cim-a.agent.x.said',
    'cim.v1.read.cim-a',
    '_INBOXES.x',
    'x_INBOX.y',
  ];
  const seen: string[] = [];
  for (const place of places) asker.subscribe(place, { callback: (_, { subject }) => void seen.push(subject) });
  await asker.flush();
  const before = routed.length;
  for (const place of places) for (const [subject, payload] of requests) asker.publish(subject, payload, { reply: place });
  // The last question is a good one: when it is answered, all before it were dealt with.
  await asker.request(requests[0]![0], '"last"', { timeout: 5_000 });
  await waitFor(() => routed.includes('"last"'), 5_000, 'the good call');
  await asker.flush();
  expect(seen).toEqual([]);
  expect(routed.slice(before)).toEqual(['"last"']);
});
