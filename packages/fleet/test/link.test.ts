/** The relay that can be cut: bytes, cut, freeze, heal. */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { waitFor } from '@cim/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Link, openLink } from '../src/nats/link.ts';

let echo: Server;
let link: Link;
const sockets = new Set<Socket>();

beforeEach(async () => {
  echo = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  link = await openLink({ target: { host: '127.0.0.1', port: (echo.address() as { port: number }).port } });
});
afterEach(async () => {
  await link.stop();
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => echo.close(resolve));
});

function dial() {
  const socket = connect({ host: link.host, port: link.port });
  let heard = Buffer.alloc(0);
  let closed = false;
  socket.on('error', () => {});
  socket.on('close', () => {
    closed = true;
  });
  socket.on('data', (bytes) => {
    heard = Buffer.concat([heard, bytes as Buffer]);
  });
  return { socket, heard: () => heard, closed: () => closed };
}

test('passes bytes both ways, in order, many of them', async () => {
  const { socket, heard } = dial();
  const bytes = Buffer.alloc(3 * 2 ** 20, 0).map((_, index) => (index * 31 + (index >> 9)) & 255);
  socket.write(bytes);
  await waitFor(() => heard().length === bytes.length, 10_000, 'all bytes to come back');
  expect(heard().equals(bytes)).toBe(true);
  socket.destroy();
  await waitFor(() => link.open() === 0, 2_000, 'the pair to be given back');
});

test('cut: what is open is closed and nothing new gets through; healed: the same port works', async () => {
  const before = dial();
  before.socket.write('one');
  await waitFor(() => before.heard().toString() === 'one', 2_000, 'the echo');
  link.cut();
  await waitFor(before.closed, 2_000, 'the open one to be closed');
  const during = dial();
  await waitFor(during.closed, 2_000, 'the new one to be refused');
  expect(link.open()).toBe(0);
  link.heal();
  const after = dial();
  after.socket.write('two');
  await waitFor(() => after.heard().toString() === 'two', 2_000, 'the echo after healing');
});

test('frozen: nothing passes and nothing closes, healed: what was held back arrives', async () => {
  const { socket, heard, closed } = dial();
  socket.write('one');
  await waitFor(() => heard().toString() === 'one', 2_000, 'the echo');
  link.freeze();
  socket.write('two');
  const late = dial();
  late.socket.write('three');
  await expect(waitFor(() => heard().length > 3 || late.heard().length > 0, 200, 'nothing')).rejects.toThrow();
  expect([closed(), late.closed()]).toEqual([false, false]);
  link.heal();
  await waitFor(() => heard().toString() === 'onetwo' && late.heard().toString() === 'three', 2_000, 'what was held back');
});

test('a port that is in use is named', async () => {
  await expect(openLink({ target: { host: '127.0.0.1', port: 1 }, port: link.port })).rejects.toThrow(`port ${link.port}`);
});
