/**
 * Who changed what, and why: every change goes through here, and none happens that the hub has not been told of before.
 *
 *   intent (who, why, hash of what will be) -> the write, by compare-and-set and marked with the intent -> outcome -> the event
 *
 * Promises:
 * U1. Without its intent in the chain a change is not made: a hub that cannot keep the one does not get the other.
 * U2. A registry that dies in between, or a write that was never answered, leaves an open intent. Some `SETTLE_MS` later any registry
 *     looks at what stands under the key and closes it; whose value it is, is written on the value.
 * U3. A write is only begun soon after its intent was kept, so that nobody closes an intent whose write is still to come.
 * U4. The answer does not wait for the outcome longer than a moment; it is kept as soon as the hub takes it, or recovered.
 */
import {
  AUDIT_CHAIN,
  type AuditBody,
  AuditEntry,
  type AuditIntent,
  type AuditResult,
  backoffDelay,
  type ChainHead,
  type Clock,
  digestOf,
  Fault,
  type Logger,
  newId,
  OpenIntents,
  subjectOf,
  topology,
} from '@cim/contracts';
import type { Announcer } from './announce.ts';
import type { Caller } from './auth.ts';
import type { Bucket, KeyState, Written } from './store/bucket.ts';
import type { ChainLog, ChainLogDeps } from './store/chain-log.ts';
import { refusedByHub } from './store/faults.ts';

/** Who asks for a change, and in which request. */
export interface Actor {
  readonly caller: Caller;
  readonly requestId: string;
  /** Why, in the caller's words. */
  readonly reason?: string | undefined;
  readonly address?: string | undefined;
}

interface Deed {
  /** `<entity>.<event>`, e.g. `bundle.published`: a row of eventTypes. */
  readonly action: string;
  /** Whose it is: one token of a subject, e.g. the bundle's name. */
  readonly subject: string;
  readonly actor: Actor;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Change extends Deed {
  readonly bucket: Bucket;
  readonly key: string;
  readonly value: string;
  /** What the change was made on, as `bucket.state` gave it. */
  readonly state: KeyState;
}

export interface Audit {
  /** U1. @throws Fault when the intent cannot be kept or the write fails; of a lost race it says so */
  change(change: Change): Promise<Written>;
  /** The same for work that is no write of a key; after a crash its outcome is unknown. */
  act<T>(deed: Deed, work: () => Promise<T>): Promise<T>;
  /** At most `max` entries after a place. @throws Fault */
  read(after: number, max: number): Promise<AuditEntry[]>;
  /** The last entry now. @throws Fault */
  head(): Promise<ChainHead | undefined>;
  /** Intents without outcome that are known here, and why the chain cannot be continued. */
  facts(): { readonly open: number; readonly trouble: string | undefined };
  start(): void;
  stop(): Promise<void>;
}

export interface AuditDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly announce: Announcer;
  readonly chain: (deps: Omit<ChainLogDeps<AuditBody>, 'clock' | 'hub'>) => ChainLog<AuditBody>;
  /** Where changes are written, by name: to look there after a crash. */
  readonly buckets: readonly Bucket[];
  /** Told how each change ended. */
  readonly counted: (outcome: AuditResult) => void;
  /** How long an intent is left to whoever made it, ms. */
  readonly settleMs?: number;
}

/** Longest time from an intent to the beginning of its write, ms. */
const BEGIN_MS = 3_000;
/** The write itself has five seconds; then some, for clocks. */
const SETTLE_MS = 10_000;
const LOOK_MS = 1_000;
const PATIENCE_MS = 1_500;

