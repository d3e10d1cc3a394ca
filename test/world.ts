/**
 * A fleet to walk through from end to end, with the moves a walk makes: publish, deploy, call, look, break, mend.
 *
 *     await using world = await openWorld();
 *     await world.deploySource({ name: 'echo' }, 'cim-a');
 *     await world.call('echo.echo', { n: 1 }, { instance: 'cim-a' });
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Alchemist, type AskOptions, type Bundle, type DeployOptions, type DeployResult, type Published } from '@cim/alchemist';
import { digestOf, type NodeStatus, type WorkloadStatus } from '@cim/contracts';
import { type Answer, type Caller, callerAt, type Fleet, type FleetOptions, type Member } from '@cim/fleet';
import { fleet as startTestFleet, type TestBundle, type TestBundleOptions, testBundle, waitFor } from '@cim/testkit';

export interface World extends AsyncDisposable {
  /** The fleet that runs now. */
  readonly fleet: Fleet;
  /** An operator with all rights, connected to the hub. */
  readonly alchemist: Alchemist;
  member(instance: string): Member;

  /** Builds a bundle from source text, signed with the publisher this fleet trusts; the sequence is the time unless given. */
  source(options: TestBundleOptions): Promise<TestBundle>;
  publishSource(options: TestBundleOptions): Promise<Published>;
  /** Publishes what is given and waits until it answers on the instance. */
  deploySource(options: TestBundleOptions, instance: string, how?: Partial<DeployOptions>): Promise<DeployResult>;
  /** Deploys what is in the catalog. */
  deploy(name: string, version: string, instance: string, how?: Partial<DeployOptions>): Promise<DeployResult>;

  /** A call through the hub. @throws Fault */
  call<T = any>(capability: string, input?: unknown, options?: AskOptions): Promise<T>;
  /** A call as whatever runs on that leaf would make it, over the leaf's own server; works with the hub away. */
  callFrom(instance: string, capability: string, input?: unknown): Promise<Answer>;

  /** What the node-agent says of itself now, asked over NATS. */
  statusOf(instance: string): Promise<NodeStatus>;
  workloadOf(instance: string, name: string): Promise<WorkloadStatus | undefined>;
  /** `/health` of the node-agent, whatever its status code; works with the hub away. */
  healthOf(instance: string): Promise<any>;
  /** `/api/v1/workloads` of the node-agent, as it answers; works with the hub away. */
  workloadsOf(instance: string): Promise<any>;
  /** Waits until the workload is as the condition says. */
  until(instance: string, name: string, condition: (status: WorkloadStatus) => boolean, what: string): Promise<WorkloadStatus>;

  /** SIGKILL and gone. */
  killAgent(instance: string): Promise<void>;
  startAgent(instance: string): Promise<void>;
  restartAgent(instance: string): Promise<void>;
  killHub(): Promise<void>;
  startHub(): Promise<void>;
  killLeaf(instance: string): Promise<void>;
  startLeaf(instance: string): Promise<void>;
  killRegistry(): Promise<void>;
  startRegistry(): Promise<void>;
  /** Nothing passes between the leaf and the hub, connections are closed. */
  cutLink(instance: string): void;
  /** Nothing passes and nothing is closed: a link that loses packets. */
  freezeLink(instance: string): void;
  /** Waits until the leaf is joined again. */
  healLink(instance: string): Promise<void>;
  /** Ends everything in order and starts it again from its state. */
  restartAll(): Promise<void>;

  /** Process ids of the cells of a node-agent: its direct children. */
  cellsOf(instance: string): number[];
}

