/**
 * A cell that was broken out of, with all that Node can do natively: started the way cells are, but without Node's own permission model,
 * which a broken engine would not keep. Tries everything below and tells what came of it over the cell's socket. Run from a copy: with
 * few layers it succeeds, and removes itself.
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { Worker } from 'node:worker_threads';

const socket = new Socket({ fd: 3, readable: true, writable: true });
const [self, text] = process.argv.slice(1);
const given = JSON.parse(text);

const event = (emitter, name) => once(emitter, name, { signal: AbortSignal.timeout(2_000) });
const attempts = {
  'read its own code': () => readFileSync(self, 'utf8').length,
  'read a file of the machine': () => readFileSync('/etc/passwd', 'utf8').length,
  'read a secret of the daemon': () => readFileSync(given.secret, 'utf8'),
  'write a file': () => writeFileSync(given.escaped, 'x'),
  'write beside its code': () => writeFileSync(`${self}.more`, 'x'),
  'write over its code': () => openSync(self, 'r+'),
  'make a folder': () => {
    mkdirSync('/cim-escaped');
    rmdirSync('/cim-escaped');
  },
  'connect over tcp': () => event(connect(given.port, '127.0.0.1'), 'connect').then(() => 'connected'),
  'connect over a unix socket': () => event(connect(given.unix), 'connect').then(() => 'connected'),
  listen: () => event(createServer().listen(0, '127.0.0.1'), 'listening'),
  'send a datagram': async () => {
    const udp = createSocket('udp4');
    const failed = event(udp, 'error').then(([error]) => Promise.reject(error));
    const sent = new Promise((done, no) => udp.send('x', given.port, '127.0.0.1', (e) => (e ? no(e) : done())));
    await Promise.race([sent, failed]);
  },
  'see network interfaces': () => {
    const all = Object.keys(networkInterfaces());
    if (all.length === 0) throw new Error('none');
    return all;
  },
  'signal the daemon': () => process.kill(given.daemon, 0),
  'signal another cell': () => process.kill(given.neighbour, 0),
  'signal everybody': () => process.kill(-1, 0),
  'read the memory of another cell': () => openSync(`/proc/${given.neighbour}/mem`, 'r'),
  'read the environment of the daemon': () => readFileSync(`/proc/${given.daemon}/environ`, 'latin1').length,
  'open a descriptor of another cell': () => readdirSync(`/proc/${given.neighbour}/fd`).length,
  'start a shell': () => event(spawn('/bin/sh', ['-c', 'true']), 'spawn'),
  'start another Node': () => event(spawn(process.execPath, ['-e', '0']), 'spawn'),
  'take another user': () => process.setuid(12_345),
  'find something in its environment': () => {
    // bubblewrap says where it is: the root.
    const left = Object.keys(process.env).filter((name) => name !== 'PWD');
    if (left.length === 0) throw new Error('empty');
    return left;
  },
  // What it may: without threads no cell could run.
  'start a thread': () => event(new Worker('0', { eval: true }), 'exit').then(() => 'ended'),
  'move its code': () => renameSync(self, `${self}.x`),
  'remove its code': () => unlinkSync(`${self}.x`),
};

const results = {};
for (const [name, attempt] of Object.entries(attempts)) {
  try {
    results[name] = `yes: ${JSON.stringify(await attempt()) ?? 'done'}`.slice(0, 120);
  } catch (error) {
    results[name] = `no: ${error.code ?? error.message}`;
  }
}
socket.end(`${JSON.stringify({ results, pid: process.pid, uid: process.getuid() })}\n`);
setTimeout(() => process.abort(), 500);
