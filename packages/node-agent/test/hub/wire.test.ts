/**
 * The short way between a connection and who serves calls, on real servers: what goes past the client library arrives as what goes through it,
 * and wherever it cannot go that way it goes the other.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startNatsServer } from '@cim/fleet';
import { natsServer, temporaryDirectory, testAuthority, waitFor } from '@cim/testkit';
import { connect, headers, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { afterEach, expect, test } from 'vitest';
import { connectWired, type Wire, wireOf } from '../../src/hub/wire.ts';

const PATIENCE = { timeout: 5_000 };
const parts = new Set<() => unknown>();
afterEach(async () => {
  for (const end of [...parts].reverse()) await end();
  parts.clear();
});
const kept = <T>(thing: T, end: (thing: T) => unknown): T => {
  parts.add(() => end(thing));
  return thing;
};

/** Answers `ask` with what it was asked and a mark of the way it came; `answer` may say something else. */
async function responder(
  options: Parameters<typeof connectWired>[0],
  answer = (asked: string): string | Buffer => `short ${asked}`,
): Promise<{ readonly connection: NatsConnection; readonly wire: Wire; readonly refused: () => number }> {
  const connection = kept(await connectWired(options), (one) => one.close());
  const wire = wireOf(connection)!;
  let refused = 0;
  const callback = (_: Error | null, message: Msg) => void message.respond(`long ${message.string()}`);
  const subscription = connection.subscribe('ask', { callback });
  wire.choose(subscription.getID(), (reply, bytes, head, data, end) => {
    const given = answer(bytes.toString('utf8', data, end));
    const marked = head === data ? '' : `NATS/1.0\r\nSeen: ${bytes.toString('latin1', head, data).split('\r\n')[1]}\r\n\r\n`;
    if (wire.publish(reply, marked, given)) return;
    refused++;
    connection.publish(reply, given);
  });
  await connection.flush();
  return { connection, wire, refused: () => refused };
}

const server = async () => kept(await natsServer({}), (one) => one[Symbol.asyncDispose]());

test('questions and answers go past the library; a large answer goes through it', async () => {
  const { url, connect: asking } = await server();
  const large = 'ä'.repeat(20_000);
  const { refused } = await responder({ servers: url }, (asked) => (asked === 'large' ? large : `short ${asked}`));
  const asker = await asking();
  const ask = async (text: string) => (await asker.request('ask', text, PATIENCE)).string();
  // The first answer of a connection is given before it is known that the server takes what we send.
  expect(await ask('once')).toBe('short once');
  const before = refused();
  expect(await ask('')).toBe('short ');
  expect(await ask('größer 😀')).toBe('short größer 😀');
  expect(refused()).toBe(before);
  expect(await ask('large')).toBe(large);
  expect(refused()).toBe(before + 1);
  const head = headers();
  head.set('Who', 'me');
  const marked = await asker.request('ask', 'headed', { ...PATIENCE, headers: head });
  expect(marked.string()).toBe('short headed');
  expect(marked.headers?.get('Seen')).toBe('Who: me');
});

test('many at once, with commands of the library between: each asker gets his own answer', async () => {
  const { url, connect: asking } = await server();
  const { connection } = await responder({ servers: url }, (asked) => {
    if (asked.endsWith('7')) connection.publish('elsewhere', asked);
    return asked.endsWith('3') ? asked.repeat(3_000) : `short ${asked}`;
  });
  const asker = await asking();
  const heard: string[] = [];
  asker.subscribe('elsewhere', { callback: (_, message) => void heard.push(message.string()) });
  await asker.flush();
  const answers = await Promise.all(
    Array.from({ length: 2_000 }, async (_, n) => (await asker.request('ask', `n${n}`, PATIENCE)).string()),
  );
  for (const [n, text] of answers.entries()) expect(text).toBe(n % 10 === 3 ? `n${n}`.repeat(3_000) : `short n${n}`);
  await waitFor(() => heard.length === 200, 5_000, 'what was said between');
});

test('a server that does not read: what waits is not written over, and arrives whole', async () => {
  const { server: process, url, connect: asking } = await server();
  const { wire, connection, refused } = await responder({ servers: url });
  const asker = await asking();
  expect((await asker.request('ask', 'x', PATIENCE)).string()).toBe('short x');
  const heard: string[] = [];
  asker.subscribe('flood', { callback: (_, message) => void heard.push(message.string()) });
  await asker.flush();
  process.pause();
  const said = Array.from({ length: 1_500 }, (_, n) => `${n} `.padEnd(9_000, String(n % 10)));
  for (const [n, text] of said.entries()) {
    expect(wire.publish('flood', '', text)).toBe(true);
    // Some in one turn, some each in its own.
    if (n % 7 === 0) await new Promise(setImmediate);
  }
  process.resume();
  await connection.flush();
  await waitFor(() => heard.length === said.length, 20_000, 'all that was said');
  expect(heard).toEqual(said);
  expect(refused()).toBeLessThanOrEqual(1);
});

