/** The nats-server room against a real one. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Fault } from '@cim/contracts';
import { temporaryDirectory, waitFor } from '@cim/testkit';
import { connect } from '@nats-io/transport-node';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tailOf } from '../src/machine/child.ts';
import { findNatsServer } from '../src/nats/binary.ts';
import { startNatsServer } from '../src/nats/server.ts';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory('cim-fleet-nats');
});
afterEach(() => directory[Symbol.dispose]());

const options = () => ({ name: 'test', domain: 'test', directory: join(directory.path, 'nats'), users: [] });
const alive = (pid: number) => existsSync(`/proc/${pid}/stat`) && !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));

describe('a nats-server', () => {
  test('is ready when it is returned, keeps what it stored and where it was over a kill, and ends when asked', async () => {
    await using server = await startNatsServer({ ...options(), leaves: true });
    const { port, leafPort, pid } = server;
    expect(statSync(server.configFile).mode & 0o777).toBe(0o600);
    await using connection = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 }).then(
      (nc) => Object.assign(nc, { [Symbol.asyncDispose]: () => nc.close() }),
    );
    expect(connection.info).toMatchObject({ server_name: 'test', jetstream: true, domain: 'test' });
    await server.kill();
    expect(server.alive()).toBe(false);
    expect(alive(pid)).toBe(false);
    await server.start();
    expect([server.port, server.leafPort]).toEqual([port, leafPort]);
    expect(server.pid).not.toBe(pid);
    await waitFor(() => connection.rtt(), 5_000, 'the client to be back');
    const last = server.pid;
    await server.stop();
    expect(alive(last)).toBe(false);
  });

  test('another one in the same directory is where the first was', async () => {
    const first = await startNatsServer(options());
    const { port, monitorUrl } = first;
    await first.stop();
    await using second = await startNatsServer(options());
    expect([second.port, second.monitorUrl]).toEqual([port, monitorUrl]);
  });

  test('goes elsewhere when someone else has taken its port meanwhile', async () => {
    const first = await startNatsServer(options());
    await first.stop();
    const other = createServer();
    await new Promise<void>((resolve) => other.listen({ host: '127.0.0.1', port: first.port }, resolve));
    try {
      await using second = await startNatsServer(options());
      expect(second.port).not.toBe(first.port);
      // The handle of the first must not come up on a port that is not its own.
      await expect(first.start()).rejects.toThrow(`port ${first.port} is in use`);
    } finally {
      other.close();
    }
  });

  test('frozen it answers nothing, woken it answers again, and frozen it can still be stopped', async () => {
    const server = await startNatsServer(options());
    const connection = await connect({ servers: server.url });
    server.pause();
    // The signal is sent at once, and every thread heeds it when it next runs.
    await waitFor(
      () => /^State:\s+T/m.test(readFileSync(`/proc/${server.pid}/status`, 'utf8')),
      5_000,
      'the server stands still',
    );
    const answer = connection.rtt();
    expect(await Promise.race([answer, waitFor(() => false, 300, 'nothing').catch(() => 'silent')])).toBe('silent');
    server.resume();
    await answer;
    await connection.close();
    server.pause();
    const { pid } = server;
    await server.stop(2_000);
    expect(alive(pid)).toBe(false);
  });

  test('that cannot start says why, with the last words of its log', async () => {
    const first = await startNatsServer({ ...options(), domain: 'fine' });
    await first.stop();
    const failing = startNatsServer({
      ...options(),
      users: [
        { user: 'one', password: '' },
        { user: 'one', password: 'again' },
      ],
    });
    const fault = await failing.then(
      async (server) => server.stop(),
      (error: Fault) => error,
    );
    expect(fault).toBeInstanceOf(Fault);
    expect((fault as Fault).detail).toMatch(
      /nats-server test: it ended with exit code 1; its log .*ends with:[\s\S]*[Dd]uplicate user/,
    );
  });

  test('a wrong choice of binary is named', async () => {
    await expect(findNatsServer('/bin/true')).rejects.toThrow(/CIM_NATS_SERVER: expected .* 2\.10 or newer, found \/bin\/true/);
    const old = join(directory.path, 'old');
    writeFileSync(old, '#!/bin/sh\necho nats-server: v2.9.10\n', { mode: 0o755 });
    await expect(findNatsServer(old)).rejects.toThrow(/found .*old \(version 2\.9\.10\)/);
  });
});

test('the tail of a log is its last lines, of a large one too', () => {
  const file = join(directory.path, 'log');
  expect(tailOf(file)).toBe('');
  writeFileSync(file, Array.from({ length: 5_000 }, (_, index) => `line ${index} ${'x'.repeat(50)}`).join('\n'));
  const lines = tailOf(file, 3).split('\n');
  expect(lines.map((line) => line.split(' ')[1])).toEqual(['4997', '4998', '4999']);
});
