/**
 * The world of the bench: an embedded fleet with one leaf, and connections an administrator has. Real processes, nothing in the way.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Alchemist, type Bundle } from '@cim/alchemist';
import {
  type Desired,
  type DesiredRecord,
  digestOf,
  hubInboxPrefix,
  Manifest,
  packBundle,
  signDesired,
  topology,
} from '@cim/contracts';
import { agentUser, type Fleet, leafAdminUser, startFleet } from '@cim/fleet';
import { jetstream } from '@nats-io/jetstream';
import { Kvm } from '@nats-io/kv';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Floor } from './echo-responder.ts';
import { descendants } from './procfs.ts';

export interface World {
  readonly fleet: Fleet;
  readonly alchemist: Alchemist;
  readonly instance: string;
  /** Administrator at the hub. */
  readonly hub: NatsConnection;
  /** Administrator at the leaf. */
  readonly leaf: NatsConnection;
  /** The node-agent's user at the leaf: what reaches the hub's JetStream does so under the node's permissions. */
  readonly asNode: NatsConnection;
  /** How an administrator reaches the leaf. */
  readonly admin: { readonly url: string; readonly user: string; readonly password: string };
  /** The node-agent and its cells, as of now. */
  nodePids(): readonly number[];
  /** The node-agent's own metrics, as text. */
  metrics(): Promise<string>;
  /** Starts a bare responder on a subject of the leaf. */
  echo(subject: string, kind?: Floor): Promise<{ readonly pid: number; stop(): void }>;
  /** Writes a desired document at the hub, signed, as the registry would; resolves when the hub has it. */
  amend(key: string, change: Record<string, unknown>): Promise<() => Promise<number>>;
  close(): Promise<void>;
}

/** @param sandbox laid over the sandbox section of the node-agent's configuration */
export async function world(sandbox: Record<string, unknown> = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'cim-bench-'));
  const fleet = await startFleet({ directory, instances: ['cim-a'], agentConfig: () => ({ sandbox }) });
  const member = fleet.members[0]!;
  const open = (url: string, user: string, more = {}) =>
    connect({ servers: url, user, pass: fleet.secrets.password(user), ...more });
  const admin = leafAdminUser(member.instance);
  const hub = await open(fleet.hub.url, 'admin');
  const leaf = await open(member.leaf.url, admin);
  // What the node may do at the hub it does under its own inboxes: the floors go the same way.
  const asNode = await open(member.leaf.url, agentUser(member.instance), {
    inboxPrefix: hubInboxPrefix('node', member.instance),
  });
  const operator = fleet.secrets.operator.signer;
  const alchemist = await Alchemist.connect({ profile: fleet.profileFile });
  return {
    fleet,
    alchemist,
    instance: member.instance,
    hub,
    leaf,
    asNode,
    admin: { url: member.leaf.url, user: admin, password: fleet.secrets.password(admin) },
    nodePids() {
      const agent = fleet.pids()[`agent-${member.instance}`]!;
      return [agent, ...descendants(agent)];
    },
    async metrics() {
      const { http } = await alchemist.nodeStatus(member.instance);
      return (await fetch(`${http}/metrics`)).text();
    },
    async echo(subject, kind = 'echo') {
      const child = spawn(
        process.execPath,
        [
          // isolated-vm asks for it.
          '--no-node-snapshot',
          new URL('./echo-responder.ts', import.meta.url).pathname,
          member.leaf.url,
          admin,
          fleet.secrets.password(admin),
          subject,
          kind,
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      await once(child.stdout, 'data');
      return { pid: child.pid!, stop: () => void child.kill('SIGTERM') };
    },
    async amend(key, change) {
      const bucket = await new Kvm(jetstream(hub)).open(topology.desired.name);
      const entry = (await bucket.get(key))!;
      const before = entry.json<DesiredRecord>().document;
      const document: Desired = { ...before, generation: before.generation + 1, ...change };
      const record: DesiredRecord = { document, signatures: [signDesired(document, operator)] };
      const text = JSON.stringify(record);
      return async () => {
        await bucket.update(key, text, entry.revision);
        return document.generation;
      };
    },
    async close() {
      await alchemist.close();
      await Promise.all([hub.close(), leaf.close(), asNode.close()]);
      await fleet.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A bundle from the text of its entry, without a project around it. */
export async function bundleOf(
  name: string,
  entry: string,
  capabilities: readonly string[],
  over: Record<string, unknown> = {},
  assets?: ReadonlyMap<string, Uint8Array>,
): Promise<Bundle> {
  const manifest = Manifest.parse({
    api: 1,
    name,
    version: '1.0.0',
    kind: 'agent',
    capabilities: Object.fromEntries(capabilities.map((capability) => [capability, {}])),
    ...over,
  });
  const bytes = await packBundle({ manifest, entry, ...(assets ? { assets } : {}) });
  return { manifest, bytes, digest: digestOf(bytes), size: bytes.length, warnings: [] };
}

/** An agent that answers with what it was given. */
export const echoEntry = (capability: string): string =>
  `export default { kind: 'agent', api: 1, capabilities: { ${JSON.stringify(capability)}: { handle: (input) => input } } };`;
