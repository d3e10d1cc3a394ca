/**
 * The operator's door: publish, deploy, call and watch from a program. What the `alchemist` command does, it does through this class.
 *
 * Promises:
 * O1. `connect` finds the profile and opens nothing; HTTP and NATS are reached when a method needs them.
 * O2. Every failure is a Fault of the error table; its advice says what to do.
 * O3. After `close` nothing of it keeps the process alive.
 */
import { type Attestation, DEFAULT_CALL_MS, Fault, LONGEST_CALL_MS, type NodeStatus, type Signer } from '@cim/contracts';
import { type Bundle, bundle, type SignedBundle, sign } from './bundle/bundle.ts';
import type { Connection } from './connection.ts';
import { type DebugOptions, type DebugReport, debugDeployment } from './debug.ts';
import { type CustomService, settingsAsText, type WorkflowAgent } from './definitions.ts';
import type { Look } from './deploy/converge.ts';
import {
  type Course,
  type Deployer,
  type DeployResult,
  deployEntry,
  removeWorkload,
  stepLog,
  submitRecord,
} from './deploy/deploy.ts';
import type { Wish } from './deploy/document.ts';
import { badField, checkCapability, checkInstance, missingCapabilities, notOffered } from './deploy/offer.ts';
import { Duration } from './duration.ts';
import { signerOf } from './keys.ts';
import { type MonitorOptions, type Watch, type WatchOptions, watchEvents } from './monitor.ts';
import type {
  AskOptions,
  DeployDefaults,
  DeployOptions,
  LogsOptions,
  LogWatch,
  PublishOptions,
  StatusReport,
  UndeployOptions,
} from './options.ts';
import { type ConnectOptions, type Profile, resolveProfile, tokenOf, wrong } from './profile.ts';
import type { CatalogItem, NodeView, Published, SequencedEvent, WorkloadView } from './registry/answers.ts';
import { type RegistryClient, registryClient } from './registry/client.ts';
import { checkPatterns, type EventQuery } from './registry/event-query.ts';
import { knownNodesOf } from './secrets/known-nodes.ts';
import { type Secrets, sealValues, secretsOf } from './secrets/secrets.ts';
import { type Surroundings, surroundings } from './surroundings.ts';
import { type TrustDoor, trustDoor } from './trust/door.ts';
import type { Paper } from './trust/papers.ts';

const DEPLOY_MS = 60_000;
const STATUS_MS = 3_000;

export class Alchemist {
  readonly profile: Profile;
  readonly #around: Surroundings;
  #registry: RegistryClient | undefined;
  #connection: Promise<Connection> | undefined;
  readonly #watches = new Set<{ stop(): unknown }>();

  readonly #reason: string | undefined;

  private constructor(profile: Profile, around: Surroundings, reason: string | undefined) {
    this.profile = profile;
    this.#reason = reason;
    this.#around = around;
  }

  /**
   * Finds the profile: options over environment over `.cim/profile.json`.
   * @throws Fault `configuration-invalid` naming what is wrong in it
   */
  static async connect(options: ConnectOptions = {}, around: Surroundings = surroundings()): Promise<Alchemist> {
    return new Alchemist(resolveProfile(around, options), around, options.reason);
  }

