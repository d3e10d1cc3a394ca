/**
 * The door to NATS: a connection as the client library makes it, but that strangers cannot end it (wire-split.ts), and with a short way for who
 * answers many small questions. Messages of chosen subscriptions come past the library, and small answers go past it. Everything
 * else about the connection, from its handshake to finding a lost server again, is the library's.
 *
 * Promises:
 * V1. Whatever can go wrong here ends in the library's way: what is not taken is handed to it, and `publish` says when it is to be used.
 * V2. Answers of one turn of the event loop leave in one write, between two commands of the library's and never within one.
 * V3. A reader of the library's that gave up all the same ends the connection at once, so that it is made anew.
 */
import {
  type ConnectionOptions,
  type MsgHdrs,
  MsgHdrsImpl,
  type NatsConnection,
  NatsConnectionImpl,
  setTransportFactory,
} from '@nats-io/transport-node';
import { NodeTransport, nodeResolveHost } from '@nats-io/transport-node/lib/node_transport.js';
import { type Take, WireSplit } from './wire-split.ts';

export type { Take } from './wire-split.ts';

/** Headers of a message that came past the library. @throws as the library's reader of headers */
export const headersIn = (bytes: Buffer, head: number, data: number): MsgHdrs | undefined =>
  head === data ? undefined : MsgHdrsImpl.decode(bytes.subarray(head, data));

export interface Wire {
  /** Messages of a subscription go to `take` from now on, and no longer to its callback. @param sid `Subscription.getID()` */
  choose(sid: number, take: Take): void;
  leave(sid: number): void;
  /**
   * Sends a message. @param head headers in ASCII, with their first line and their end (`NATS/1.0\r\n…\r\n\r\n`), or nothing
   * @returns false when it must go through the library: it is large, or the connection is not there
   */
  publish(subject: string, head: string, data: string | Buffer): boolean;
}

/** Largest message that goes this way, bytes; also the room of one write. */
const LARGEST = 32 * 2 ** 10;
/** Most that a control line takes beside subject and header. */
const LINE = 64;

const NONE: Buffer = Buffer.alloc(0);
const [CR, LF] = [13, 10];

const wires = new WeakMap<object, ConnectionWire>();

/** Connects as the library does. @throws as the library's `connect` */
export async function connect(options: ConnectionOptions): Promise<NatsConnection> {
  const wire = new ConnectionWire();
  // The factory is the library's one for all connections, also those that are made when a server is found again; which
  // connection a transport is made for is known from its options.
  setTransportFactory({ factory: () => new WiredTransport(), dnsResolveFn: nodeResolveHost });
  const connection = await NatsConnectionImpl.connect({ ...options, [WIRE]: wire } as ConnectionOptions);
  wire.connection = connection;
  wires.set(connection, wire);
  return connection;
}

/** The short way of a connection made by {@link connect}; undefined for others. */
export const wireOf = (connection: NatsConnection): Wire | undefined => wires.get(connection);

const WIRE = 'cimWire';

class ConnectionWire implements Wire {
  readonly takers = new Map<number, Take>();
  /** The transport that has brought a chosen message last: its server knows who we are, and takes what we send. */
  live: WiredTransport | undefined;
  connection: NatsConnection | undefined;
  /** What waits to be sent, its first `#used` bytes. */
  #room = NONE;
  #used = 0;
  #transport: WiredTransport | undefined;

  choose(sid: number, take: Take): void {
    this.takers.set(sid, take);
  }

  leave(sid: number): void {
    this.takers.delete(sid);
  }

  publish(subject: string, head: string, data: string | Buffer): boolean {
    const { live } = this;
    if (live?.takes !== true || subject === '') return false;
    const text = typeof data === 'string';
    const most = 3 * subject.length + head.length + (text ? 3 * data.length : data.length) + LINE;
    if (most > LARGEST || most > (this.connection?.info?.max_payload ?? 0)) return false;
    if (this.#used > 0 && (this.#transport !== live || this.#used + most > this.#room.length)) this.#flush();
    if (this.#used === 0) {
      if (this.#room === NONE) this.#room = Buffer.allocUnsafeSlow(2 * LARGEST);
      this.#transport = live;
      queueMicrotask(() => this.#flush());
    }
    const room = this.#room;
    let at = this.#used;
    const bytes = text ? Buffer.byteLength(data) : data.length;
    at += room.write(
      head === '' ? `PUB ${subject} ${bytes}\r\n` : `HPUB ${subject} ${head.length} ${head.length + bytes}\r\n${head}`,
      at,
    );
    at += text ? room.write(data, at) : data.copy(room, at);
    room[at] = CR;
    room[at + 1] = LF;
    this.#used = at + 2;
    return true;
  }

  #flush(): void {
    if (this.#used === 0) return;
    const transport = this.#transport!;
    const frame = this.#room.subarray(0, this.#used);
    this.#used = 0;
    // Unless the kernel took it at once it is still to be read from there.
    if (!transport.sendNow(frame)) this.#room = NONE;
  }
}

class WiredTransport extends NodeTransport {
  override async *iterate(): AsyncIterableIterator<Uint8Array> {
    // A connection somebody made with the library's own `connect` finds these transports too when it looks for its server again.
    const wire = (this.options as ConnectionOptions & { [WIRE]?: ConnectionWire })[WIRE] ?? new ConnectionWire();
    const split = new WireSplit(wire.takers);
    try {
      for await (const chunk of super.iterate()) {
        yield* split.split(chunk as Buffer);
        if (split.taken > 0) wire.live = this;
      }
    } finally {
      // Nobody reads on: the library would notice when two pings have stayed without an answer.
      if (!this.isClosed) this.disconnect();
    }
  }

  /** False from when either side has ended it: a write would be an error then, that nobody listens for. */
  get takes(): boolean {
    return !this.isClosed && this.socket?.writable === true;
  }

  /** As lost as all that was on its way when the connection is. @returns true when nothing of it is kept */
  sendNow(frame: Buffer): boolean {
    if (!this.takes) return true;
    this.socket.write(frame);
    return this.socket.writableLength === 0;
  }
}
