/**
 * The floors of call figures, each a bare responder on nats.js in a process of its own, with no limit, no check and no router:
 * - `echo` answers with what it gets;
 * - `relay` hands what it gets to a second process over a socket, which sends it back: what it costs at least that a cell has no network;
 * - `holder` calls an isolate in the process that holds the connection: what it would cost at least to give cells connections.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { connect, type Msg } from '@nats-io/transport-node';

export type Floor = 'echo' | 'relay' | 'holder';

const SECOND = '--second-process';
const SOCKET = 3;
/** A header of a message between the two processes: its length. */
const HEADER_BYTES = 4;
/** What the product allows an entry of the isolate, ms. */
const TURN_MS = 1_000;

if (process.argv[2] === SECOND) new Socket({ fd: SOCKET, readable: true, writable: true }).on('data', echo);
else await respond();

/** Of frames one stands for another: the second process need not look into them. */
function echo(this: Socket, chunk: Buffer): void {
  this.write(chunk);
}

async function respond(): Promise<void> {
  const [url, user, pass, subject, kind] = process.argv.slice(2) as [string, string, string, string, Floor];
  const connection = await connect({ servers: url, user, pass });
  const answer = { echo: bare, relay, holder }[kind]();
  connection.subscribe(subject, { callback: (_error, message) => answer(message) });
  await connection.flush();
  process.stdout.write('ready\n');
  process.on('SIGTERM', () => void connection.drain().then(() => process.exit(0)));
}

function bare(): (message: Msg) => void {
  return (message) => void message.respond(message.data);
}

function relay(): (message: Msg) => void {
  const child = spawn(process.execPath, [import.meta.filename, SECOND], { stdio: ['ignore', 'ignore', 'inherit', 'pipe'] });
  const socket = child.stdio[SOCKET] as Socket;
  const waiting: Msg[] = [];
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (rest.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + rest.readUInt32BE(at);
      if (end > rest.length) break;
      waiting.shift()!.respond(rest.subarray(at + HEADER_BYTES, end));
      at = end;
    }
    rest = rest.subarray(at);
  });
  let out: Buffer[] = [];
  return (message) => {
    waiting.push(message);
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeUInt32BE(message.data.length);
    // What came in one read leaves in one write.
    if (out.length === 0)
      queueMicrotask(() => {
        socket.write(Buffer.concat(out));
        out = [];
      });
    out.push(header, message.data as Buffer);
  };
}

function holder(): (message: Msg) => void {
  const { Isolate } = createRequire(new URL('../packages/node-agent/package.json', import.meta.url))('isolated-vm');
  const context = new Isolate({ memoryLimit: 128 }).createContextSync();
  const enter: { applySync(self: undefined, given: readonly string[], how: object): unknown } = context.evalSync(
    '(text) => JSON.stringify(((input) => input)(JSON.parse(text)))',
    { reference: true },
  );
  const options = { timeout: TURN_MS, arguments: { copy: true }, result: { copy: true } } as const;
  return (message) => void message.respond(Buffer.from(enter.applySync(undefined, [message.string()], options) as string));
}