export function createAudit(deps: AuditDeps): Audit {
  const { clock, random, log, announce, counted, settleMs = SETTLE_MS } = deps;
  const open = new OpenIntents();
  const storedAt = new Map<string, number>();
  /** Changes this process is busy with. */
  const busy = new Set<string>();
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();
  const closing = new Set<Promise<void>>();
  const buckets = new Map(deps.buckets.map((bucket) => [bucket.name, bucket]));

  const chain = deps.chain({
    stream: topology.audit.name,
    filter: topology.audit.subjects[0],
    chain: AUDIT_CHAIN,
    schema: AuditEntry as never,
    idOf: ({ id, phase }) => `${id}:${phase}`,
    begin: ({ sequence, body }) => body.open ?? sequence,
    seen({ entry, storedAt: at }) {
      open.take(entry);
      if (entry.body.phase === 'intent') storedAt.set(entry.body.id, at);
      else storedAt.delete(entry.body.id);
    },
    anew() {
      log.error({ stream: topology.audit.name }, 'the audit log was made anew: what it held is gone');
      open.clear();
      storedAt.clear();
    },
  });
  const append = (id: string, phase: AuditBody['phase'], make: () => AuditBody | undefined) =>
    chain.append(`${id}:${phase}`, subjectOf('audit', { phase }), make);
  const stamp = () => {
    const oldest = open.oldest();
    return { at: new Date(clock.now()).toISOString(), ...(oldest === undefined ? {} : { open: oldest }) };
  };

  /** Tries until the hub has it, or somebody else closed it, or we stop. */
  const close = async (intent: AuditIntent, outcome: AuditResult, more: { revision?: number; code?: Fault['code'] }) => {
    counted(outcome);
    for (let failures = 0; !stopping.signal.aborted; failures++) {
      try {
        await append(intent.id, 'outcome', () =>
          open.has(intent.id) ? { phase: 'outcome', id: intent.id, ...stamp(), outcome, ...more } : undefined,
        );
        break;
      } catch (error) {
        if (failures === 0)
          log.warn({ change: intent.id, error: String(error) }, 'an outcome could not be kept yet, trying on');
        const delay = backoffDelay({ base: 200, cap: 5_000, factor: 2 }, failures, random());
        await clock.sleep(delay, stopping.signal).catch(() => {});
      }
    }
    if (outcome !== 'applied' && outcome !== 'recovered-applied') return;
    await announce.say({
      type: intent.action,
      id: intent.subject,
      eventId: intent.id,
      by: intent.by.name,
      requestId: intent.requestId,
      reason: intent.reason,
      data: more.revision === undefined ? intent.data : { ...intent.data, revision: more.revision },
    });
  };
  /** U4. */
  const closed = async (...how: Parameters<typeof close>) => {
    const done = close(...how).finally(() => closing.delete(done));
    closing.add(done);
    const waited = new AbortController();
    await Promise.race([done, clock.sleep(PATIENCE_MS, waited.signal).catch(() => {})]);
    waited.abort();
  };

  /** U1. @returns the intent, kept by the hub a moment ago */
  const intend = async ({ action, subject, actor, data }: Deed, change?: Change): Promise<AuditIntent> => {
    const { caller, requestId, reason, address } = actor;
    const id = newId();
    let begun: number | undefined;
    busy.add(id);
    try {
      const entry = await append(id, 'intent', () => {
        begun ??= clock.monotonic();
        return {
          phase: 'intent',
          id,
          ...stamp(),
          action: action as AuditIntent['action'],
          subject,
          by: {
            name: caller.name,
            roles: [...caller.roles],
            via: caller.via,
            ...(address === undefined ? {} : { address }),
          },
          requestId,
          reason: reason ?? null,
          bucket: change?.bucket.name ?? '',
          key: change?.key ?? '',
          revision: change?.state.revision ?? 0,
          before: change?.state.bytes ? digestOf(change.state.bytes) : null,
          after: change ? digestOf(Buffer.from(change.value)) : null,
          data,
        };
      });
      const intent = entry!.body as AuditIntent;
      if (clock.monotonic() - begun! <= BEGIN_MS) return intent;
      // U3: too late to begin.
      const fault = new Fault('overloaded', 'the audit log was slow to take what is to be done; nothing was done');
      await closed(intent, 'failed', { code: fault.code });
      throw fault;
    } catch (error) {
      busy.delete(id);
      throw error;
    }
  };

  /** U2: what became of an intent, by what stands under its key now and what was made on it since. */
  const judge = async (intent: AuditIntent, sequence: number): Promise<[AuditResult, { revision?: number }]> => {
    const bucket = buckets.get(intent.bucket);
    if (!bucket) return ['recovered-unknown', {}];
    const { revision, change } = await bucket.state(intent.key);
    if (change === intent.id) return ['recovered-applied', { revision }];
    if (revision === intent.revision) return ['recovered-not-applied', {}];
    if (revision < intent.revision) return ['recovered-unknown', {}];
    // Somebody wrote since. If they wrote upon our value, it was there.
    for (let after = sequence; ; ) {
      const entries = await chain.read(after, 500);
      for (const { body } of entries) {
        const sameKey = body.phase === 'intent' && body.bucket === intent.bucket && body.key === intent.key;
        if (sameKey && body.before === intent.after) return ['recovered-applied', { revision: body.revision }];
      }
      if (entries.length === 0) return ['recovered-not-applied', {}];
      after = entries.at(-1)!.sequence;
    }
  };

  const settle = async () => {
    await chain.catchUp();
    const now = clock.now() + chain.skewMs();
    for (const { sequence, intent } of open.all()) {
      if (busy.has(intent.id) || now - (storedAt.get(intent.id) ?? 0) < settleMs) continue;
      const [outcome, more] = await judge(intent, sequence);
      log.warn({ change: intent.id, action: intent.action, key: intent.key, outcome }, 'a change that was left open is closed');
      await close(intent, outcome, more);
    }
  };

  return {
    async change(wanted) {
      const { bucket, key, value, state } = wanted;
      bucket.fits(key, value);
      const intent = await intend(wanted, wanted);
      try {
        const written = await bucket.write(key, value, state.revision, intent.id);
        if (written.kind === 'lost') await closed(intent, 'lost', {});
        else await closed(intent, 'applied', { revision: written.revision });
        return written;
      } catch (error) {
        const fault = Fault.of(error);
        if (refusedByHub(fault)) await closed(intent, 'refused', { code: fault.code });
        throw error;
      } finally {
        busy.delete(intent.id);
      }
    },
    async act(deed, work) {
      const intent = await intend(deed);
      try {
        const result = await work();
        await closed(intent, 'applied', {});
        return result;
      } catch (error) {
        await closed(intent, 'failed', { code: Fault.of(error).code });
        throw error;
      } finally {
        busy.delete(intent.id);
      }
    },
    read: (after, max) => chain.read(after, max) as Promise<AuditEntry[]>,
    head: chain.catchUp,
    facts: () => ({ open: open.all().length, trouble: chain.trouble() }),
    start() {
      running = (async () => {
        let known = false;
        while (!stopping.signal.aborted) {
          try {
            // What others leave open is learnt when something is appended, at the start, and from time to time.
            if (!known || open.all().some(({ intent }) => !busy.has(intent.id)) || random() < LOOK_MS / 30_000) await settle();
            known = true;
          } catch (error) {
            if (!stopping.signal.aborted) log.debug({ error: String(error) }, 'open changes cannot be looked at, trying on');
          }
          await clock.sleep(LOOK_MS, stopping.signal).catch(() => {});
        }
      })();
    },
    async stop() {
      // What is under way ends first; what the hub does not take now is recovered by whoever starts next.
      const waited = new AbortController();
      await Promise.race([Promise.all(closing), clock.sleep(PATIENCE_MS, waited.signal).catch(() => {})]);
      waited.abort();
      stopping.abort(new Error('stopping'));
      await running;
    },
  };
}
