/**
 * A hash chain in a stream of the hub, appended to by any number of registries at once. Place in the chain and sequence in the stream are
 * the same number.
 *
 * Promises:
 * C1. An entry is stored only if it follows the last one (expected last sequence): of two that append at once one is told so, learns what
 *     came before it, and tries again behind it. So the chain has one history, whoever writes.
 * C2. An append that was not answered is sent again under the same id, and is one entry.
 * C3. Every entry is seen here in order, those of others too, before anything is appended behind it.
 * C4. What is there and cannot be continued (no entry, or not at its place) is never written over: appends are refused, and `trouble` says why.
 */
import { type ChainEntry, type ChainHead, type Clock, decodeJson, Fault, link as follows, headOf } from '@cim/contracts';
import type { z } from 'zod';
import { hubFault, lostRace, refusedByHub } from './faults.ts';
import { readAll } from './follow.ts';
import type { Hub, Link } from './hub.ts';

export interface Seen<Body> {
  readonly entry: ChainEntry<Body>;
  /** When the hub stored it, ms since 1970 by the hub's clock. */
  readonly storedAt: number;
}

export interface ChainLog<Body> {
  /**
   * Appends what `make` gives, which is asked right before the entry is linked, again at each try; nothing when it gives nothing.
   * @param id makes a repeated append one entry
   * @throws Fault `hub-unreachable`, `storage-full`, `topology-drift` (C4)
   */
  append(id: string, subject: string, make: () => Body | undefined): Promise<ChainEntry<Body> | undefined>;
  /** At most `max` entries after a place, oldest first. @throws Fault */
  read(after: number, max: number): Promise<ChainEntry<Body>[]>;
  /** The last entry, learnt now, with all before it seen (C3). @throws Fault */
  catchUp(): Promise<ChainHead | undefined>;
  /** The hub's clock when it was last heard, as ms to be added to ours. */
  skewMs(): number;
  trouble(): string | undefined;
}

export interface ChainLogDeps<Body> {
  readonly clock: Clock;
  readonly hub: Hub;
  /** Name of the stream. */
  readonly stream: string;
  /** Every subject of it, as a pattern. */
  readonly filter: string;
  readonly chain: string;
  readonly schema: z.ZodType<ChainEntry<Body>>;
  /** What an entry gets on its way into the stream beside its place in the chain, e.g. a signature. */
  readonly seal?: (entry: ChainEntry<Body>) => ChainEntry<Body>;
  /** The id an entry was appended under. */
  readonly idOf: (body: Body) => string;
  /** Where reading must begin so that everything open is seen: from the last entry, the first that matters. */
  readonly begin: (last: ChainEntry<Body>) => number;
  /** C3. */
  readonly seen: (seen: Seen<Body>) => void;
  /** The stream was made anew: what was seen is of another life. */
  readonly anew: () => void;
}

const APPEND_MS = 10_000;
const READ_MS = 10_000;
const ONE_MS = 3_000;

