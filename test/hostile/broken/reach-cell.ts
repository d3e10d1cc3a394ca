/**
 * A cell that was broken out of, on the machine: tries what the call's input lists and answers what came of each. It has Node's whole
 * library in its hands; with `native` the permission model is not there either, as for code that has gone below Node.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import fs from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

/** One attempt: what to do, and with what. */
type Attempt = readonly [deed: string, ...args: (string | number)[]];

const deeds: Record<string, (...args: any[]) => unknown> = {
  environment: () => Object.keys(process.env),
  user: () => [process.getuid?.(), process.getgid?.()],
  folder: () => process.cwd(),
  /** Descriptors that are open and what they lead to. */
  descriptors: () => {
    const open: string[] = [];
    for (let fd = 0; fd < 256; fd++) {
      try {
        const at = fs.fstatSync(fd);
        open.push(
          `${fd}:${at.isSocket() ? 'socket' : at.isFile() ? 'file' : at.isFIFO() ? 'pipe' : at.isDirectory() ? 'folder' : 'other'}`,
        );
      } catch {}
    }
    return open;
  },
  'read file': (path: string) => fs.readFileSync(path).length,
  'list folder': (path: string) => fs.readdirSync(path).length,
  'write file': (path: string) => fs.writeFileSync(path, 'broken out'),
  'append to descriptor': (fd: number) => fs.writeSync(fd, 'x'),
  'make link': (from: string, to: string) => fs.symlinkSync(from, to),
  'read link': (path: string) => fs.readlinkSync(path),
  'open memory': (pid: number) => fs.closeSync(fs.openSync(`/proc/${pid}/mem`, 'r+')),
  'see processes': () =>
    fs
      .readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number),
  signal: (pid: number) => process.kill(pid, 0),
  end: (pid: number) => process.kill(pid, 'SIGTERM'),
  'start program': (file: string) => {
    const { error, status } = spawnSync(file, []);
    if (error) throw error;
    return status;
  },
  'start worker': () =>
    new Promise((done, failed) => {
      const worker = new Worker('require("node:worker_threads").parentPort.postMessage(1)', { eval: true });
      worker.once('message', done);
      worker.once('error', failed);
    }),
  /** By libuv's pool, whose threads need no descriptors: it makes all at once when it is first used, and aborts where it cannot. */
  'start threads': async (count: number) => {
    process.env['UV_THREADPOOL_SIZE'] = String(count);
    await promisify(randomBytes)(8);
    let status = '';
    try {
      status = fs.readFileSync('/proc/self/status', 'utf8');
    } catch {}
    const made = /^Threads:\s+(\d+)/m.exec(status)?.[1];
    if (made !== undefined && Number(made) < count) throw new Error(`there are ${made} threads`);
  },
  'load addon': (path: string) => process.dlopen({ exports: {} }, path),
  'inner binding': (name: string) => Object.keys((process as any).binding(name)).length > 0,
  debugger: async () => {
    const { open, url } = await import('node:inspector');
    open(0);
    // Without a network it says nothing and listens nowhere.
    if (url() === undefined) throw new Error('listens nowhere');
  },
  connect: (port: number, host: string) => dialled(connect(port, host)),
  'connect to path': (path: string) => dialled(connect(path)),
  listen: () =>
    new Promise((done, failed) => {
      const server = createServer();
      server.once('error', failed);
      server.listen(0, '127.0.0.1', () => {
        server.close();
        done('listening');
      });
    }),
  'send datagram': (port: number) =>
    new Promise((done, failed) => {
      const out = createSocket('udp4');
      out.once('error', failed);
      out.send('x', port, '127.0.0.1', (error) => (error ? failed(error) : done('sent')));
      setTimeout(() => out.close(), 50);
    }),
  'resolve name': async (name: string) => (await lookup(name)).address,
  'raise priority': async () => (await import('node:os')).setPriority(-10),
  'become root': () => process.setuid?.(0),
  report: () => process.report?.writeReport('/tmp/broken-report.json'),
};

const dialled = (socket: Socket) =>
  new Promise((done, failed) => {
    socket.once('connect', () => {
      socket.destroy();
      done('connected');
    });
    socket.once('error', failed);
    socket.setTimeout(2_000, () => {
      socket.destroy();
      failed(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }));
    });
  });

/** What came of an attempt: what it gave, or the code it was refused with. */
async function attempt([deed, ...args]: Attempt): Promise<{ got?: unknown; refused?: string }> {
  try {
    return { got: (await deeds[deed]!(...args)) ?? true };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { refused: code ?? message.slice(0, 80) };
  }
}

const socket = new Socket({ fd: 3, readable: true, writable: true });
const HEADER = 13;
const send = (kind: number, isolate: number, mark: number, text: string) => {
  const bytes = Buffer.from(text);
  const out = Buffer.alloc(HEADER + bytes.length);
  out.writeUInt32BE(bytes.length, 0);
  out[4] = kind;
  out.writeUInt32BE(isolate, 5);
  out.writeUInt32BE(mark, 9);
  bytes.copy(out, HEADER);
  socket.write(out);
};
let held = Buffer.alloc(0);
socket.on('data', (chunk: Buffer) => {
  held = Buffer.concat([held, chunk]);
  while (held.length >= HEADER) {
    const end = HEADER + held.readUInt32BE(0);
    if (held.length < end) return;
    const [kind, isolate, mark] = [held[4], held.readUInt32BE(5), held.readUInt32BE(9)];
    const text = held.subarray(HEADER, end).toString('utf8');
    held = held.subarray(end);
    if (kind === 1) send(2, isolate, 0, '');
    if (kind === 4) send(5, 0, mark, '');
    if (kind === 2 && text.startsWith('0,')) {
      const slot = Number(text.split(',')[1]);
      const attempts = JSON.parse(text.slice(text.indexOf('[['))) as Attempt[];
      void Promise.all(attempts.map(attempt)).then((results) => {
        const said = JSON.stringify(results);
        const head = `0,${slot},${said.length}`;
        send(3, isolate, head.length, head + said);
      });
    }
  }
});
socket.on('error', () => {});
send(1, 0, 1, '');
