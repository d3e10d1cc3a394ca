/**
 * A cell: the child process that holds isolates. It knows one socket, to the daemon, and nothing else: no environment, no files but its
 * own code, no network.
 *
 * Promises:
 * C1. It ends when the socket does: no daemon, no cell.
 * C2. Its title names the isolate it is in ("cell 7"), so that the daemon can tell which one held it when it answers no more.
 * C3. Frames to the daemon of one turn leave in one write, but that a ping is answered before the next entry.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { FrameReader } from '../frames.ts';
import { decodeToCell, encodeFromCell, type FromCell, OUT, PROTOCOL, TO_CELL_LIMIT, type ToCell } from '../protocol.ts';
import { prepareEntropy } from './entropy.ts';
import { Guest, type GuestPorts, rehearse } from './guest.ts';
import { openLibrary } from './library.ts';
import { createLitter } from './litter.ts';
import { openPort } from './port.ts';
import { createSpare, type Prelude } from './vessel.ts';

const SOCKET = 3;
/** Unhandled rejections told between two pings, so that a flood of them is not a flood of lines. */
const LOGS = 16;
/** How long after an opening the next isolate is made ready, ms. */
const REFILL_MS = 200;
/** What an opening leaves behind is given back when nothing has been called for so long, ms. */
const CALM_MS = 1_000;
/** How long after the greeting a rehearsal begins, ms: who waits for this very cell asks sooner. */
const REHEARSE_MS = 50;

/** Where the build put this program, and beside it what isolates run. */
const home = dirname(process.argv[1]!);
const library = openLibrary(join(home, 'library'));
const prelude: Prelude = { source: readFileSync(join(home, 'prelude.js'), 'latin1'), compiled: undefined, library };
const reader = new FrameReader(TO_CELL_LIMIT);
const spare = createSpare(prelude);
const litter = createLitter();
const guests = new Map<number, Guest>();
/** Isolates with something to do, in the order it came. */
const queue = new Set<number>();
const entered = new Set<number>();
let title = -1;
let logs = 0;
let pumping = false;
let ponged = false;
let refill: NodeJS.Timeout | undefined;
let clearing: NodeJS.Timeout | undefined;
/** Entries since the last look of {@link clearSoon}. */
let entries = 0;

/** By the kernel where it may signal itself; else, as the first process of its namespace or under a filter, by an abort. */
const end = () => {
  try {
    process.kill(process.pid, 'SIGKILL');
  } catch {
    // Refused by the filter.
  }
  process.abort();
};
const send = (message: FromCell) => {
  const bytes = encodeFromCell(message);
  port.send(bytes);
  litter.passed(bytes.length);
};

function mark(isolate: number): void {
  entered.add(isolate);
  if (title === isolate) return;
  title = isolate;
  process.title = `cell ${isolate}`;
}

function open(message: ToCell & { kind: 'open' }): void {
  const { isolate } = message;
  const ports: GuestPorts = {
    out: (head, body) => send({ kind: 'out', isolate, head, body }),
    gone(reason, detail) {
      guests.delete(isolate);
      send({ kind: 'gone', isolate, reason, detail });
    },
    inspected: (text) => send({ kind: 'inspected', isolate, text }),
    again() {
      queue.add(isolate);
      if (!pumping) setImmediate(batch);
    },
    log(text) {
      logs += 1;
      if (logs > LOGS) return;
      const body = JSON.stringify(['error', text, {}]);
      send({ kind: 'out', isolate, head: `${OUT.log},${body.length}`, body });
    },
  };
  const guest = new Guest(message.opening, message.sourceMap, ports, spare.take(message.opening));
  mark(isolate);
  clearTimeout(refill);
  // A debugger shows the author's own sources.
  const map = message.opening.inspect === true && message.sourceMap !== '' ? mapped(message.sourceMap) : '';
  const fault = guest.load(prelude, message.entry + map);
  if (fault) guest.dispose();
  else guests.set(isolate, guest);
  send({ kind: 'opened', isolate, fault });
  clearSoon();
  // Not at once: the first call of what was opened comes before the next opening.
  if (message.opening.neighbours === true) refill = setTimeout(() => spare.keep(message.opening.memoryMb), REFILL_MS);
}

/**
 * Starting Node and opening an isolate leave 3 MiB behind. Of a cell that idles the engine takes three quarters of that by itself, within
 * twenty seconds; the rest only so.
 */
function clearSoon(): void {
  clearTimeout(clearing);
  entries = 0;
  clearing = setTimeout(() => (entries > 0 ? clearSoon() : litter.clear()), CALM_MS);
}

const mapped = (sourceMap: string): string =>
  `\n//# sourceMappingURL=data:application/json;base64,${Buffer.from(sourceMap).toString('base64')}`;

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
      ponged = true;
      return;
    case 'inspect':
      guests.get(message.isolate)?.inspect(message.text);
      return;
    case 'measure': {
      const rows = [...entered].flatMap((isolate): [number, number, number, number][] => {
        const guest = guests.get(isolate);
        return guest ? [[isolate, guest.heapBytes, guest.cpuMs, guest.takenBytes]] : [];
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
    entries += 1;
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
  port.hold();
  pump();
  port.release();
}

const receive = (chunk: Buffer) => {
  litter.passed(chunk.length);
  port.hold();
  reader.push(chunk, (frame) => take(decodeToCell(frame)));
  // That the thread was free is said before it is taken again.
  if (ponged) {
    ponged = false;
    port.release();
    port.hold();
  }
  // Nothing is ahead of this turn's input: it is worked on at once, without another turn of the loop.
  if (!pumping && queue.size > 0) pump();
  port.release();
};
const port = openPort(SOCKET, receive, end);
send({ kind: 'hello', protocol: PROTOCOL });
// While the daemon reads that: what it opens first may be on its way.
spare.keep();
setTimeout(() => {
  if (guests.size === 0) rehearse(prelude);
  prepareEntropy();
}, REHEARSE_MS);
