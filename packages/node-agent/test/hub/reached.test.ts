/**
 * What a node says is there can be called: an offer counts from when its server has it, and not from when it was sent. Shown on a server
 * that stands still, and on one that is killed with the offer on its way.
 */
import { subjectOf, systemClock } from '@cim/contracts';
import { natsServer, waitFor } from '@cim/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CallServer, createCallServer } from '../../src/hub/calls.ts';
import type { Leaf } from '../../src/hub/leaf.ts';
import { leafOf } from './place.ts';

let server: Awaited<ReturnType<typeof natsServer>>;
let leaf: Leaf;
let calls: CallServer;
let arrivals: number;

beforeEach(async () => {
  server = await natsServer({});
  arrivals = 0;
  leaf = leafOf(server.url);
  calls = createCallServer({
    leaf,
    instance: 'cim-a',
    monotonic: () => systemClock.monotonic(),
    serve: ({ input }, done) => done(input, { kind: 'agent', name: 'echo', version: '1.0.0' }),
    arrived: () => void arrivals++,
  });
  await leaf.start();
  await leaf.ready(5_000);
});
afterEach(async () => {
  server?.server.resume();
  await leaf?.stop();
  await server?.[Symbol.asyncDispose]();
});

const ask = async (capability: string) => {
  const asker = await server.connect();
  return (await asker.request(subjectOf('call', { capability }), '1', { timeout: 5_000 })).string();
};

test('an offer has reached the server when the server says so, and is answered from then on', async () => {
  expect(calls.reached(['echo.say'])).toBe(true);
  server.server.pause();
  calls.offer(['echo.say']);
  calls.offer(['echo.say', 'echo.other']);
  expect(calls.reached(['echo.say'])).toBe(false);
  expect(calls.reached(['echo.other', 'unheard.of'])).toBe(false);
  expect(calls.reached(['unheard.of'])).toBe(true);
  // A server that stands still answers nothing in any number of turns.
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
  expect(calls.reached(['echo.say'])).toBe(false);
  expect(arrivals).toBe(0);
  server.server.resume();
  await waitFor(() => calls.reached(['echo.say', 'echo.other']), 5_000, 'both to arrive');
  expect(arrivals).toBeGreaterThan(0);
  expect(await ask('echo.other')).toBe('1');
});

test('what is taken back while it travels keeps nobody waiting', () => {
  server.server.pause();
  calls.offer(['echo.say']);
  calls.offer([]);
  expect(calls.reached(['echo.say'])).toBe(true);
});

test('what is offered again while it travels is asked for again', async () => {
  server.server.pause();
  calls.offer(['echo.say']);
  calls.offer([]);
  calls.offer(['echo.say']);
  server.server.resume();
  await waitFor(() => calls.reached(['echo.say']), 5_000, 'it to arrive');
  // The first answer was about the first offer.
  expect(arrivals).toBe(2);
  expect(await ask('echo.say')).toBe('1');
});

test('an offer that is lost with the server arrives at the next one', async () => {
  server.server.pause();
  calls.offer(['echo.say']);
  await server.server.kill();
  await waitFor(() => leaf.current() === undefined, 10_000, 'the loss to be noticed');
  // Nothing to wait for where nobody can be told; the connection itself is what is missing.
  expect(calls.reached(['echo.say'])).toBe(true);
  expect(arrivals).toBe(0);
  await server.server.start();
  await waitFor(() => leaf.current() !== undefined && calls.reached(['echo.say']), 10_000, 'it to arrive');
  expect(arrivals).toBe(1);
  expect(await ask('echo.say')).toBe('1');
});
