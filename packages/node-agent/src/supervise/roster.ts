/**
 * The list of workloads: made from what is held, changed when that changes, left when one is removed.
 *
 * Promises:
 * O1. A document that was not there before, or that changed, is taken over whole; one that did not change touches nothing.
 * O2. A changed generation lifts what held its edition back: whoever deploys again wants it tried again.
 * O3. What served last before a cold boot, and is not what is wanted now, is listed as serving, so that the planner brings it back.
 */
import type { Clock, DesiredRecord, WorkloadStatus } from '@cim/contracts';
import type { Wanted } from '../core/plan.ts';
import type { Held } from '../desired/store.ts';
import type { Editions } from './editions.ts';
import { type Edition, editionId, newEdition, type Workload, wantedOf } from './workload.ts';

export interface Roster {
  want(held: readonly Held[]): void;
  wanted(): readonly Wanted[];
  /** By key. */
  all(): readonly Workload[];
  get(key: string): Workload | undefined;
  has(workload: Workload): boolean;
  /** The edition of that id, begun now where it is new. */
  edition(workload: Workload, id: string): Edition;
  remove(workload: Workload, last: WorkloadStatus): void;
  /** Last words of workloads removed a short while ago. @param now wall time, ms */
  removed(now: number): WorkloadStatus[];
}

/** How long a removal is shown, so that whoever asked for it sees it done, ms. */
const REMOVED_SHOWN_MS = 600_000;

export function listWorkloads(deps: {
  readonly clock: Clock;
  readonly editions: Editions;
  readonly changed: (workload: Workload) => void;
}): Roster {
  const { clock } = deps;
  const workloads = new Map<string, Workload>();
  const gone = new Map<string, { readonly status: WorkloadStatus; readonly at: number }>();
  let last: readonly Held[] | undefined;
  let sorted: readonly Workload[] | undefined;
  let wanted: readonly Wanted[] = [];

  const add = ({ key, record, serving }: Held) => {
    if (record.document.state === 'removed') return;
    const { kind, name } = record.document;
    const workload: Workload = {
      key,
      kind,
      name,
      record,
      wanted: wantedOf(key, record),
      serving: undefined,
      editions: new Map(),
      replicas: new Map(),
      restarts: 0,
      announced: undefined,
      seen: undefined,
      shown: { state: 'pending', since: clock.now() },
    };
    if (serving && serving.document.state === 'running') {
      const edition = newEdition(serving);
      // The same edition comes back as what it was: that is no deployment, and is not told as one.
      const same = edition.id === workload.wanted.edition;
      workload.serving = { edition: edition.id, replicas: same ? record.document.replicas : serving.document.replicas };
      workload.announced = edition.id;
      workload.editions.set(edition.id, same ? newEdition(record) : edition);
    }
    workloads.set(key, workload);
    gone.delete(key);
    deps.changed(workload);
  };

  const change = (workload: Workload, record: DesiredRecord) => {
    const before = workload.record.document.generation;
    workload.record = record;
    workload.wanted = wantedOf(workload.key, record);
    // Should it come back, that is a deployment again.
    if (record.document.state === 'removed') workload.announced = undefined;
    const edition = workload.editions.get(workload.wanted.edition);
    if (edition) {
      edition.record = record;
      if (record.document.generation !== before) deps.editions.release(edition);
    }
    deps.changed(workload);
  };

  return {
    want(held) {
      if (held === last) return;
      last = held;
      for (const entry of held) {
        const workload = workloads.get(entry.key);
        if (!workload) add(entry);
        else if (workload.record !== entry.record) change(workload, entry.record);
      }
      sorted = undefined;
      wanted = held.map(({ key, record }) => workloads.get(key)?.wanted ?? wantedOf(key, record));
    },
    wanted: () => wanted,
    all() {
      sorted ??= [...workloads.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
      return sorted;
    },
    get: (key) => workloads.get(key),
    has: (workload) => workloads.get(workload.key) === workload,
    edition(workload, id) {
      let edition = workload.editions.get(id);
      if (!edition) {
        // The planner names the wanted edition or one that is listed; so a new one is the wanted one.
        if (id !== editionId(workload.record.document)) throw new Error(`edition ${id} of ${workload.key} is not known`);
        edition = newEdition(workload.record);
        workload.editions.set(id, edition);
      }
      return edition;
    },
    remove(workload, status) {
      workloads.delete(workload.key);
      sorted = undefined;
      gone.set(workload.key, { status, at: clock.now() });
    },
    removed(now) {
      for (const [key, { at }] of gone) if (now - at > REMOVED_SHOWN_MS) gone.delete(key);
      return [...gone.values()].map(({ status }) => status);
    },
  };
}
