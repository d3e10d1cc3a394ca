/**
 * One HTTP exchange with addresses that were checked before: no name is looked up here, no redirect followed.
 *
 * Promises:
 * X1. The connection goes to one of `addresses` and to nothing else, whatever the name resolves to by now.
 * X2. No more than `maxBytes` of the answer are held, neither packed nor unpacked; what is larger ends with `too-large`.
 * X3. Everything ends with the signal: the request, the answer, the unpacking.
 */
import { type Agent, type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { Fault } from '@cim/contracts';

export type Header = readonly [name: string, value: string];

export interface Exchange {
  readonly url: URL;
  readonly method: string;
  readonly headers: readonly Header[];
  readonly body: Uint8Array | undefined;
  /** Checked; tried in this order. */
  readonly addresses: readonly string[];
  readonly maxBytes: number;
  readonly agent: Agent;
  readonly signal: AbortSignal;
}

export interface Reply {
  readonly status: number;
  readonly statusText: string;
  readonly headers: readonly Header[];
  readonly body: Uint8Array;
}

const MAX_HEADER_BYTES = 16 * 1024;
const UNPACK: Readonly<Record<string, () => NodeJS.ReadWriteStream>> = {
  gzip: () => createGunzip(),
  'x-gzip': () => createGunzip(),
  deflate: () => createInflate(),
  br: () => createBrotliDecompress(),
};
/** Said of the message on the wire, not of what the guest gets. */
const WIRE_ONLY = new Set([
  'content-encoding',
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'trailer',
  'upgrade',
]);

/** @throws Fault `egress-failed`, `too-large`; the signal's reason */
export function exchange(options: Exchange): Promise<Reply> {
  const { url, method, headers, body, addresses, agent, signal } = options;
  const pinned: LookupFunction = (_, { all }, done) => {
    const list = addresses.map((address) => ({ address, family: isIP(address) }));
    if (all) done(null, list);
    else done(null, list[0]!.address, list[0]!.family);
  };
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      if (signal.aborted) reject(signal.reason);
      else
        reject(
          error instanceof Fault ? error : new Fault('egress-failed', `${url.host}: ${reasonOf(error)}`, { cause: error }),
        );
    };
    const request = (url.protocol === 'https:' ? requestTls : requestPlain)({
      agent,
      method,
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port),
      path: `${url.pathname}${url.search}`,
      headers: Object.fromEntries(headers),
      lookup: pinned,
      maxHeaderSize: MAX_HEADER_BYTES,
      signal,
    });
    request.on('error', fail);
    request.on('socket', (socket) => {
      const check = () => {
        // X1, seen from the other end: what the connection really is to.
        if (socket.remoteAddress !== undefined && !addresses.includes(socket.remoteAddress))
          request.destroy(new Fault('egress-refused', `${url.host}: the connection is to ${socket.remoteAddress}`));
      };
      if (socket.connecting) socket.once('connect', check);
      else check();
    });
    request.on('upgrade', (_, socket) => {
      socket.destroy();
      fail(new Fault('egress-failed', `${url.host}: switched to another protocol`));
    });
    request.on('response', (reply) => {
      collect(reply, options).then(resolve, (error) => {
        request.destroy();
        fail(error);
      });
    });
    request.end(body);
  });
}

async function collect(reply: IncomingMessage, { url, method, maxBytes, signal }: Exchange): Promise<Reply> {
  const encoding = (reply.headers['content-encoding'] ?? '').trim().toLowerCase();
  const unpack = method === 'HEAD' ? undefined : UNPACK[encoding];
  let packed = 0;
  const tooLarge = () =>
    new Fault('too-large', `${url.host}: the answer is larger than ${maxBytes} bytes (grants.http maxBytes)`);
  if (Number(reply.headers['content-length'] ?? 0) > maxBytes && method !== 'HEAD') throw tooLarge();

  async function* counted() {
    for await (const chunk of reply as AsyncIterable<Buffer>) {
      packed += chunk.length;
      if (packed > maxBytes) throw tooLarge();
      yield chunk;
    }
  }
  const pieces: Buffer[] = [];
  let held = 0;
  const keep = (chunk: Buffer) => {
    held += chunk.length;
    if (held > maxBytes) throw tooLarge();
    pieces.push(chunk);
  };
  if (unpack === undefined) for await (const chunk of counted()) keep(chunk);
  else await unpacked(counted(), unpack(), keep, signal);

  const headers: Header[] = [];
  for (let i = 0; i < reply.rawHeaders.length; i += 2) {
    const name = reply.rawHeaders[i]!.toLowerCase();
    if (name === 'content-encoding' ? unpack === undefined : !WIRE_ONLY.has(name))
      headers.push([name, reply.rawHeaders[i + 1]!]);
  }
  return { status: reply.statusCode!, statusText: reply.statusMessage ?? '', headers, body: Buffer.concat(pieces) };
}

/** Feeds piece by piece and looks at what comes out before it feeds more, so that a bomb is seen when it begins to go off. */
async function unpacked(
  from: AsyncIterable<Buffer>,
  through: NodeJS.ReadWriteStream,
  keep: (chunk: Buffer) => void,
  signal: AbortSignal,
): Promise<void> {
  const stream = through as NodeJS.ReadWriteStream & { destroy(error?: Error): void };
  const { promise: done, resolve, reject } = Promise.withResolvers<void>();
  done.catch(() => {});
  stream.on('data', (chunk: Buffer) => {
    try {
      keep(chunk);
    } catch (error) {
      stream.destroy();
      reject(error);
    }
  });
  stream.on('end', resolve);
  stream.on('error', reject);
  const stop = () => {
    stream.destroy();
    reject(signal.reason);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    for await (const chunk of from) {
      if (stream.write(chunk)) continue;
      await Promise.race([done, new Promise<void>((drained) => stream.once('drain', drained))]);
    }
    stream.end();
    await done;
  } finally {
    signal.removeEventListener('abort', stop);
    stream.destroy();
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return reasonOf(error.errors[0]);
  if (!(error instanceof Error)) return 'failed';
  const { code } = error as NodeJS.ErrnoException;
  // Of an error of the system the code says it without the address; the rest is a sentence of Node's.
  return code !== undefined && /^E[A-Z]+$/.test(code) ? code : error.message.slice(0, 200);
}
