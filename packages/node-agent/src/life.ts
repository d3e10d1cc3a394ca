/**
 * The order of life: in which order the rooms begin, and in reverse what each does when the node ends. Read it from top to bottom for a
 * start, from bottom to top for a stop: calls are taken back first, then workloads drain, and every cell and connection ends last.
 */
import type { Part } from '@cim/contracts';
import type { Floors } from './bundle/floors.ts';
import type { BundleStore } from './bundle/store.ts';
import type { FromHub } from './desired/from-hub.ts';
import type { DesiredStore } from './desired/store.ts';
import type { Identity } from './enrol/identity.ts';
import type { CallServer } from './hub/calls.ts';
import type { DesiredSource } from './hub/desired-source.ts';
import type { Events } from './hub/events.ts';
import type { Heartbeat } from './hub/heartbeat.ts';
import type { Leaf } from './hub/leaf.ts';
import type { Sandbox } from './sandbox/sandbox.ts';
import type { Reconciler } from './supervise/reconciler.ts';
import type { Router } from './supervise/router.ts';
import type { Supervisor } from './supervise/supervisor.ts';
import type { TrustRoom } from './trust/trust.ts';

export interface Rooms {
  /** Listens; answers how to stop. */
  readonly http: () => Promise<() => Promise<void>>;
  readonly leaf: Leaf;
  readonly hubLink: Leaf;
  readonly bundles: BundleStore;
  readonly floors: Floors;
  readonly trust: TrustRoom;
  readonly desired: DesiredStore;
  readonly sandbox: Sandbox;
  readonly events: Events;
  readonly identity: Identity;
  readonly reconciler: Reconciler;
  readonly router: Router;
  readonly supervisor: Supervisor;
  readonly source: DesiredSource;
  readonly fromHub: FromHub;
  readonly heartbeat: Heartbeat;
  readonly calls: CallServer;
  /** How long calls in flight may take at a stop, ms. */
  readonly drainMs: number;
  readonly startedOffline: (held: number) => void;
  readonly serving: () => void;
  readonly leaving: () => void;
  readonly stopped: () => void;
}

export function lifeOf(rooms: Rooms): Part[] {
  const {
    leaf,
    hubLink,
    bundles,
    floors,
    trust,
    desired,
    sandbox,
    events,
    identity,
    reconciler,
    router,
    supervisor,
    source,
    fromHub,
    heartbeat,
    calls,
  } = rooms;
  let stopHttp: () => Promise<void> = async () => {};
  const nothing = async () => {};
  return [
    {
      name: 'http',
      start: async () => {
        stopHttp = await rooms.http();
      },
      stop: () => stopHttp(),
    },
    { name: 'leaf', start: () => leaf.start(), stop: () => leaf.stop() },
    { name: 'hub link', start: () => hubLink.start(), stop: () => hubLink.stop() },
    {
      name: 'stores',
      start: async () => {
        await Promise.all([bundles.open(), floors.load(), trust.load()]);
        await desired.load();
      },
      stop: nothing,
    },
    { name: 'identity', start: async () => identity.start(), stop: () => identity.stop() },
    { name: 'sandbox', start: () => sandbox.start(), stop: (deadline) => sandbox.stop(deadline) },
    {
      name: 'events',
      start: async () => events.start(),
      stop: (deadline) => {
        rooms.stopped();
        return events.stop(deadline);
      },
    },
    {
      name: 'workloads',
      start: async () => {
        // Before the hub is even asked: a leaf that boots alone runs what it ran.
        const held = desired.held().length;
        if (held > 0) rooms.startedOffline(held);
        reconciler.wake('start');
      },
      stop: async (deadline) => {
        await reconciler.stop();
        router.close();
        await supervisor.stop(Math.min(deadline, rooms.drainMs));
      },
    },
    {
      name: 'hub',
      start: async () => {
        trust.start();
        source.start();
        heartbeat.start();
      },
      stop: async () => {
        await Promise.all([source.stop(), trust.stop()]);
        await fromHub.settled();
      },
    },
    {
      name: 'calls',
      start: async () => rooms.serving(),
      stop: async () => {
        rooms.leaving();
        await calls.stop();
        await heartbeat.stop();
      },
    },
  ];
}
