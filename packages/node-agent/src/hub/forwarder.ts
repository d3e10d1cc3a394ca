/**
 * Carries events from the leaf's stream to the hub's: in order, each once, whenever the link allows.
 *
 * Promises:
 * E2. The cursor moves only after the hub has acknowledged, and is on disk before more is sent. After a failure everything behind the
 *     cursor is sent again in order; the event id is the Nats-Msg-Id, so the hub keeps one.
 * E3. After a crash the hub's own last event of this instance says how far we were, so nothing doubles however long the node was down.
 *     (A durable consumer with ack policy "all" was tried and lost events: the ack of one redelivered message acknowledges all that had
 *     been delivered before it.)
 * E4. A leaf stream that was made anew starts a new count.
 */
import { readFile } from 'node:fs/promises';
import { backoffDelay, type Clock, type Logger, parseSubject, subjectOf, topology } from '@cim/contracts';
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { z } from 'zod';
import { writeDurably } from '../bundle/durable.ts';
import { type Followed, follow } from './follow.ts';
import type { Leaf } from './leaf.ts';

export interface Forwarder {
  start(): void;
  /** Events the hub has not acknowledged; undefined while unknown. */
  lag(): number | undefined;
  stop(): Promise<void>;
}

export interface ForwarderDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly leaf: Leaf;
  readonly instance: string;
  readonly hubDomain: string;
  readonly inboxPrefix: string;
  readonly streamReady: () => boolean;
  /** File of the cursor. */
  readonly file: string;
}

const Cursor = z.strictObject({ stream: z.string(), sequence: z.number().int().nonnegative() });
type Cursor = z.infer<typeof Cursor>;

const LEAF_STREAM = topology.leafEvents.name;
const HUB_STREAM = topology.fleetEvents.name;
const SEQUENCE_HEADER = 'Cim-Leaf-Sequence';
const STREAM_HEADER = 'Cim-Leaf-Stream';
const BATCH = 64;
const HEARTBEAT_MS = 2_000;

export function createForwarder(deps: ForwarderDeps): Forwarder {
  const { clock, random, log, leaf, instance, hubDomain } = deps;
  const stopping = new AbortController();
  let cursor: Cursor | undefined;
  let lag: number | undefined;
  let done: Promise<void> = Promise.resolve();

  const save = async (next: Cursor) => {
    await writeDurably(deps.file, JSON.stringify(next));
    cursor = next;
  };

  /** Where to go on: the further of our own note and the hub's last event of ours. */
  const resume = async (jsm: JetStreamManager, hubJsm: JetStreamManager): Promise<Cursor> => {
    const info = await jsm.streams.info(LEAF_STREAM);
    const stream = info.created;
    cursor ??= await readFile(deps.file, 'utf8').then(
      (text) => Cursor.safeParse(JSON.parse(text)).data,
      () => undefined,
    );
    let sequence = cursor?.stream === stream ? cursor.sequence : 0;
    lag = Math.max(0, info.state.last_seq - sequence);
    // Needs allow_direct on the hub's stream; where that is missing our own note has to do.
    const last = await hubJsm.direct.getMessage(HUB_STREAM, { last_by_subj: `cim.v1.evt.${instance}.>` }).catch(() => null);
    if (last?.header.get(STREAM_HEADER) === stream)
      sequence = Math.max(sequence, Number(last.header.get(SEQUENCE_HEADER)) || 0);
    lag = Math.max(0, info.state.last_seq - sequence);
    return { stream, sequence };
  };

  const send = async (hub: JetStreamClient, stream: string, { subject, data, sequence, headers: given }: Followed) => {
    const params = parseSubject('event', subject);
    // Not one of ours, though the stream's subject says it must be: skip it rather than stop the line for ever.
    if (!params) return;
    const head = headers();
    head.set(STREAM_HEADER, stream);
    head.set(SEQUENCE_HEADER, String(sequence));
    await hub.publish(subjectOf('eventForward', params), data, {
      msgID: given?.get('Nats-Msg-Id') || `${instance}-${stream}-${sequence}`,
      expect: { streamName: HUB_STREAM },
      headers: head,
    });
  };

  const round = async () => {
    const connection = leaf.current();
    if (!connection || !deps.streamReady()) return void (await clock.sleep(200, stopping.signal).catch(() => {}));
    const jsm = await jetstreamManager(connection, { checkAPI: false, timeout: 5_000 });
    const hubJsm = await jetstreamManager(connection, { domain: hubDomain, checkAPI: false, timeout: 5_000 });
    const hub = jetstream(connection, { domain: hubDomain, timeout: 5_000 });
    const { stream, sequence } = await resume(jsm, hubJsm);
    let batch: Followed[] = [];
    let failure: unknown;
    const failed = new AbortController();
    await follow({
      connection,
      jsm,
      clock,
      stream: LEAF_STREAM,
      filter: `cim.v1.evt.${instance}.>`,
      from: sequence + 1,
      heartbeatMs: HEARTBEAT_MS,
      inboxPrefix: deps.inboxPrefix,
      signal: AbortSignal.any([stopping.signal, failed.signal]),
      empty: () => {
        lag = 0;
      },
      each: async (event) => {
        if (failed.signal.aborted) return;
        batch.push(event);
        lag = event.pending + batch.length;
        // What has arrived goes together; nobody waits for a batch to fill up.
        if (event.pending > 0 && batch.length < BATCH) return;
        try {
          await Promise.all(batch.map((one) => send(hub, stream, one)));
          await save({ stream, sequence: event.sequence });
          batch = [];
          lag = event.pending;
        } catch (error) {
          failure = error;
          failed.abort();
        }
      },
    });
    if (failure !== undefined) throw failure;
  };

  const loop = async () => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      try {
        await round();
        failures = 0;
      } catch (error) {
        if (stopping.signal.aborted) return;
        if (failures === 0) log.debug({ error: String(error) }, 'events wait at the leaf');
        const delay = backoffDelay({ base: 250, cap: 5_000, factor: 2 }, failures++, random());
        await clock.sleep(delay, stopping.signal).catch(() => {});
      }
    }
  };

  return {
    start() {
      done = loop();
    },
    lag: () => lag,
    async stop() {
      stopping.abort();
      await done;
    },
  };
}