export function createChainLog<Body>(deps: ChainLogDeps<Body>): ChainLog<Body> {
  const { clock, hub, stream, filter, chain, schema } = deps;
  let head: ChainHead | undefined;
  let life: string | undefined;
  let skew = 0;
  let trouble: string | undefined;
  /** The append that is under way. */
  let awaited: { readonly id: string; entry: ChainEntry<Body> | undefined } | undefined;
  /** Appends and readings of the end by this process, one after the other. */
  let last: Promise<unknown> = Promise.resolve();

  const decoded = (bytes: Uint8Array, sequence: number): ChainEntry<Body> => {
    const entry = decodeJson(schema, bytes, `${stream} ${sequence}`, 'topology-drift');
    if (entry.sequence === sequence) return entry;
    throw new Fault('topology-drift', `${stream}: message ${sequence} holds entry ${entry.sequence} of the chain`);
  };
  const take = (seen: Seen<Body>) => {
    head = headOf(seen.entry);
    if (awaited?.id === deps.idOf(seen.entry.body)) awaited.entry = seen.entry;
    deps.seen(seen);
  };

  /** Sees everything up to now. */
  const learn = async (link: Link): Promise<void> => {
    const info = await link.jsm.streams.info(stream);
    const told = Date.parse((info as { ts?: string }).ts ?? '');
    if (!Number.isNaN(told)) skew = told - clock.now();
    const { last_seq, first_seq, messages } = info.state;
    if (life !== info.created || (head?.sequence ?? 0) > last_seq) {
      if (life !== undefined) deps.anew();
      life = info.created;
      head = undefined;
    }
    if (last_seq === 0 || head?.sequence === last_seq) return;
    if (messages !== last_seq || first_seq !== 1)
      throw new Fault('topology-drift', `${stream}: ${last_seq - messages} of ${last_seq} entries are gone`);
    let from = (head?.sequence ?? 0) + 1;
    if (head === undefined) {
      const message = await link.jsm.streams.getMessage(stream, { seq: last_seq });
      if (!message) throw new Fault('topology-drift', `${stream}: entry ${last_seq} cannot be read`);
      from = Math.min(Math.max(1, deps.begin(decoded(message.data, last_seq))), last_seq);
    }
    for (const { data, sequence, storedAt } of await readAll({ clock, link, stream, filter, from: { sequence: from } }))
      if (sequence > (head?.sequence ?? 0)) take({ entry: decoded(data, sequence), storedAt });
  };

  const learning = async (link: Link) => {
    try {
      await learn(link);
      trouble = undefined;
    } catch (error) {
      if (error instanceof Fault && error.code === 'topology-drift') trouble = error.detail;
      throw error;
    }
  };

  const append = async (link: Link, id: string, subject: string, make: () => Body | undefined) => {
    const end = clock.monotonic() + APPEND_MS;
    const mine = { id, entry: undefined as ChainEntry<Body> | undefined };
    awaited = mine;
    if (life === undefined) await learning(link);
    for (let silent = 0; ; ) {
      const before = head;
      const body = make();
      if (body === undefined) return undefined;
      const linked = follows(chain, before, body);
      const entry = deps.seal?.(linked) ?? linked;
      try {
        const { duplicate } = await link.js.publish(subject, JSON.stringify(entry), {
          msgID: id,
          timeout: ONE_MS,
          expect: { streamName: stream, lastSequence: before?.sequence ?? 0 },
        });
        if (!duplicate) {
          take({ entry, storedAt: clock.now() + skew });
          return entry;
        }
      } catch (error) {
        const raced = lostRace(error);
        if (!raced && (refusedByHub(hubFault(error, stream)) || ++silent > 2)) throw error;
      }
      // Somebody was first, or nobody answered: what stands there now may be this very entry (C2).
      await learning(link);
      if (mine.entry) return mine.entry;
      if (clock.monotonic() > end) throw new Fault('overloaded', `${stream}: others always came first`);
    }
  };

  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  };

  return {
    append: (id, subject, make) =>
      inTurn(() => hub.run(`writing ${stream}`, (link) => append(link, id, subject, make), 2 * APPEND_MS)),
    read: (after, max) =>
      hub.run(
        `reading ${stream}`,
        async (link) => {
          const { state } = await link.jsm.streams.info(stream);
          const to = Math.min(state.last_seq, after + max);
          if (after >= to) return [];
          const found: ChainEntry<Body>[] = [];
          const messages = await readAll({ clock, link, stream, filter, from: { sequence: after + 1 }, most: to - after });
          for (const { data, sequence } of messages) found.push(decoded(data, sequence));
          return found;
        },
        READ_MS,
      ),
    catchUp: () =>
      inTurn(() =>
        hub.run(
          `reading ${stream}`,
          async (link) => {
            await learning(link);
            return head;
          },
          READ_MS,
        ),
      ),
    skewMs: () => skew,
    trouble: () => trouble,
  };
}
