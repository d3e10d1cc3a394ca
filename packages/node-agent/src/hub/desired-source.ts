/**
 * Desired documents of this instance, from the hub, for as long as the node lives.
 *
 * Promises:
 * R1. Level-triggered: every `resync` and after every reconnect everything is read anew; the watch in between is only a hint.
 * R2. What is handed on is raw: the desired store decides what decodes and verifies.
 * R3. Whether the hub answers is known within three heartbeats, with the reason.
 */
import { backoffDelay, type Clock, type Logger, READERS, topology } from '@cim/contracts';
import { createConsumerSlots } from './consumer-slots.ts';
import type { Followed } from './follow.ts';
import type { Leaf } from './leaf.ts';
import { read } from './read.ts';

/** A document as it lies in the hub's bucket. `bytes` is undefined where the key was deleted. */
export interface RawDesired {
  readonly key: string;
  readonly revision: number;
  readonly bytes: Uint8Array | undefined;
}

export interface DesiredSource {
  start(): void;
  stop(): Promise<void>;
  hub(): { readonly reachable: boolean; readonly detail: string };
}

export interface DesiredSourceDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly leaf: Leaf;
  readonly instance: string;
  readonly hubDomain: string;
  readonly inboxPrefix: string;
  readonly resyncMs: number;
  /** Everything the hub holds for us, or one change. */
  readonly received: (documents: readonly RawDesired[], whole: boolean) => void;
  readonly hubChanged: (reachable: boolean, detail: string) => void;
}

const HEARTBEAT_MS = 2_000;

export function createDesiredSource(deps: DesiredSourceDeps): DesiredSource {
  const { clock, random, log, leaf, instance } = deps;
  const stopping = new AbortController();
  let round = new AbortController();
  let reachable: boolean | undefined;
  let detail = 'not asked yet';
  let done: Promise<void> = Promise.resolve();
  const prefix = `$KV.${topology.desired.name}.`;
  const slots = createConsumerSlots(READERS);

  const say = (now: boolean, why: string) => {
    const changed = reachable !== now;
    reachable = now;
    detail = why;
    if (changed) deps.hubChanged(now, why);
  };

  const once = async (): Promise<string | undefined> => {
    const connection = leaf.current();
    if (!connection) return 'the leaf is not reachable';
    let initial: RawDesired[] | undefined = [];
    const give = () => {
      const all = initial ?? [];
      initial = undefined;
      say(true, 'answers');
      deps.received(all, true);
    };
    round = new AbortController();
    const resync = clock.after(deps.resyncMs * (0.75 + random() / 2), () => round.abort());
    try {
      const end = await read({
        connection,
        clock,
        instance,
        hubDomain: deps.hubDomain,
        row: 'desired',
        slots,
        from: 'last',
        heartbeatMs: HEARTBEAT_MS,
        inboxPrefix: deps.inboxPrefix,
        signal: AbortSignal.any([stopping.signal, round.signal]),
        empty: () => {
          if (initial) give();
        },
        each: (message) => {
          const document = asDocument(message, prefix);
          if (!initial) return deps.received([document], false);
          initial.push(document);
          if (message.pending === 0) give();
        },
      });
      if (end.kind === 'silent') return `no heartbeat for ${Math.round(end.ms)} ms`;
      if (end.kind === 'lost') log.info({ detail: end.detail }, 'the watch on desired state ended');
      return undefined;
    } finally {
      resync.cancel();
    }
  };

  const loop = async () => {
    let failures = 0;
    while (!stopping.signal.aborted) {
      let trouble: string | undefined;
      try {
        trouble = await once();
      } catch (error) {
        trouble = (error as Error).message;
      }
      if (stopping.signal.aborted) return;
      if (trouble === undefined) {
        failures = 0;
        continue;
      }
      say(false, trouble);
      const delay = backoffDelay({ base: 200, cap: 5_000, factor: 1.6 }, failures++, random());
      await clock.sleep(delay, stopping.signal).catch(() => {});
    }
  };

  leaf.onChange((connection) => {
    // A new connection may lead to another hub: read everything again.
    if (connection) round.abort();
    else say(false, 'the leaf is not reachable');
  });

  return {
    start() {
      done = loop();
    },
    async stop() {
      stopping.abort();
      await done;
    },
    hub: () => ({ reachable: reachable ?? false, detail }),
  };
}

function asDocument({ subject, sequence, data, headers }: Followed, prefix: string): RawDesired {
  const operation = headers?.get('KV-Operation');
  const gone = operation === 'DEL' || operation === 'PURGE' || data.length === 0;
  return { key: subject.slice(prefix.length), revision: sequence, bytes: gone ? undefined : data };
}
