/**
 * What the disk is told about workloads: which edition came to serve, its anti-rollback floor, and which bundles may go.
 *
 * Promises:
 * N1. Serving never waits for the disk; `settled` does.
 * N2. Bundles are collected after a change, once for many, and never one that an edition still needs.
 */
import type { Clock, DesiredRecord, Logger, Timer } from '@cim/contracts';
import type { Floors } from '../bundle/floors.ts';
import type { BundleStore } from '../bundle/store.ts';
import type { Edition, Workload } from './workload.ts';

export interface NotesDeps {
  readonly bundles: BundleStore;
  readonly floors: Floors;
  readonly clock: Clock;
  readonly log: Logger;
  /** Digests that must stay on the disk beyond those in use. */
  readonly pinned: () => ReadonlySet<string>;
  /** Notes durably that this record's edition now answers calls. */
  readonly served: (key: string, record: DesiredRecord) => Promise<void>;
  /** Every workload there is, for what their editions need. */
  readonly workloads: () => readonly Workload[];
}

export interface Notes {
  /** The edition now answers calls. */
  serves(workload: Workload, edition: Edition): void;
  /** Bundles may have become superfluous. */
  collect(): void;
  /** Resolves when what was noted is on the disk; nothing is collected any more. */
  settled(): Promise<void>;
}

/** After a change, ms: what drains still reads its assets, and many changes are one collection. */
const COLLECT_AFTER_MS = 2_000;

export function createNotes({ bundles, floors, clock, log, pinned, served, workloads }: NotesDeps): Notes {
  const writing = new Set<Promise<void>>();
  let collecting: Timer | undefined;
  let over = false;

  const collect = () => {
    if (over) return;
    collecting ??= clock.after(COLLECT_AFTER_MS, () => {
      collecting = undefined;
      const keep = new Set(pinned());
      for (const { editions } of workloads())
        for (const { record } of editions.values()) keep.add(record.document.bundle.digest);
      bundles
        .collect(keep)
        .catch((error) => log.warn({ error: (error as Error).message }, 'the bundle cache could not be collected'));
    });
  };

  return {
    serves({ key }, { bundle, record }) {
      if (bundle.kind !== 'here') return;
      const { statement, publisher } = bundle.verified;
      const note = Promise.all([floors.raise(statement.name, publisher.key, statement.sequence), served(key, record)])
        .then(collect, (error) =>
          log.error({ workload: key, error: (error as Error).message }, 'what serves could not be noted on disk'),
        )
        .finally(() => writing.delete(note));
      writing.add(note);
    },
    collect,
    async settled() {
      over = true;
      collecting?.cancel();
      await Promise.all(writing);
    },
  };
}
