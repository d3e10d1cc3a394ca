/**
 * The short way between a connection and who serves calls, on real servers: what goes past the client library arrives as what goes through it,
 * and wherever it cannot go that way it goes the other. (The door is in contracts, which may not know the servers of a test; so it is tried here.)
 */
import { writeFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { join } from 'node:path';
import { connect as connectWired, type Wire, wireOf } from '@cim/contracts/wire';
import { startNatsServer } from '@cim/fleet';
import { natsServer, temporaryDirectory, testAuthority, waitFor } from '@cim/testkit';
import { Kvm } from '@nats-io/kv';
import { connect, headers, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { afterEach, expect, test } from 'vitest';

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
  const found = async (...all: NatsConnection[]) => {
    for (const one of all)
      await waitFor(
        () =>
          one.flush().then(
            () => true,
            () => false,
          ),
        10_000,
        'the server again',
      );
  };
  const first = kept(await connect(options), (one) => one.close());
  expect(await ask(first, 'a')).toBe('short a');
  // That `connect` is the library's own: transports made from now on are too.
  await process.kill();
  await waitFor(() => !wire.publish('nobody', '', 'x'), 5_000, 'the connection to be seen as lost');
  await process.start();
  await found(connection, first);
  expect(await ask(first, 'b')).toBe('long b');
  expect(wire.publish('nobody', '', 'x')).toBe(false);
  await (await connectWired(options)).close();
  await process.kill();
  await process.start();
  await found(connection, first);
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

/** Somebody who writes the protocol by hand; resolves when the server has taken it. */
async function say(url: string, lines: string): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = kept(dial(Number(port), hostname), (one) => one.destroy());
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
  });
  socket.write(`CONNECT {"verbose":false,"headers":true}\r\n${lines}PING\r\n`);
  await waitFor(() => text.includes('PONG'), 5_000, 'the server to take it');
  expect(text).not.toContain('-ERR');
}

/** A message with a block of headers. */
const headed = (subject: string, head: string, data: string): string =>
  `HPUB ${subject} ${head.length} ${head.length + data.length}\r\n${head}${data}\r\n`;

/** What the library gives up a connection over. */
const nuisances: readonly (readonly [string, (subject: string) => string])[] = [
  ['a return in the subject for the answer', (subject) => `PUB ${subject} _INBOX.a\rb 1\r\n1\r\n`],
  ['a return in the subject itself', (subject) => `PUB ${subject}.a\rb 1\r\n1\r\n`],
  ['a space in the name of a header', (subject) => headed(subject, 'NATS/1.0\r\nno such (name): x\r\n\r\n', '1')],
  ['a control character in it', (subject) => headed(subject, 'NATS/1.0\r\n\u0000\u007f: x\r\n\r\n', '1')],
  ['a bare return in its value', (subject) => headed(subject, 'NATS/1.0\r\nA: b\rc\r\nD: e\r\n\r\n', '1')],
  ['a bare line feed in its value', (subject) => headed(subject, 'NATS/1.0\r\nA: b\nc\r\nD: e\r\n\r\n', '1')],
];

test.each(nuisances)('a stranger’s %s is read, and the connection lives on', async (_, nuisance) => {
  const { url } = await server();
  const connection = kept(await connectWired({ servers: url }), (one) => one.close());
  const disconnected: string[] = [];
  void (async () => {
    for await (const { type } of connection.status()) disconnected.push(type);
  })();
  const heard: Msg[] = [];
  connection.subscribe('open.>', { callback: (__, message) => void heard.push(message) });
  await connection.flush();
  await say(url, nuisance('open.door'));
  await waitFor(() => heard.length === 1, 5_000, 'the message');
  expect(heard[0]!.string()).toBe('1');
  expect(heard[0]!.headers?.get('D') || 'e').toBe('e');
  await connection.flush();
  expect(disconnected).toEqual([]);
});

test.each(nuisances.slice(1))('what is stored with %s is watched and listed', async (_, nuisance) => {
  const { url } = await server();
  const connection = kept(await connectWired({ servers: url }), (one) => one.close());
  const bucket = await new Kvm(connection).create('things');
  await bucket.put('door', 'good');
  await say(url, nuisance('$KV.things.door'));
  await bucket.put('last', 'good');
  const seen: string[] = [];
  for await (const entry of await bucket.watch()) {
    seen.push(entry.key);
    if (entry.key === 'last') break;
  }
  expect(seen.at(-1)).toBe('last');
  expect((await bucket.get('last'))?.string()).toBe('good');
});

test('a reader that gives up all the same: the connection is made anew at once', async () => {
  const { url, connect: asking } = await server();
  const connection = kept(await connectWired({ servers: url, reconnectTimeWait: 20 }), (one) => one.close());
  const events: string[] = [];
  void (async () => {
    for await (const { type } of connection.status()) events.push(type);
  })();
  connection.subscribe('bad', {
    callback: () => {
      throw new Error('a mistake in who listens');
    },
  });
  connection.subscribe('good', { callback: (__, message) => void message.respond('still here') });
  await connection.flush();
  const asker = await asking();
  asker.publish('bad');
  await asker.flush();
  await waitFor(() => events.includes('reconnect'), 5_000, 'a connection made anew');
  expect((await asker.request('good', '', PATIENCE)).string()).toBe('still here');
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
