/**
 * A cell: the child process that holds isolates. It knows one socket, to the daemon, and nothing else: no environment, no files but its
 * own code, no network.
 *
 * Promises:
 * C1. It ends when the socket does: no daemon, no cell.
 * C2. Its title names the isolate it is in ("cell 7"), so that the daemon can tell which one held it when it answers no more.
 * C3. Frames to the daemon of one turn leave in one write.
 */
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { FrameReader } from '../frames.ts';
import { decodeToCell, encodeFromCell, type FromCell, OUT, PROTOCOL, TO_CELL_LIMIT, type ToCell } from '../protocol.ts';
import { compilePrelude, Guest, rehearse } from './guest.ts';

const SOCKET = 3;
/** Unhandled rejections told between two pings, so that a flood of them is not a flood of lines. */
const LOGS = 16;

const prelude = compilePrelude(readFileSync(new URL('../prelude.js', import.meta.url), 'utf8'));
const socket = new Socket({ fd: SOCKET, readable: true, writable: true });
const reader = new FrameReader(TO_CELL_LIMIT);
const guests = new Map<number, Guest>();
/** Isolates with something to do, in the order it came. */
const queue = new Set<number>();
const entered = new Set<number>();
let title = -1;
let logs = 0;
let pumping = false;

const end = () => process.kill(process.pid, 'SIGKILL');
const send = (message: FromCell) => void socket.write(encodeFromCell(message));

function mark(isolate: number): void {
  entered.add(isolate);
  if (title === isolate) return;
  title = isolate;
  process.title = `cell ${isolate}`;
}

function open(message: ToCell & { kind: 'open' }): void {
  const { isolate } = message;
  const guest = new Guest(message.opening, message.sourceMap, {
    out: (head, body) => send({ kind: 'out', isolate, head, body }),
    gone(reason, detail) {
      guests.delete(isolate);
      send({ kind: 'gone', isolate, reason, detail });
    },
    log(text) {
      logs += 1;
      if (logs > LOGS) return;
      const body = JSON.stringify(['error', text, {}]);
      send({ kind: 'out', isolate, head: `${OUT.log},${body.length}`, body });
    },
  });
  mark(isolate);
  const fault = guest.load(prelude, message.entry);
  if (fault) guest.dispose();
  else guests.set(isolate, guest);
  send({ kind: 'opened', isolate, fault });
}

function take(message: ToCell): void {
  switch (message.kind) {
    case 'enter':
      guests.get(message.isolate)?.push(message.head, message.body);
      queue.add(message.isolate);
      return;
    case 'open':
      open(message);
      return;
    case 'dispose':
      guests.get(message.isolate)?.dispose();
      guests.delete(message.isolate);
      queue.delete(message.isolate);
      return;
    case 'ping':
      logs = 0;
      send({ kind: 'pong', nonce: message.nonce });
      return;
    case 'measure': {
      const rows = [...entered].flatMap((isolate): [number, number, number][] => {
        const guest = guests.get(isolate);
        return guest ? [[isolate, guest.heapBytes, guest.cpuMs]] : [];
      });
      entered.clear();
      send({ kind: 'measured', rows });
    }
  }
}

/** One entry; the rest after the socket has been looked at, so that a ping does not wait for more than one entry. */
function pump(): void {
  pumping = false;
  for (const isolate of queue) {
    queue.delete(isolate);
    const guest = guests.get(isolate);
    if (!guest?.waiting) continue;
    mark(isolate);
    guest.work();
    if (guest.waiting && guests.has(isolate)) queue.add(isolate);
    break;
  }
  if (queue.size > 0) {
    pumping = true;
    setImmediate(batch);
  }
}

function batch(): void {
  socket.cork();
  pump();
  socket.uncork();
}

socket.on('data', (chunk: Buffer) => {
  socket.cork();
  reader.push(chunk, (frame) => take(decodeToCell(frame)));
  // Nothing is ahead of this turn's input: it is worked on at once, without another turn of the loop.
  if (!pumping && queue.size > 0) pump();
  socket.uncork();
});
socket.on('error', end);
socket.on('close', end);
socket.on('end', end);
rehearse(prelude);
send({ kind: 'hello', protocol: PROTOCOL });