  /** The registry's API behind this profile. @throws Fault when the profile names none */
  get registry(): RegistryClient {
    if (this.#registry) return this.#registry;
    const { registry } = this.profile;
    if (!registry) {
      throw wrong(
        'registry.url',
        'no registry is set: use --registry, CIM_REGISTRY_URL, or .cim/profile.json (npm start writes one)',
      );
    }
    const { clock, random } = this.#around;
    this.#registry = registryClient({ url: registry.url, token: tokenOf(registry), reason: this.#reason, clock, random });
    return this.#registry;
  }

  /** The NATS connection, opened once. @throws Fault when the profile names none or it cannot be reached */
  async connection(): Promise<Connection> {
    const { nats } = this.profile;
    if (!nats) {
      throw wrong('nats.url', 'no NATS server is set: use --nats, CIM_NATS_URL, or .cim/profile.json (npm start writes one)');
    }
    this.#connection ??= import('./connection.ts').then(({ openConnection }) => openConnection(nats));
    // A failed attempt is not remembered: the next use tries again.
    this.#connection.catch(() => {
      this.#connection = undefined;
    });
    return this.#connection;
  }

  /** Ends watches and connections. */
  async close(): Promise<void> {
    const watches = [...this.#watches];
    this.#watches.clear();
    await Promise.all(watches.map((watch) => watch.stop()));
    const connection = await this.#connection?.catch(() => undefined);
    this.#connection = undefined;
    await connection?.close();
  }

  /** Builds a project; see {@link bundle}. */
  bundle(path: string, options: Parameters<typeof bundle>[1] = {}): Promise<Bundle> {
    return bundle(path, options, this.#around);
  }

  /** Signs with the publisher key of the profile. */
  sign(what: Bundle): SignedBundle {
    const file = this.profile.publisherSeedFile;
    if (file === undefined) {
      throw wrong('publisherSeedFile', 'no publisher key is set: alchemist keys new publisher, or set CIM_PUBLISHER_SEED_FILE');
    }
    return sign(what, signerOf(file), this.#around.clock.now());
  }

  /** Publishes a bundle (signing it first where it is not signed) or builds and publishes a project. */
  async publish(what: Bundle | string, options: PublishOptions = {}): Promise<Published> {
    const built = typeof what === 'string' ? await this.bundle(what) : what;
    const signed = built.envelope === undefined ? this.sign(built) : { ...built, envelope: built.envelope };
    const { channel, onProgress, signal, timeout } = options;
    const published = await this.registry.publish({
      bytes: signed.bytes,
      envelope: signed.envelope,
      channel,
      onProgress,
      signal,
      ...(timeout === undefined ? {} : { timeoutMs: Duration.from(timeout, 'timeout').milliseconds }),
    });
    if (signed.attestation) await this.#attest(published, signed.attestation);
    return published;
  }

  /** Puts provenance beside a version. What was published before keeps the provenance its own statement names. */
  async #attest({ name, version, created }: Published, attestation: Attestation): Promise<void> {
    try {
      await this.registry.putProvenance(name, version, attestation);
    } catch (error) {
      const others = error instanceof Fault && (error.code === 'digest-mismatch' || error.code === 'conflict');
      if (created || !others) throw error;
    }
  }

  /** Makes an instance run a version of a bundle; by default waits until it does. */
  async deploy(options: DeployOptions): Promise<DeployResult> {
    const { name, bundle: code, instance, kind, version, channel, onStep } = options;
    checkInstance(instance);
    if ((name === undefined) === (code === undefined)) throw badField('name', 'expected either a name or a bundle');
    if ([code, version, channel].filter((one) => one !== undefined).length > 1) {
      throw badField('version', 'expected one of bundle, version and channel');
    }
    const log = stepLog(this.#around.clock, onStep);
    if (code) {
      const { version: v, created } = await this.publish(code, options.publish);
      log.add('published', `${code.manifest.name}@${v}${created ? '' : ' (was there already)'}`);
    }
    const wanted = code?.manifest.name ?? name!;
    const entry = await this.registry.resolve(wanted, code?.manifest.version ?? version ?? channel);
    if (kind !== undefined && entry.kind !== kind) {
      throw badField('kind', `${entry.name}@${entry.version} is a ${entry.kind}, asked for was a ${kind}`);
    }
    const missing = missingCapabilities(entry.manifest, options.capabilities ?? []);
    if (missing.length > 0) throw notOffered(entry, missing);
    return deployEntry(this.#deployer(options.draft), entry, instance, wishOf(options), course(options), log.steps);
  }

  /** Ends a workload on an instance; by default waits until it is gone. */
  async undeploy(options: UndeployOptions): Promise<DeployResult> {
    checkInstance(options.instance);
    return removeWorkload(this.#deployer(options.draft), options, options.reason, course(options));
  }

  /** Deploys an agent as the guide writes it. */
  deployAgent(agent: WorkflowAgent, instance: string, options: DeployDefaults = {}): Promise<DeployResult> {
    return this.#deployDefinition(agent, instance, options);
  }

  /** Deploys a service as the guide writes it. */
  deployService(service: CustomService, instance: string, options: DeployDefaults = {}): Promise<DeployResult> {
    return this.#deployDefinition(service, instance, options);
  }

  async #deployDefinition(
    what: WorkflowAgent | CustomService,
    instance: string,
    options: DeployDefaults,
  ): Promise<DeployResult> {
    const { id, code, version, capabilities, configuration, resources, config, replicas, isolation } = what.options;
    if (code && code.manifest.name !== id) {
      throw badField('id', `the bundle is named ${code.manifest.name}, the ${what.kind} ${id}: they must be the same`);
    }
    return this.deploy({
      ...options,
      ...(code ? { bundle: code } : { name: id }),
      ...(version === undefined ? {} : { version }),
      ...(capabilities === undefined ? {} : { capabilities }),
      ...(configuration === undefined ? {} : { configuration }),
      ...(resources === undefined ? {} : { resources }),
      ...(config === undefined ? {} : { config }),
      ...(replicas === undefined ? {} : { replicas }),
      ...(isolation === undefined ? {} : { isolation }),
      kind: what.kind,
      instance,
    });
  }

  /** Calls a capability and gives its answer. @throws Fault the other side's, `capability-unknown`, `deadline-exceeded` */
  async call<T = unknown>(capability: string, input: unknown = null, options: AskOptions = {}): Promise<T> {
    const { instance, timeout, correlationId, traceparent, onReply } = options;
    if (instance !== undefined) checkInstance(instance);
    const timeoutMs = timeout === undefined ? DEFAULT_CALL_MS : Duration.from(timeout, 'timeout').milliseconds;
    if (timeoutMs < 1 || timeoutMs > LONGEST_CALL_MS) {
      throw badField('timeout', `expected 1ms to ${Duration.ms(LONGEST_CALL_MS)}, found ${Duration.ms(timeoutMs)}`);
    }
    checkCapability(capability);
    const { clock } = this.#around;
    const nats = await this.connection();
    const begun = clock.monotonic();
    const reply = await nats.call({ capability, input, timeoutMs, instance, correlationId, traceparent });
    onReply?.({ servedBy: reply.servedBy, callId: reply.callId, elapsedMs: clock.monotonic() - begun });
    return reply.output as T;
  }

  /** Watches events from now on (or from `since`) until `stop`. */
  watch(options: WatchOptions): Watch {
    const watch = watchEvents(this.registry, this.#around, options);
    this.#watches.add(watch);
    void watch.done.catch(() => {}).then(() => this.#watches.delete(watch));
    return watch;
  }

  /** The guide's form of {@link watch}. */
  createMonitor({ handlers, ...rest }: MonitorOptions): Watch {
    return this.watch({ ...rest, ...handlers });
  }

  /** Events of the past, oldest first: the newest `limit`, or with `since` those right after it. */
  async events(query: EventQuery = {}): Promise<SequencedEvent[]> {
    const { patterns = [], ...rest } = query;
    checkPatterns(patterns);
    if (patterns.length < 2) return this.registry.events(query);
    // The registry takes one pattern at a time; an event may fit several.
    const answers = await Promise.all(patterns.map((pattern) => this.registry.events({ ...rest, patterns: [pattern] })));
    const found = new Map(answers.flat().map((one) => [one.sequence, one]));
    const all = [...found.values()].sort((a, b) => a.sequence - b.sequence);
    if (query.limit === undefined) return all;
    return query.since === undefined ? all.slice(-query.limit) : all.slice(0, query.limit);
  }

  nodes(): Promise<NodeView[]> {
    return this.registry.nodes();
  }
  workloads(instance?: string): Promise<WorkloadView[]> {
    return this.registry.workloads(instance);
  }
  catalog(): Promise<CatalogItem[]> {
    return this.registry.catalog();
  }

  /** Nodes and what should and does run on them, of one instance or of all. */
  async status(instance?: string): Promise<StatusReport> {
    const [nodes, workloads] = await Promise.all([
      instance === undefined ? this.registry.nodes() : this.registry.node(instance).then((node) => [node]),
      this.registry.workloads(instance),
    ]);
    return { nodes, workloads };
  }

  /** What a node says of itself now, past the registry. */
  async nodeStatus(instance: string): Promise<NodeStatus> {
    return (await this.connection()).status(checkInstance(instance), STATUS_MS);
  }

  /** Log lines as they are said, until `stop`. Lines are live and not kept. */
  async logs({ onLine, onEnd, ...filter }: LogsOptions): Promise<LogWatch> {
    const nats = await this.connection();
    const unsubscribe = nats.logs(filter, onLine);
    await nats.flush();
    void nats.closed().then((error) => onEnd?.(error === undefined ? undefined : Fault.of(error, error.message)));
    const watch = {
      stop: () => {
        unsubscribe();
        this.#watches.delete(watch);
      },
    };
    this.#watches.add(watch);
    return watch;
  }

  /** Asks the node to check a deployment and adds what the registry knows. */
  debugDeployment(options: DebugOptions): Promise<DebugReport> {
    return debugDeployment(this.registry, () => this.connection(), options);
  }

  /** Who may sign what in this fleet, and the log of what was published. */
  get trust(): TrustDoor {
    const signers = () => this.profile.operatorSeedFiles.map(signerOf);
    return trustDoor({ registry: this.registry, signers, now: () => this.#around.clock.now() });
  }

  /** Submits a desired document that operators signed on paper; by default waits until the node has done it. */
  submit(paper: Extract<Paper, { kind: 'desired' }>, options: DeployDefaults = {}): Promise<DeployResult> {
    return submitRecord(this.#deployer(), paper.record, paper.revision ?? undefined, course(options));
  }

  /** Secrets of deployed workloads, sealed to their nodes. */
  get secrets(): Secrets {
    return secretsOf((draft) => this.#deployer(draft), knownNodesOf(this.#around, this.profile), course);
  }

  #deployer(draft?: Deployer['instead']): Deployer {
    const signers: readonly Signer[] = this.profile.operatorSeedFiles.map(signerOf);
    const { clock, random } = this.#around;
    const look = (instance: string) => this.#look(instance);
    const file = knownNodesOf(this.#around, this.profile);
    const seal: Deployer['seal'] = (target, values, signal) => sealValues(deployer, file, target, values, signal);
    const deployer: Deployer = {
      registry: this.registry,
      signers,
      clock,
      random,
      look,
      seal,
      ...(draft ? { instead: draft } : {}),
    };
    return deployer;
  }

  /** Asks the node itself where NATS is known, the registry otherwise or when the node does not answer. */
  #look(instance: string): Look {
    return async () => {
      if (this.profile.nats) {
        try {
          return { node: await this.nodeStatus(instance), presence: 'online', ageMs: 0 };
        } catch {
          // The registry's view is older but says whether anything is heard of the node at all.
        }
      }
      const { status, presence, ageSeconds } = await this.registry.node(instance);
      return { node: status, presence, ageMs: (ageSeconds ?? Number.POSITIVE_INFINITY) * 1_000 };
    };
  }
}

function course({ wait = true, timeout, retryConflicts = 0, signal, onStep, draft }: DeployDefaults): Course {
  const timeoutMs = timeout === undefined ? DEPLOY_MS : Duration.from(timeout, 'timeout').milliseconds;
  return { wait: wait && draft === undefined, timeoutMs, retryConflicts, signal, onStep };
}

function wishOf({
  replicas,
  isolation,
  resources,
  configuration,
  config,
  rollback,
  reason,
  reset,
  secrets,
}: DeployOptions): Wish {
  return {
    replicas,
    isolation,
    resources: resources === undefined ? undefined : { ...resources },
    configuration: configuration === undefined ? undefined : settingsAsText(configuration),
    config,
    rollback,
    reason,
    reset,
    secrets,
  };
}
