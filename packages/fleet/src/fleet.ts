/**
 * A whole fleet on one machine, of real processes: hub and leaves (nats-server), registry, node-agents, with keys, tokens and a profile.
 *
 * Promises:
 * F1. Started in order (hub, leaves, registry, node-agents) and stopped in reverse, each by a deadline; when one does not come up, those
 *     before it are stopped and its reason is thrown.
 * F2. All state is in one directory. A second start there finds keys, ports, bundles and deployments as they were.
 * F3. One fleet to a directory at a time; what a fleet that was killed left running is ended first.
 * F4. With `revive`, a process that ends without having been asked to is started again, with growing pauses, as a service manager would.
 */
import { existsSync, mkdirSync, rmSync, statfsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Fault, InstanceId, renderBytes, startParts, systemClock } from '@cim/contracts';
import { startAgent } from './agent.ts';
import type { Daemon } from './daemon.ts';
import { writeJson } from './files.ts';
import { startHub } from './hub.ts';
import { enrolInstance, type Identities, openIdentities } from './identities.ts';
import { instanceDirectory, startLeaf } from './leaf.ts';
import { endLeftovers, takeLock } from './machine/lock.ts';
import { signal } from './machine/surroundings.ts';
import { type Link, openLink } from './nats/link.ts';
import type { NatsProcess } from './nats/server.ts';
import { announced, type DetailedPart, many, one, type PartEvent } from './parts.ts';
import { type Overlay, startRegistry } from './registry.ts';
import { reviver } from './revive.ts';
import { openSecrets, rootsOf, type Secrets } from './secrets.ts';

export interface FleetOptions {
  /** State directory; made when missing. */
  readonly directory: string;
  /** Ids of the instances. Default `cim-a` and `cim-b`. */
  readonly instances?: readonly string[];
  /** `jwt`: each party has an identity of its own, leaves by enrolment; `password`: users in the hub's configuration. Default. */
  readonly identities?: 'jwt' | 'password';
  /** With `jwt`: capability patterns an instance may answer. Default `[">"]`. */
  readonly serves?: (instance: string) => readonly string[];
  /** `proxied` puts a link that can be cut between each leaf and the hub. Default `direct`. */
  readonly links?: 'direct' | 'proxied';
  /** Ports to take when they are free and none is kept from before; agents in the order of the instances. */
  readonly wishedPorts?: { readonly hub?: number; readonly registry?: number; readonly agents?: readonly number[] };
  /** Laid over the registry's configuration, section by section. */
  readonly registryConfig?: Overlay;
  /** Laid over a node-agent's configuration, section by section. */
  readonly agentConfig?: (instance: string) => Overlay;
  /** Where the profile for the `alchemist` command is written. Default `profile.json` in the directory. */
  readonly profileFile?: string;
  /** Start processes again that end by themselves. */
  readonly revive?: boolean;
  /** Told when a part is being started and when it is up. */
  readonly onPart?: (event: PartEvent) => void;
  /** Told what ended by itself and came back, for people. */
  readonly told?: (line: string) => void;
}

export interface Member {
  readonly instance: string;
  readonly leaf: NatsProcess;
  readonly agent: Daemon;
  /** The wire to the hub, with `links: 'proxied'`. */
  readonly link: Link | undefined;
}

export interface Fleet extends AsyncDisposable {
  readonly directory: string;
  readonly secrets: Secrets;
  /** With `identities: 'jwt'`. */
  readonly identities: Identities | undefined;
  readonly hub: NatsProcess;
  readonly registry: Daemon;
  readonly members: readonly Member[];
  /** @throws Fault `instance-unknown` */
  member(instance: string): Member;
  readonly profileFile: string;
  /** True when the directory held a fleet before. */
  readonly resumed: boolean;
  /** Processes of an earlier fleet that had to be ended. */
  readonly leftovers: number;
  /** Process ids by name: `hub`, `registry`, `leaf-<id>`, `agent-<id>`. */
  pids(): Record<string, number>;
  /** Log files by the same names. */
  logs(): Record<string, string>;
  /** Called when a process was started anew. */
  onChange(listener: () => void): void;
  /** @returns names of what could not be stopped in time or failed to */
  stop(deadlineMs?: number): Promise<string[]>;
  /** Ends every process at once (SIGKILL) and waits for nothing. */
  abandon(): void;
}

