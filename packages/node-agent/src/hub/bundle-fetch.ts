/**
 * Bundle bytes out of the hub's object store, by chunk, so that a cut link costs one chunk and not the bundle.
 * Nothing is trusted here: the bundle store hashes what arrives.
 * Layout: NATS ADR-20 (object store): meta under `$O.<bucket>.M.<base64url name>`, chunks under `$O.<bucket>.C.<nuid>`.
 */
import { type Clock, consumerNames, decodeJson, Fault, objectName, streamName, topology } from '@cim/contracts';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { z } from 'zod';
import { createConsumerSlots } from './consumer-slots.ts';
import { follow } from './follow.ts';
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
  readonly instance: string;
  readonly hubDomain: string;
  readonly inboxPrefix: string;
}

const STREAM = streamName(topology.bundles);
const HEARTBEAT_MS = 2_000;
/** Chunks held between the wire and the disk before flow control bites. */
const HELD = 64;

/** @throws Fault hub-unreachable, not-found, digest-mismatch (another size), leaf-unreachable */
export function createBundleFetch({ clock, leaf, instance, hubDomain, inboxPrefix }: BundleFetchDeps): FetchBundle {
  const slots = createConsumerSlots(consumerNames(topology.bundles, instance));
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
    const first = wanted >= meta.chunks ? undefined : await firstSequence(jsm, subject);
    const started = Promise.withResolvers<number>();
    const chunks = channelOf<Uint8Array>();
    const stop = new AbortController();
    const pump = async () => {
      if (first === undefined) {
        started.resolve(wanted * chunkSize);
        return;
      }
      let left = meta.chunks;
      const end = await follow({
        connection,
        jsm,
        clock,
        stream: STREAM,
        filter: subject,
        slots,
        // Chunks of one object are mostly consecutive: its k-th lies at first + k or later, never before.
        from: first + wanted,
        heartbeatMs: HEARTBEAT_MS,
        inboxPrefix,
        signal: AbortSignal.any([signal, stop.signal]),
        empty: () => stop.abort(),
        each: async ({ data, pending }) => {
          // The k-th chunk from the end has k behind it: so we know where in the bundle this one begins.
          started.resolve(Math.min((meta.chunks - pending - 1) * chunkSize, size));
          await chunks.push(data);
          left = pending;
          if (pending === 0) stop.abort();
        },
      });
      if (left > 0)
        throw new Fault('hub-unreachable', `bundle ${digest}: the link was cut with ${left} chunks to go (${end.kind})`);
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

/** A bounded hand-over between a pushing and a pulling side. */
function channelOf<T>() {
  const held: T[] = [];
  let ended: { readonly error: unknown } | undefined;
  let wake: (() => void) | undefined;
  let room: (() => void) | undefined;
  const signalTo = (side: (() => void) | undefined) => side?.();
  return {
    async push(value: T): Promise<void> {
      held.push(value);
      signalTo(wake);
      while (held.length >= HELD && !ended) await new Promise<void>((resolve) => (room = resolve));
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
