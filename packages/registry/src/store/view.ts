/**
 * A whole bucket in memory, kept by one watch and shared by everyone in the process.
 *
 * Promises:
 * V1. Level-triggered: everything is read anew at every reconnect and every `resyncMs`; the watch in between is a hint.
 * V2. `fresh` waits until the model holds all the hub had when it was asked, so who wrote through one registry reads it at another.
 * V3. What does not decode is left out and said in the log once per revision.
 * V4. A value is decoded once per revision, however often it is read.
 */
import { backoffDelay, type Clock, Fault, type KvRow, type Logger, streamName, waitUntil } from '@cim/contracts';
import { follow, type Message } from './follow.ts';
import type { Hub } from './hub.ts';

export interface Held<T> {
  readonly value: T;
  readonly revision: number;
  /** When it was stored, ms since 1970 by our own clock. */
  readonly storedAt: number;
  /** True when the key is no more; such values are only held where {@link ViewDeps.gone} says `keep`. */
  readonly gone: boolean;
}

export interface BucketView<T> {
  start(): void;
  stop(): Promise<void>;
  /** What is known now. */
  entries(): ReadonlyMap<string, Held<T>>;
  /** V2. @throws Fault `hub-unreachable` */
  fresh(): Promise<ReadonlyMap<string, Held<T>>>;
  /** True while the watch stands and everything has been read once. */
  live(): boolean;
  /** Keys whose value does not decode (V3). */
  undecoded(): number;
}

export interface ViewDeps<T> {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly hub: Hub;
  readonly row: KvRow;
  /** @throws Fault when it does not decode */
  readonly decode: (key: string, bytes: Uint8Array) => T;
  /** Time between two full reads, ms. */
  readonly resyncMs: number;
  /** Keys that are gone: dropped, or kept as they last were. */
  readonly gone: 'drop' | 'keep';
}

export function createView<T>(deps: ViewDeps<T>): BucketView<T> {
  const { clock, random, log, hub, row } = deps;
  const stream = streamName(row);
  const prefix = `$KV.${row.name}.`;
  const held = new Map<string, Held<T>>();
  /** Revisions already looked at, decodable or not (V3, V4). */
  const looked = new Map<string, number>();
  const bad = new Set<string>();
  const stopping = new AbortController();
  let round = new AbortController();
  /** When the stream was made: sequences mean something only within one life of it. */
  let life = '';
  let position = 0;
  let complete = false;
  let running: Promise<void> = Promise.resolve();

  const drop = (key: string) => {
    looked.delete(key);
    bad.delete(key);
    const last = held.get(key);
    if (deps.gone === 'drop') held.delete(key);
    else if (last) held.set(key, { ...last, gone: true });
  };
  const apply = ({ subject, data, headers, sequence, storedAt }: Message, skewMs: number) => {
    const key = subject.slice(prefix.length);
    if (headers?.get('KV-Operation')) drop(key);
    else if (looked.get(key) !== sequence) {
      looked.set(key, sequence);
      bad.delete(key);
      try {
        held.set(key, { value: deps.decode(key, data), revision: sequence, storedAt: storedAt + skewMs, gone: false });
      } catch (error) {
        held.delete(key);
        bad.add(key);
        log.warn({ bucket: row.name, key, revision: sequence, error: String(error) }, 'a stored value does not decode');
      }
    }
    return key;
  };

  /** One watch from the first read to its end. */
  const once = async () => {
    const link = await hub.up(stopping.signal);
    round = new AbortController();
    const resync = clock.after(deps.resyncMs * (0.75 + random() / 2), () => round.abort());
    const forget = hub.onChange((up) => {
      if (!up) round.abort();
    });
    try {
      const info = await link.jsm.streams.info(stream);
      // The stream was made anew: what was held belongs to another life of the hub.
      if (info.created !== life) {
        life = info.created;
        position = 0;
        complete = false;
        for (const key of [...looked.keys()]) drop(key);
      }
      const told = Date.parse((info as { ts?: string }).ts ?? '');
      const skewMs = Number.isNaN(told) ? 0 : clock.now() - told;
      const seen = new Set<string>();
      const whole = () => {
        for (const key of [...looked.keys()]) if (!seen.has(key)) drop(key);
        position = Math.max(position, info.state.last_seq);
        complete = true;
      };
      let reading = true;
      return await follow({
        clock,
        link,
        stream,
        filter: `${prefix}>`,
        from: { last: true },
        signal: AbortSignal.any([stopping.signal, round.signal]),
        begun: (pending) => {
          if (pending > 0) return;
          reading = false;
          whole();
        },
        each: (message) => {
          const key = apply(message, skewMs);
          position = Math.max(position, message.sequence);
          if (!reading) return;
          seen.add(key);
          if (message.pending > 0) return;
          reading = false;
          whole();
        },
      });
    } finally {
      resync.cancel();
      forget();
    }
  };

  const run = async () => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      try {
        const ending = await once();
        failures = ending.kind === 'stopped' ? 0 : failures + 1;
        if (ending.kind !== 'stopped') log.debug({ bucket: row.name, ...ending }, 'the watch ended, beginning anew');
      } catch (error) {
        failures++;
        if (!stopping.signal.aborted)
          log.debug({ bucket: row.name, error: String(error) }, 'the bucket cannot be watched, trying on');
      }
      if (!hub.current()) complete = false;
      if (failures > 0) {
        const delay = backoffDelay({ base: 100, cap: 3_000, factor: 2 }, failures, random());
        await clock.sleep(delay, stopping.signal).catch(() => {});
      }
    }
  };

  return {
    start() {
      running = run();
    },
    async stop() {
      stopping.abort(new Error('stopping'));
      await running;
    },
    entries: () => held,
    undecoded: () => bad.size,
    live: () => complete && hub.current() !== undefined,
    fresh: () =>
      hub.run(`reading ${row.name}`, async (link) => {
        const { state, created } = await link.jsm.streams.info(stream);
        const there = () => complete && life === created && position >= state.last_seq;
        if (life !== created) round.abort();
        if (!there() && !(await waitUntil(clock, 1_500, there, 5))) {
          // The watch is not where it should be: read everything anew, once.
          round.abort();
          if (!(await waitUntil(clock, 2_000, there, 5)))
            throw new Fault('hub-unreachable', `${row.name}: the view does not catch up with the hub`);
        }
        return held;
      }),
  };
}
