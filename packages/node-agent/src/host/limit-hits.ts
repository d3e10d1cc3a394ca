/**
 * Limits that workloads run into: told as events and counted, whatever the limit and wherever it is kept.
 *
 * Promises:
 * L1. The first hit of a limit by a workload is an event at once; those of the next {@link QUIET_MS} are one event together, with their
 *     number. A guest that hits its limits a million times a second causes six events a minute for each.
 * L2. Every hit is counted, in `cim_workload_limit_hits_total{workload,limit}`.
 */
import type { Clock, Timer } from '@cim/contracts';
import type { LimitName } from '../core/limit-names.ts';
import type { ReplicaId } from '../sandbox/sandbox.ts';

export type LimitedId = Pick<ReplicaId, 'kind' | 'name'> & Partial<Pick<ReplicaId, 'version' | 'replica'>>;

export interface LimitHits {
  /** @param detail for people: what was found, what is allowed @param count hits told of at once */
  hit(id: LimitedId, limit: LimitName, detail: string, count?: number): void;
  /** Takes its timers back; what was counted and not told yet is told. */
  stop(): void;
}

export interface LimitHitsDeps {
  readonly clock: Clock;
  readonly emit: (type: string, data: Record<string, unknown>, subject: string) => void;
  readonly count: (workload: string, limit: LimitName, hits: number) => void;
}

const QUIET_MS = 10_000;

interface Open {
  readonly id: LimitedId;
  readonly limit: LimitName;
  readonly timer: Timer;
  detail: string;
  count: number;
}

export function createLimitHits({ clock, emit, count }: LimitHitsDeps): LimitHits {
  const open = new Map<string, Open>();

  const tell = ({ kind, name, version, replica }: LimitedId, limit: LimitName, detail: string, hits: number) =>
    emit(`${kind}.limit-hit`, { limit, detail, hits, version, replica }, name);

  const close = (key: string) => {
    const entry = open.get(key);
    open.delete(key);
    if (entry && entry.count > 0) {
      tell(entry.id, entry.limit, entry.detail, entry.count);
      // Still at it: the next is not told at once either.
      open.set(key, { ...entry, count: 0, timer: clock.after(QUIET_MS, () => close(key)) });
    }
  };

  return {
    hit(id, limit, detail, hits = 1) {
      count(id.name, limit, hits);
      const key = `${id.kind}/${id.name}/${limit}`;
      const entry = open.get(key);
      if (entry) {
        entry.count += hits;
        entry.detail = detail;
        return;
      }
      tell(id, limit, detail, hits);
      open.set(key, { id, limit, detail, count: 0, timer: clock.after(QUIET_MS, () => close(key)) });
    },
    stop() {
      for (const { id, limit, detail, count: hits, timer } of open.values()) {
        timer.cancel();
        if (hits > 0) tell(id, limit, detail, hits);
      }
      open.clear();
    },
  };
}