export async function openWorld(options: Partial<FleetOptions> = {}): Promise<World> {
  const held = await startTestFleet(options);
  let alchemist = await Alchemist.connect({ profile: held.fleet.profileFile });
  const callers = new Map<string, Promise<Caller>>();
  const callerOn = (instance: string) => {
    let caller = callers.get(instance);
    if (!caller) {
      caller = callerAt(held.fleet, instance);
      callers.set(instance, caller);
    }
    return caller;
  };
  const leave = async () => {
    await alchemist.close();
    const open = [...callers.values()];
    callers.clear();
    await Promise.all(open.map(async (caller) => (await caller)[Symbol.asyncDispose]()));
  };
  const member = (instance: string) => held.fleet.member(instance);
  const linkOf = (instance: string) => {
    const { link } = member(instance);
    if (!link) throw new Error(`${instance} has no link to cut: the fleet was started with links: "direct"`);
    return link;
  };
  const ask = async (instance: string, path: string) => {
    const answer = await fetch(`${member(instance).agent.url}${path}`, { signal: AbortSignal.timeout(5_000) });
    return answer.json();
  };
  const source = (given: TestBundleOptions) =>
    testBundle({ signer: held.fleet.secrets.publisher.signer, sequence: Date.now(), ...given });
  const publishSource = async (given: TestBundleOptions) => alchemist.publish(asBundle(await source(given)));
  const deploy = (name: string, version: string, instance: string, how: Partial<DeployOptions> = {}) =>
    alchemist.deploy({ name, version, instance, retryConflicts: 3, ...how });
  const workloadOf = async (instance: string, name: string) =>
    (await alchemist.nodeStatus(instance)).workloads.find((workload) => workload.name === name);

  return {
    get fleet() {
      return held.fleet;
    },
    get alchemist() {
      return alchemist;
    },
    member,
    source,
    publishSource,
    async deploySource(given, instance, how) {
      const { name, version } = await publishSource(given);
      return deploy(name, version, instance, how);
    },
    deploy,
    call: (capability, input, how) => alchemist.call(capability, input, how),
    callFrom: async (instance, capability, input = null) => (await callerOn(instance)).call(capability, input),
    statusOf: (instance) => alchemist.nodeStatus(instance),
    workloadOf,
    healthOf: (instance) => ask(instance, '/health'),
    workloadsOf: (instance) => ask(instance, '/api/v1/workloads'),
    until: (instance, name, condition, what) =>
      waitFor(
        async () => {
          const status = await workloadOf(instance, name);
          return status && condition(status) ? status : undefined;
        },
        30_000,
        `${name} on ${instance} to be ${what}`,
      ),
    killAgent: (instance) => member(instance).agent.kill(),
    startAgent: (instance) => member(instance).agent.start(),
    restartAgent: (instance) => member(instance).agent.restart(),
    killHub: () => held.fleet.hub.kill(),
    startHub: () => held.fleet.hub.start(),
    killLeaf: (instance) => member(instance).leaf.kill(),
    startLeaf: (instance) => member(instance).leaf.start(),
    killRegistry: () => held.fleet.registry.kill(),
    startRegistry: () => held.fleet.registry.start(),
    cutLink: (instance) => linkOf(instance).cut(),
    freezeLink: (instance) => linkOf(instance).freeze(),
    async healLink(instance) {
      linkOf(instance).heal();
      await waitFor(async () => (await member(instance).leaf.links()) > 0, 15_000, `${instance} to join the hub again`);
    },
    async restartAll() {
      await leave();
      const fleet = await held.again();
      alchemist = await Alchemist.connect({ profile: fleet.profileFile });
    },
    cellsOf: (instance) => childrenOf(member(instance).agent.pid),
    async [Symbol.asyncDispose]() {
      await leave();
      await held[Symbol.asyncDispose]();
    },
  };
}

/** A bundle made by hand as the SDK takes it. */
function asBundle({ bytes, manifest, envelope }: TestBundle): Bundle {
  return { manifest, bytes, digest: digestOf(bytes), size: bytes.length, envelope, warnings: [] };
}

/** Processes whose parent is `pid`, by the kernel's own table. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((entry) => {
      try {
        const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === pid;
      } catch {
        return false;
      }
    });
}