test('a subscription that was left, and one never chosen, go through the library', async () => {
  const { url, connect: asking } = await server();
  const { connection, wire } = await responder({ servers: url });
  const other = connection.subscribe('other', { callback: (_, message) => void message.respond(`long ${message.string()}`) });
  await connection.flush();
  const asker = await asking();
  expect((await asker.request('ask', 'a', PATIENCE)).string()).toBe('short a');
  expect((await asker.request('other', 'a', PATIENCE)).string()).toBe('long a');
  for (let sid = 1; sid <= other.getID(); sid++) wire.leave(sid);
  expect((await asker.request('ask', 'b', PATIENCE)).string()).toBe('long b');
});

test('a server that is found again: answered the library’s way where somebody else set the library up meanwhile, else the short way', async () => {
  const { server: process, url } = await server();
  const options = { servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 50, waitOnFirstConnect: true };
  const { connection, wire } = await responder(options);
  const ask = async (by: NatsConnection, text: string) => (await by.request('ask', text, PATIENCE)).string();
  const found = async () => {
    await waitFor(() => connection.flush().then(() => connection.info !== undefined), 10_000, 'the server again');
  };
  const first = kept(await connect(options), (one) => one.close());
  expect(await ask(first, 'a')).toBe('short a');
  // That `connect` is the library's own: transports made from now on are too.
  await process.kill();
  await waitFor(() => !wire.publish('nobody', '', 'x'), 5_000, 'the connection to be seen as lost');
  await process.start();
  await found();
  await first.flush();
  expect(await ask(first, 'b')).toBe('long b');
  expect(wire.publish('nobody', '', 'x')).toBe(false);
  await (await connectWired(options)).close();
  await process.kill();
  await process.start();
  await found();
  await first.flush();
  await expect.poll(() => ask(first, 'c'), { timeout: 5_000 }).toBe('short c');
});

test('a server that takes little: what is larger than it allows is left to the library, which says so', async () => {
  const directory = kept(temporaryDirectory('cim-wire'), (one) => one[Symbol.dispose]()).path;
  const small = kept(
    await startNatsServer({ name: 'small', domain: 'hub', directory, users: [], maxPayloadBytes: 2_048 }),
    (one) => one.stop(),
  );
  const { wire, connection } = await responder({ servers: small.url });
  const asker = kept(await connect({ servers: small.url }), (one) => one.close());
  expect((await asker.request('ask', 'x', PATIENCE)).string()).toBe('short x');
  expect(wire.publish('nobody', '', 'x'.repeat(500))).toBe(true);
  expect(wire.publish('nobody', '', 'x'.repeat(3_000))).toBe(false);
  expect(wire.publish('', '', 'x')).toBe(false);
  expect(() => connection.publish('ask', 'x'.repeat(3_000))).toThrow(/max_payload/);
  // The connection is as good as before.
  expect((await asker.request('ask', 'y', PATIENCE)).string()).toBe('short y');
});

test('over TLS', async () => {
  const directory = kept(temporaryDirectory('cim-wire'), (one) => one[Symbol.dispose]()).path;
  const authority = testAuthority();
  const own = authority.issue({ name: '127.0.0.1' });
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const caFile = file('ca.pem', authority.cert);
  const tls = { certFile: file('cert.pem', own.cert), keyFile: file('key.pem', own.key) };
  const tlsServer = kept(await startNatsServer({ name: 'tls', domain: 'hub', directory, users: [], tls }), (one) => one.stop());
  const options = { servers: tlsServer.url, tls: { caFile } };
  const { connection, refused } = await responder(options, (asked) => `short ${asked}`.padEnd(9_000, '.'));
  const asker = kept(await connect(options), (one) => one.close());
  await asker.request('ask', 'first', PATIENCE);
  expect(connection.info?.tls_required).toBe(true);
  const before = refused();
  const answers = await Promise.all(
    Array.from({ length: 300 }, async (_, n) => (await asker.request('ask', `n${n}`, PATIENCE)).string()),
  );
  expect(answers).toEqual(answers.map((_, n) => `short n${n}`.padEnd(9_000, '.')));
  expect(refused()).toBe(before);
});