const STOP_MS = 30_000;
/** Below this much free space a start is refused: JetStream would come up and fail at the first write. */
const LEAST_FREE_BYTES = 64 * 2 ** 20;

/** @throws Fault with the reason, after everything that had been started was stopped */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const directory = resolve(options.directory);
  const { links = 'direct', told = () => {}, onPart = () => {} } = options;
  const instances = (options.instances ?? ['cim-a', 'cim-b']).map(checkedInstance);
  const resumed = existsSync(join(directory, 'secrets'));
  const lock = takeLock(directory);
  try {
    checkSpace(directory);
    const leftovers = await endLeftovers(directory);
    const secrets = openSecrets(join(directory, 'secrets'));
    const identities = options.identities === 'jwt' ? await openIdentities(directory) : undefined;
    const profileFile = options.profileFile ?? join(directory, 'profile.json');
    const revival = options.revive === true ? reviver(systemClock, told) : undefined;

    let hub: NatsProcess;
    let registry: Daemon;
    const wires = new Map<string, Link>();
    const leaves = new Map<string, NatsProcess>();
    const agents = new Map<string, Daemon>();

    const credsOf = (instance: string) => join(instanceDirectory(directory, instance), 'leaf.creds');
    const enrolled = async (instance: string) => {
      mkdirSync(instanceDirectory(directory, instance), { recursive: true, mode: 0o700 });
      const door = { url: registry.url, adminToken: secrets.token('admin') };
      return enrolInstance(door, instance, options.serves?.(instance) ?? ['>'], credsOf(instance));
    };
    const startedRegistry = one(
      'registry',
      async () => {
        const { registryConfig: overlay, wishedPorts } = options;
        registry = await startRegistry({
          directory,
          secrets,
          identities,
          hubUrl: hub.url,
          wishedPort: wishedPorts?.registry,
          overlay,
        });
        revival?.watch('registry', registry);
        return registry;
      },
      () => registry.url,
    );

    const parts: DetailedPart[] = [
      one(
        'hub',
        async () => {
          const wishedPort = options.wishedPorts?.hub;
          hub = await startHub({
            directory,
            secrets,
            instances,
            hidden: links === 'proxied',
            ...(identities === undefined ? {} : { operator: identities.operator }),
            ...(wishedPort === undefined ? {} : { wishedPort }),
          });
          revival?.watch('hub', hub);
          return hub;
        },
        () => `nats-server ${hub.version} at ${hub.url}`,
      ),
      ...(links === 'direct'
        ? []
        : [
            many(
              'links',
              instances,
              wires,
              () => openLink({ target: { host: '127.0.0.1', port: hub.leafPort! } }),
              () => `${wires.size} relays`,
            ),
          ]),
      // A leaf enrols at the registry before it joins.
      ...(identities === undefined ? [] : [startedRegistry]),
      many(
        'leaves',
        instances,
        leaves,
        async (instance) => {
          const wire = wires.get(instance) ?? { host: '127.0.0.1', port: hub.leafPort! };
          const leaf = await startLeaf({
            directory,
            secrets,
            instance,
            hub: wire,
            ...(identities === undefined ? {} : { credentialsFile: await enrolled(instance) }),
          });
          revival?.watch(`leaf ${instance}`, leaf);
          return leaf;
        },
        () => [...leaves].map(([instance, { url }]) => `${instance} at ${url}`).join(', '),
      ),
      ...(identities === undefined ? [startedRegistry] : []),
      many(
        'node-agents',
        instances,
        agents,
        async (instance, index) => {
          const agent = await startAgent({
            directory,
            secrets,
            instance,
            leafUrl: leaves.get(instance)!.url,
            ...(identities === undefined ? {} : { identity: { registry: registry.url, credentialsFile: credsOf(instance) } }),
            wishedPort: options.wishedPorts?.agents?.[index],
            overlay: options.agentConfig?.(instance),
          });
          revival?.watch(`node-agent ${instance}`, agent);
          return agent;
        },
        () => [...agents].map(([instance, { url }]) => `${instance} at ${url}`).join(', '),
      ),
    ];
    const running = await startParts(systemClock, parts.map(announced(onPart)), STOP_MS);
    const members = instances.map(
      (instance): Member => ({
        instance,
        leaf: leaves.get(instance)!,
        agent: agents.get(instance)!,
        link: wires.get(instance),
      }),
    );
    writeJson(profileFile, profileOf(registry!.url, hub!.url, secrets, identities));
    // Machines made anew have other keys; what an operator knew of the ones before would only be in the way.
    if (!resumed) rmSync(join(dirname(profileFile), 'known-nodes.json'), { force: true });

    const stop = async (deadlineMs = STOP_MS) => {
      revival?.stop();
      const { late, failed } = await running.stop(deadlineMs);
      lock.release();
      return [...late, ...failed.map(({ name, error }) => `${name} (${String(error)})`)];
    };
    const named = <T>(of: (process: NatsProcess | Daemon) => T): Record<string, T> => ({
      hub: of(hub),
      registry: of(registry),
      ...Object.fromEntries(
        members.flatMap((m) => [[`leaf-${m.instance}`, of(m.leaf)] as const, [`agent-${m.instance}`, of(m.agent)] as const]),
      ),
    });
    return {
      directory,
      secrets,
      identities,
      hub: hub!,
      registry: registry!,
      members,
      member(instance) {
        const found = members.find((member) => member.instance === instance);
        if (!found) throw new Fault('instance-unknown', `${instance}: this fleet has ${instances.join(', ')}`);
        return found;
      },
      profileFile,
      resumed,
      leftovers,
      pids: () => named(({ pid }) => pid),
      logs: () => named(({ logFile }) => logFile),
      onChange: (listener) => revival?.onChange(listener),
      stop,
      abandon: () => {
        revival?.stop();
        for (const pid of Object.values(named((process) => (process.alive() ? process.pid : 0))))
          if (pid > 0) signal(pid, 'SIGKILL');
        lock.release();
      },
      [Symbol.asyncDispose]: async () => void (await stop()),
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** A profile file of the `alchemist` command, with everything an operator of this fleet needs. */
function profileOf(registryUrl: string, natsUrl: string, secrets: Secrets, identities: Identities | undefined) {
  return {
    registry: { url: registryUrl, token: secrets.token('admin') },
    nats:
      identities === undefined
        ? { url: natsUrl, user: 'alchemist', password: secrets.password('alchemist') }
        : { url: natsUrl, credentialsFile: identities.creds('alchemist') },
    publisherSeedFile: secrets.publisher.seedFile,
    operatorSeedFile: secrets.operator.seedFile,
    trust: rootsOf(secrets),
  };
}

function checkedInstance(id: string): string {
  const parsed = InstanceId.safeParse(id);
  if (!parsed.success)
    throw new Fault('invalid-input', `instances: ${parsed.error.issues[0]?.message}, found ${JSON.stringify(id)}`);
  return parsed.data;
}

function checkSpace(directory: string): void {
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize < LEAST_FREE_BYTES) {
    throw new Fault(
      'storage-full',
      `${directory}: ${renderBytes(bavail * bsize)} free, at least ${renderBytes(LEAST_FREE_BYTES)} are needed`,
    );
  }
}
