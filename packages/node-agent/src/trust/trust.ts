/**
 * Whom this node trusts, put together: the document on disk, the hub's newest, the transparency log. One door for those who judge.
 */
import { join } from 'node:path';
import {
  type ChainHead,
  type Condition,
  type Digest,
  type NodeAgentConfig,
  TRUST_KEY,
  type Trust,
  topology,
} from '@cim/contracts';
import { createStreamSource, type StreamSourceDeps } from '../hub/stream-source.ts';
import { staleness } from './freshness.ts';
import { createLogWitness } from './log-witness.ts';

import { createTrustStore } from './store.ts';

export interface TrustRoom {
  /** Reads what is on the disk. Before anything is judged. */
  load(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
  now(): Trust;
  /** @throws Fault `log-missing`, `log-forked` */
  logged(digest: Digest): Promise<void>;
  /** Last entry of the transparency log this node vouches for. */
  logHead(): ChainHead | undefined;
  conditions(): Condition[];
}

export interface TrustRoomDeps extends StreamSourceDeps {
  readonly config: Pick<NodeAgentConfig, 'trust' | 'stateDirectory'>;
  readonly emit: (
    type: 'trust.changed' | 'trust.refused' | 'trust.log-broken' | 'trust.log-whole',
    data: Record<string, unknown>,
  ) => void;
  /** Something else is trusted than before. */
  readonly changed: () => void;
}

export function createTrustRoom(deps: TrustRoomDeps): TrustRoom {
  const { config, clock, log, emit } = deps;
  const { trust } = config;
  const store = createTrustStore({ file: join(config.stateDirectory, 'trust.json'), roots: trust, clock, log, emit });
  const witness = createLogWitness({ file: join(config.stateDirectory, 'log-head.json'), logs: trust.logs, clock, log, emit });

  const documents = createStreamSource(deps, {
    row: 'trust',
    from: () => 'last',
    async each({ subject, data, headers }) {
      // A deleted document says nothing: what was revoked stays revoked.
      if (subject !== `$KV.${topology.trust.name}.${TRUST_KEY}` || data.length === 0 || headers?.get('KV-Operation')) return;
      if ((await store.intake(data)) !== 'accepted') return;
      witness.startsAt(store.now().document?.logStart);
      if (trust.logs.length > 0) entries.again();
      deps.changed();
    },
  });
  const entries = createStreamSource(deps, {
    row: 'transparency',
    from() {
      witness.begin();
      return witness.from();
    },
    each: ({ data }) => witness.take(data),
    caughtUp: () => witness.caughtUp(),
  });

  return {
    async load() {
      await store.load();
      if (trust.logs.length > 0) await witness.load();
      witness.startsAt(store.now().document?.logStart);
    },
    start() {
      documents.start();
      if (trust.logs.length > 0) entries.start();
    },
    async stop() {
      await Promise.all([documents.stop(), entries.stop()]);
    },
    now: () => store.now(),
    logged: (digest) => witness.logged(digest),
    logHead: () => witness.head(),
    conditions: () => [
      ...store.conditions(),
      ...staleness(store.now().document, witness.published(), clock.now()),
      ...witness.conditions(),
    ],
  };
}
