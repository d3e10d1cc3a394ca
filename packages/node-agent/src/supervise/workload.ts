/**
 * A workload as the supervisor holds it: plain state, and the two views others take of it (what the planner sees, what calls need).
 * Changed by the supervisor alone.
 */
import {
  canonicalBytes,
  type Desired,
  type DesiredRecord,
  digestOf,
  type ErrorCode,
  type Limits,
  type Manifest,
} from '@cim/contracts';
import type { VerifiedBundle } from '../bundle/verified.ts';
import type { Demand } from '../core/limits.ts';
import type { Hold, Seen, SeenReplica, Wanted } from '../core/plan.ts';
import { emptyHistory, type RestartHistory } from '../core/restart.ts';
import type { Replica } from './replica.ts';

export interface Reason {
  readonly code: ErrorCode;
  readonly detail: string;
}

type BundleState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'fetching'; readonly controller: AbortController }
  | {
      readonly kind: 'here';
      readonly verified: VerifiedBundle;
      readonly limits: Limits;
      readonly demand: Demand;
      /** Names of what it offers: the same array as long as the edition lives. */
      readonly capabilities: readonly string[];
    };

/** One edition of a workload: what its replicas are made of, and how it has fared. */
export interface Edition {
  readonly id: string;
  /** The newest record that describes it. */
  record: DesiredRecord;
  bundle: BundleState;
  hold: Hold;
  /** Why it is not where it should be. */
  reason: Reason | undefined;
  /** True where trying again may help although it was given up: what failed was a start, not the bundle. */
  mendable: boolean;
  history: RestartHistory;
  /** Fetches that failed in a row. */
  attempts: number;
  /** The end that its next ready replica makes good. */
  recovering: Reason | undefined;
  /** No room for it, as of the last plan. */
  blocked: string | undefined;
  /** True once a replica was begun: it is announced once. */
  begun: boolean;
}

export interface Workload {
  readonly key: string;
  readonly kind: 'agent' | 'service';
  readonly name: string;
  record: DesiredRecord;
  wanted: Wanted;
  serving: { readonly edition: string; readonly replicas: number } | undefined;
  readonly editions: Map<string, Edition>;
  readonly replicas: Map<number, Replica>;
  restarts: number;
  /** Edition whose arrival has been announced. */
  announced: string | undefined;
  /** What the planner saw last; undefined once anything has changed since. */
  seen: Seen | undefined;
  /** State as last shown and since when (wall time), for the status. */
  shown: { state: string; since: number };
}

const editionIds = new WeakMap<Desired, string>();

/** What a replica is made of, as one word. Generation, replicas and who asked for it are no part of it. */
export function editionId(document: Desired): string {
  let id = editionIds.get(document);
  if (id === undefined) {
    const { bundle, isolation, resources, configuration, config } = document;
    id = digestOf(canonicalBytes({ digest: bundle.digest, isolation, resources, configuration, config }));
    editionIds.set(document, id);
  }
  return id;
}

export function newEdition(record: DesiredRecord): Edition {
  return {
    id: editionId(record.document),
    record,
    bundle: { kind: 'absent' },
    hold: { kind: 'free' },
    reason: undefined,
    mendable: false,
    history: emptyHistory,
    attempts: 0,
    recovering: undefined,
    blocked: undefined,
    begun: false,
  };
}

export function wantedOf(key: string, { document }: DesiredRecord): Wanted {
  return { key, state: document.state, edition: editionId(document), replicas: document.replicas };
}

/** Ready replicas of an edition, by index. */
export function readyOf(workload: Workload, edition: string): Replica[] {
  return [...workload.replicas.values()]
    .filter((replica) => replica.edition === edition && replica.phase().kind === 'ready')
    .sort((a, b) => a.index - b.index);
}

/** The manifest of what serves, or of what is on its way in where nothing does. */
export function manifestOf(workload: Workload): Manifest | undefined {
  for (const id of [workload.serving?.edition, workload.wanted.edition]) {
    const bundle = id === undefined ? undefined : workload.editions.get(id)?.bundle;
    if (bundle?.kind === 'here') return bundle.verified.manifest;
  }
  return undefined;
}

const NO_DEMAND: Demand = { memoryBytes: 0, milliCpu: 0 };
const demandIn = (edition: Edition | undefined): Demand =>
  edition?.bundle.kind === 'here' ? edition.bundle.demand : NO_DEMAND;

/** The workload as the planner sees it. Kept until something changes: a node has a thousand of them. */
export function seenOf(workload: Workload): Seen {
  workload.seen ??= look(workload);
  return workload.seen;
}

function look(workload: Workload): Seen {
  return {
    key: workload.key,
    serving: workload.serving,
    editions: [...workload.editions.values()].map((edition) => ({
      edition: edition.id,
      bundle: edition.bundle.kind,
      demand: demandIn(edition),
      hold: edition.hold,
      failures: edition.history.restarts.length + edition.attempts,
    })),
    replicas: [...workload.replicas.values()].map((replica): SeenReplica => {
      const phase = replica.phase();
      const slot = phase.kind === 'ready' || phase.kind === 'draining' ? phase.slot : undefined;
      return {
        id: replica.id,
        edition: replica.edition,
        index: replica.index,
        phase: phase.kind,
        // Of the moment it is asked: calls come and go without anybody being told.
        get inFlight() {
          return slot?.inFlight ?? 0;
        },
        drainUntil: phase.kind === 'draining' ? phase.until : 0,
        demand: demandIn(workload.editions.get(replica.edition)),
      };
    }),
  };
}
