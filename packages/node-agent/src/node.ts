/**
 * Composition root of the node-agent: builds every room, wires streams to functions, owns start and stop. No room knows another but
 * through what is handed to it here.
 *
 *   hub/        the leaf connection, desired state, bundle bytes, events, heartbeat, calls and commands
 *   desired/    last good desired state on disk       bundle/   verified bundles on disk
 *   supervise/  reconciler, supervisor, router        core/     plan, restart, limits, admission (pure)
 *   host/       what a guest may ask for              sandbox/  the wall
 *   http/       health and metrics                    status.ts the node's word about itself
 *
 * Promises:
 * G1. Workloads known from disk are begun before the leaf or the hub has answered.
 * G2. A failed start unwinds; a stop takes calls back first, drains, then ends every cell and connection under one deadline.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  bytesOf,
  type Clock,
  type eventTypes,
  hubInboxPrefix,
  inboxPrefix,
  type Logger,
  msOf,
  type NodeAgentConfig,
  type NodeStatus,
  standingOf,
  startParts,
} from '@cim/contracts';
import { answerOthers } from './answers.ts';
import { createFloors } from './bundle/floors.ts';
import { createBundleStore } from './bundle/store.ts';
import { createConditions } from './conditions.ts';
import { capacityOf } from './core/limits.ts';
import { takeFromHub } from './desired/from-hub.ts';
import { createDesiredStore } from './desired/store.ts';
import { domainHealth } from './domains.ts';
import { createIdentity } from './enrol/identity.ts';
import { loadSealingKey } from './host/sealing-key.ts';
import { sealedTo, secretReader } from './host/secrets.ts';
import { createFace } from './http/face.ts';
import { createBundleFetch } from './hub/bundle-fetch.ts';
import { createCallServer } from './hub/calls.ts';
import { createDesiredSource } from './hub/desired-source.ts';
import { hostDoors } from './hub/doors.ts';
import { createEvents } from './hub/events.ts';
import { createForwarder } from './hub/forwarder.ts';
import { createHostPorts } from './hub/guest-ports.ts';
import { createHeartbeat } from './hub/heartbeat.ts';
import { hubChanged } from './hub/hub-watch.ts';
import { createLeaf } from './hub/leaf.ts';
import { watchLeaf } from './hub/leaf-watch.ts';
import { createSubscriber } from './hub/subscriber.ts';
import { lifeOf } from './life.ts';
import { machineReader } from './machine.ts';
import { createMetrics } from './metrics.ts';
import { createSandbox } from './sandbox/pool.ts';
import { reportSandbox } from './sandbox-report.ts';
import { statusReader } from './status.ts';
import { createReconciler } from './supervise/reconciler.ts';
import { createRouter } from './supervise/router.ts';
import { createSupervisor } from './supervise/supervisor.ts';
import { createNotifier } from './systemd.ts';
import { createTrustRoom } from './trust/trust.ts';
import { version } from './version.ts';

export interface NodeOptions {
  readonly config: NodeAgentConfig;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  /** Version of Node that runs us. */
  readonly nodeVersion: string;
  /** For systemd's notify socket; nothing else is read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface RunningNode {
  readonly url: string;
  readonly stopDeadlineMs: number;
  status(): NodeStatus;
  stop(): Promise<void>;
}

export async function startNode({ config, clock, random, log, environment, nodeVersion }: NodeOptions): Promise<RunningNode> {
  const instance = config.instance.id;
  const { hubDomain } = config.nats;
  const hubInbox = hubInboxPrefix('node', instance);
  const startedAt = new Date(clock.now()).toISOString();
  const drainMs = msOf(config.timing.drain);
  const stopDeadlineMs = drainMs + 10_000;
  let phase: NodeStatus['phase'] = 'starting';
  let url: string | undefined;

  await mkdir(config.stateDirectory, { recursive: true, mode: 0o700 });
  const unsealer = await loadSealingKey(config.stateDirectory);
  const conditions = createConditions(clock);
  const leafOptions = { clock, log: log.child({ part: 'leaf' }), config: config.nats };
  const leaf = createLeaf({ ...leafOptions, name: `cim-node-agent ${instance}`, inboxPrefix: inboxPrefix('node', instance) });
  const hubLink = createLeaf({ ...leafOptions, name: `cim-node-agent ${instance} (hub)`, inboxPrefix: hubInbox });
  const machine = await machineReader(config.stateDirectory, () => ({
    'node-agent': version,
    node: nodeVersion,
    ...(leaf.current()?.info?.version === undefined ? {} : { 'nats-server': leaf.current()!.info!.version }),
  }));
  const facts = machine.read();
  const hubSide = {
    clock,
    random,
    leaf: hubLink,
    instance,
    hubDomain,
    inboxPrefix: hubInbox,
    resyncMs: msOf(config.timing.resync),
  };
  const events = createEvents({
    clock,
    log: log.child({ part: 'events' }),
    leaf,
    instance,
    streamReady: () => leafWatch.streamReady(),
    forwarder: createForwarder({
      ...hubSide,
      log: log.child({ part: 'events' }),
      streamReady: () => leafWatch.streamReady(),
      file: join(config.stateDirectory, 'forwarded.json'),
    }),
  });
  const emit = (type: keyof typeof eventTypes, data: unknown, id: string = instance) => {
    metrics.event(type);
    events.emit({ id, part: 'node-agent', type, data, subject: id });
  };

  const trust = createTrustRoom({
    ...hubSide,
    config,
    log: log.child({ part: 'trust' }),
    emit,
    changed: () => {
      supervisor.retrust((bundle) => standingOf(trust.now(), bundle));
      heartbeat.soon();
    },
  });
  const desired = createDesiredStore({
    directory: join(config.stateDirectory, 'desired'),
    instance,
    trust: () => trust.now(),
    clock,
    log: log.child({ part: 'desired' }),
    early: () => reconciler.wake('desired'),
    emit: (type: string, data: unknown, subject: string) => emit(type as keyof typeof eventTypes, data, subject),
  });
  const fetchBundle = createBundleFetch(hubSide);
  const bundles = createBundleStore({
    directory: join(config.stateDirectory, 'bundles'),
    trust: () => trust.now(),
    logged: (digest) => trust.logged(digest),
    maxBytes: bytesOf(config.cache.maxBytes),
    fetch: ({ digest, size, fromByte }, signal) => fetchBundle(digest, size, fromByte, signal),
    clock,
    log: log.child({ part: 'bundles' }),
    refused: (digest, fault) => emit('bundle.refused', { digest, code: fault.code, detail: fault.detail }),
  });
  const floors = createFloors({ file: join(config.stateDirectory, 'floors.json'), log });
  const sandbox = createSandbox({ clock, log: log.child({ part: 'sandbox' }), config: config.sandbox });
  const router = createRouter({
    clock,
    maxQueue: config.sandbox.maxQueue,
    observe: ({ by, ms, code }) => metrics.call(by?.kind ?? 'none', by?.name ?? 'none', code ?? 'ok', ms / 1000),
    full: (workload, detail) => limits.hit(workload, 'queue', `${detail} (sandbox.maxQueue)`),
  });
  const metrics = createMetrics({
    workloads: () => supervisor.status(),
    cells: () => sandbox.cells(),
    hubReachable: () => source.hub().reachable,
    leafConnected: () => leaf.current() !== undefined,
    reconnects: () => leaf.reconnects(),
    events,
    health: () => status().health,
    heartbeatAgeSeconds: () => heartbeat.ageSeconds(),
    credentialsEnd: () => identity.expiresAt(),
    metricNames: config.sandbox.metricNames,
    info: { instance, version, limits: sandbox.limits, location: config.instance.location ?? '' },
  });
  const limits = reportSandbox({
    clock,
    registry: metrics.registry,
    conditions,
    sandbox,
    config: config.sandbox,
    emit: (type, data, subject) => emit(type as keyof typeof eventTypes, data, subject),
  });
  const ports = createHostPorts({
    clock,
    leaf,
    events,
    metrics,
    instance,
    offers: () => router.offers(),
    callHere: async (request) => (await router.call(request)).text,
    secret: secretReader(config.secretsDirectory, unsealer),
    limits,
    sandbox: config.sandbox,
  });
  const capacity = capacityOf(config.sandbox, facts);
  const supervisor = createSupervisor({
    instance,
    sandbox,
    bundles,
    floors,
    router,
    clock,
    random,
    log: log.child({ part: 'supervisor' }),
    hostDoor: hostDoors(leaf, ports),
    host: { capabilities: config.instance.capabilities, gpu: facts.gpus.length > 0, language: config.sandbox.allow },
    capacity: () => capacity,
    policy: config.policy,
    timing: { drainMs, probeMs: msOf(config.timing.probe), startTimeoutMs: msOf(config.sandbox.startTimeout) },
    emit: (type: string, data: unknown, subject: string) => emit(type as keyof typeof eventTypes, data, subject),
    pinned: () => desired.digests(),
    served: (key, record) => desired.served(key, record),
    kept: (key, record) => desired.kept(key, record),
    wake: () => reconciler.wake('replica'),
  });
  const reconciler = createReconciler({
    desired: () => desired.held(),
    supervisor,
    capacity: () => capacity,
    clock,
    log: log.child({ part: 'reconciler' }),
    observe: (ms) => metrics.reconcile(ms / 1000),
  });

  const fromHub = takeFromHub({
    desired,
    log,
    accepted: () => reconciler.wake('desired'),
    judged: () => heartbeat.soon(),
  });
  const source = createDesiredSource({
    ...hubSide,
    log: log.child({ part: 'hub' }),
    received: (documents) => fromHub.take(documents),
    hubChanged: hubChanged({
      conditions,
      log,
      emit,
      found: () => {
        supervisor.retryFailed();
        reconciler.wake('hub');
        heartbeat.soon();
      },
    }),
  });
  const identity = createIdentity({ clock, random, log: log.child({ part: 'identity' }), config, conditions, hubLink });
  const calls = createCallServer({
    leaf,
    instance,
    monotonic: () => clock.monotonic(),
    hold: () => identity.hold(),
    serve: router.serve,
    arrived: () => heartbeat.soon(),
  });
  const subscriber = createSubscriber({ leaf, log, list: () => supervisor.subscriptions() });
  const status = statusReader({
    clock,
    config,
    machine,
    conditions,
    phase: () => phase,
    workloads: () => supervisor.status(),
    reached: calls.reached,
    offers: () => router.offers(),
    others: () => [...desired.conditions(), ...bundles.conditions(), ...trust.conditions()],
    trust,
    sandbox,
    heartbeatSeconds: msOf(config.timing.heartbeat) / 1000,
    http: () => url,
    sealingKey: unsealer.publicKey,
    startedAt,
  });
  const heartbeat = createHeartbeat({
    ...hubSide,
    log: log.child({ part: 'heartbeat' }),
    periodMs: msOf(config.timing.heartbeat),
    status,
  });
  const offer = () => calls.offer(phase === 'running' ? router.offers() : []);
  router.onOffers(() => {
    offer();
    heartbeat.soon();
  });
  supervisor.onChange(() => {
    subscriber.sync();
    heartbeat.soon();
  });
  answerOthers({
    config,
    version,
    startedAt,
    leaf,
    router,
    supervisor,
    calls,
    conditions,
    status,
    hub: () => source.hub(),
    heartbeatAge: () => heartbeat.ageSeconds(),
    sealed: sealedTo(unsealer.publicKey, () => desired.held()),
    drained: (drain) => {
      if (phase === 'running' || phase === 'draining') phase = drain ? 'draining' : 'running';
      offer();
      heartbeat.soon();
      return phase;
    },
  });
  const leafWatch = watchLeaf({
    leaf,
    instance,
    log,
    conditions,
    found: () => {
      supervisor.retryFailed();
      reconciler.wake('leaf');
    },
  });
  const face = createFace({
    clock,
    log: log.child({ part: 'http' }),
    config,
    registry: metrics.registry,
    sandbox,
    status,
    hub: () => source.hub(),
    leafConnected: () => leaf.current() !== undefined,
    domains: () => domainHealth(config.domains, supervisor.status(), conditions.list()),
    version,
  });
  const notifier = createNotifier(environment, clock, log);

  const parts = lifeOf({
    http: async () => {
      const opened = await face.open();
      url = opened.url;
      return opened.close;
    },
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
    drainMs,
    startedOffline: (held) =>
      conditions.set(
        'started-offline',
        'info',
        'Started from the last good state',
        `${held} workloads were begun from disk before the hub answered`,
      ),
    serving: () => {
      phase = 'running';
      offer();
      emit('node.started', { version, held: desired.held().length, limits: sandbox.limits });
      notifier.ready(`serving ${instance}`);
      notifier.watch(() => phase === 'running' || phase === 'draining');
    },
    leaving: () => {
      phase = 'stopped';
      notifier.stopping();
      notifier.stop();
      limits.stop();
    },
    stopped: () => emit('node.stopped', {}),
  });
  const running = await startParts(clock, parts, 5_000);
  log.info({ url, limits: sandbox.limits, held: desired.held().length }, 'the node-agent is up');
  return {
    url: url!,
    stopDeadlineMs,
    status,
    async stop() {
      const { late, failed } = await running.stop(stopDeadlineMs);
      for (const name of late) log.warn({ part: name }, 'did not stop in time and was abandoned');
      for (const { name, error } of failed) log.error({ part: name, error: String(error) }, 'failed to stop');
      log.info({}, 'stopped');
    },
  };
}
