/**
 * Bundle bytes out of the hub's object store, by chunk, so that a cut link costs one chunk and not the bundle.
 * Nothing is trusted here: the bundle store hashes what arrives.
 * Layout: NATS ADR-20 (object store): meta under `$O.<bucket>.M.<base64url name>`, chunks under `$O.<bucket>.C.<nuid>`.
 * Protocol: NATS ADR-31 (direct get in batches): no consumer, and nothing at the hub but the stream itself has a part in it.
 */
import { type Clock, decodeJson, Fault, objectName, streamName, topology } from '@cim/contracts';
import { headersIn, wireOf } from '@cim/contracts/wire';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { createInbox, type MsgHdrs, type NatsConnection } from '@nats-io/transport-node';
import { z } from 'zod';
import type { Leaf } from './leaf.ts';

/** The part of an object's meta that is read; sizes in bytes. */
const ObjectMeta = z.looseObject({
  nuid: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  size: z.number().int().nonnegative(),
  chunks: z.number().int().nonnegative(),
  deleted: z.boolean().optional(),
  options: z.looseObject({ max_chunk_size: z.number().int().positive() }).optional(),
});

export interface FetchedFrom {
  /** Byte of the bundle the first chunk begins at: the asked one or the chunk boundary before it. */
  readonly offset: number;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export type FetchBundle = (digest: string, size: number, fromByte: number, signal: AbortSignal) => Promise<FetchedFrom>;

export interface BundleFetchDeps {
  readonly clock: Clock;
  readonly leaf: Leaf;
  readonly hubDomain: string;
  readonly inboxPrefix: string;
}

const STREAM = streamName(topology.bundles);
/** Longest silence within a batch. */
const SILENT_MS = 5_000;
/** Chunks asked for at a time, and held between the wire and the disk before more is asked for. */
const BATCH = 64;

/** @throws Fault hub-unreachable, not-found, digest-mismatch (another size), leaf-unreachable */
export function createBundleFetch({ clock, leaf, hubDomain, inboxPrefix }: BundleFetchDeps): FetchBundle {
  return async (digest, size, fromByte, signal) => {
    const connection = await leaf.ready(5_000);
    const jsm = await jetstreamManager(connection, { domain: hubDomain, checkAPI: false, timeout: 5_000 });
    const meta = await readMeta(jsm, digest);
    if (meta.size !== size) {
      throw new Fault('digest-mismatch', `bundle ${digest}: expected ${size} bytes, the store holds ${meta.size}`);
    }
    const subject = `$O.${topology.bundles.name}.C.${meta.nuid}`;
    const chunkSize = meta.options?.max_chunk_size ?? 128 * 1024;
    const wanted = Math.floor(Math.min(fromByte, size) / chunkSize);
    // Chunks of one object are mostly consecutive: its k-th lies at first + k or later, never before.
    const begin = wanted === 0 ? 1 : (await firstSequence(jsm, subject)) + wanted;
    const started = Promise.withResolvers<number>();
    const chunks = channelOf<Uint8Array>();
    const stop = new AbortController();
    const pump = async () => {
      if (wanted >= meta.chunks) {
        started.resolve(wanted * chunkSize);
        return;
      }
      let left = meta.chunks;
      for (let from = begin; left > 0; ) {
        const batch = {
          connection,
          clock,
          hubDomain,
          inboxPrefix,
          subject,
          from,
          signal: AbortSignal.any([signal, stop.signal]),
        };
        const end = await readBatch(batch, ({ data, sequence, pending: said }) => {
          if (said === undefined && from !== 1 && left === meta.chunks) {
            // Which chunk this is cannot be known: from the first, then.
            from = 1;
            return;
          }
          const pending = said ?? left - 1;
          // The k-th chunk from the end has k behind it: so we know where in the bundle this one begins.
          started.resolve(Math.min((meta.chunks - pending - 1) * chunkSize, size));
          chunks.push(data);
          from = sequence + 1;
          left = pending;
        });
        if (end === 'stopped') break;
        if (end === 'silent')
          throw new Fault('hub-unreachable', `bundle ${digest}: the link was cut with ${left} chunks to go`);
        if (end === 'none') throw new Fault('not-found', `bundle ${digest}: ${left} chunks are missing in the hub's store`);
        await chunks.room();
      }
    };
    const done = pump().then(
      () => chunks.end(),
      (error) => {
        const fault =
          error instanceof Fault
            ? error
            : new Fault('hub-unreachable', `bundle ${digest}: ${(error as Error).message}`, { cause: error });
        started.reject(fault);
        chunks.end(fault);
      },
    );
    started.promise.catch(() => {});
    const offset = await started.promise;
    return {
      offset,
      chunks: (async function* () {
        try {
          yield* chunks;
        } finally {
          stop.abort();
          await done;
        }
      })(),
    };
  };
}

async function readMeta(jsm: JetStreamManager, digest: string) {
  const name = Buffer.from(objectName(digest)).toString('base64url');
  // The object store pads its base64url names (ADR-20).
  const padded = name.padEnd(Math.ceil(name.length / 4) * 4, '=');
  const message = await ask(digest, () =>
    jsm.direct.getMessage(STREAM, { last_by_subj: `$O.${topology.bundles.name}.M.${padded}` }),
  );
  const meta = message ? decodeJson(ObjectMeta, message.data, `object ${digest}`, 'bundle-malformed') : undefined;
  if (!meta || meta.deleted) throw new Fault('not-found', `bundle ${digest} is not in the hub's store`);
  return meta;
}

async function firstSequence(jsm: JetStreamManager, subject: string): Promise<number> {
  const message = await ask(subject, () => jsm.direct.getMessage(STREAM, { seq: 1, next_by_subj: subject }));
  if (!message) throw new Fault('not-found', `${subject}: no chunk in the hub's store`);
  return message.seq;
}

async function ask<T>(what: string, question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (cause) {
    throw new Fault('hub-unreachable', `${what}: ${(cause as Error).message}`, { cause });
  }
}

interface Chunk {
  readonly data: Uint8Array;
  readonly sequence: number;
  /** Of the same subject, still to come after this one; undefined of a hub before nats-server 2.11, which gives one at a time. */
  readonly pending: number | undefined;
}

/** One batch, in order. `none`: nothing lies there; `silent`: the link was cut; a batch that came to its end in any way is `done`. */
async function readBatch(
  ask: {
    readonly connection: NatsConnection;
    readonly clock: Clock;
    readonly hubDomain: string;
    readonly inboxPrefix: string;
    readonly subject: string;
    readonly from: number;
    readonly signal: AbortSignal;
  },
  each: (chunk: Chunk) => void,
): Promise<'done' | 'none' | 'silent' | 'stopped'> {
  const { connection, clock, hubDomain, inboxPrefix, subject, from, signal } = ask;
  if (signal.aborted) return 'stopped';
  const ended = Promise.withResolvers<'done' | 'none' | 'silent' | 'stopped'>();
  let heard = clock.monotonic();
  let got = 0;
  const take = (headers: MsgHdrs | undefined, data: Uint8Array) => {
    heard = clock.monotonic();
    const status = headers?.code ?? 0;
    if (status >= 400 || headers === undefined) return ended.resolve(got === 0 ? (status === 503 ? 'silent' : 'none') : 'done');
    if (status === 204) return ended.resolve(got === 0 ? 'none' : 'done');
    got++;
    const batched = headers.has('Nats-Num-Pending');
    each({
      data,
      sequence: Number(headers.get('Nats-Sequence')),
      pending: batched ? Number(headers.get('Nats-Num-Pending')) : undefined,
    });
    if (!batched) ended.resolve('done');
  };
  const taken = (headers: () => MsgHdrs | undefined, data: Uint8Array) => {
    try {
      take(headers(), data);
    } catch (thrown) {
      ended.reject(thrown);
    }
  };
  const inbox = createInbox(inboxPrefix);
  const subscription = connection.subscribe(inbox, {
    callback: (error, message) => (error ? ended.resolve('silent') : taken(() => message.headers, message.data)),
  });
  // Past the library, which copies what comes in many reads several times.
  const wire = wireOf(connection);
  const sid = subscription.getID();
  wire?.choose(sid, (_, bytes, head, data, end) => taken(() => headersIn(bytes, head, data), bytes.subarray(data, end)));
  const onAbort = () => ended.resolve('stopped');
  signal.addEventListener('abort', onAbort, { once: true });
  const silence = clock.every(SILENT_MS / 4, () => {
    if (clock.monotonic() - heard > SILENT_MS) ended.resolve('silent');
  });
  try {
    connection.publish(
      `$JS.${hubDomain}.API.DIRECT.GET.${STREAM}`,
      JSON.stringify({ seq: from, next_by_subj: subject, batch: BATCH }),
      { reply: inbox },
    );
    return await ended.promise;
  } finally {
    silence.cancel();
    signal.removeEventListener('abort', onAbort);
    subscription.unsubscribe();
    wire?.leave(sid);
  }
}

/** A bounded hand-over between a pushing and a pulling side. */
function channelOf<T>() {
  const held: T[] = [];
  let ended: { readonly error: unknown } | undefined;
  let wake: (() => void) | undefined;
  let room: (() => void) | undefined;
  const signalTo = (side: (() => void) | undefined) => side?.();
  return {
    push(value: T): void {
      held.push(value);
      signalTo(wake);
    },
    /** Resolves when less than a quarter of a batch is held. */
    async room(): Promise<void> {
      while (held.length >= BATCH / 4 && !ended) await new Promise<void>((resolve) => (room = resolve));
    },
    end(error?: unknown): void {
      ended ??= { error };
      signalTo(wake);
      signalTo(room);
    },
    async *[Symbol.asyncIterator](): AsyncGenerator<T> {
      try {
        for (;;) {
          while (held.length > 0) {
            yield held.shift()!;
            signalTo(room);
          }
          if (ended) {
            if (ended.error !== undefined) throw ended.error;
            return;
          }
          await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        ended ??= { error: undefined };
        signalTo(room);
      }
    },
  };
}
