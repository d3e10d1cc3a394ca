/**
 * Gives the checks what they look at: each member asks the real thing when it is read.
 */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CheckReply,
  type CheckRequest,
  type Manifest,
  type NodeAgentConfig,
  type NodeStatus,
  subjectsOverlap,
} from '@cim/contracts';
import { runChecks } from './checks.ts';
import type { Leaf } from './hub/leaf.ts';

export interface ChecksDeps {
  readonly status: () => NodeStatus;
  readonly hub: () => { readonly reachable: boolean; readonly detail: string };
  readonly leaf: Leaf;
  readonly heartbeatAge: () => number | undefined;
  readonly config: NodeAgentConfig;
  readonly manifest: (workload: string) => Manifest | undefined;
  /** Whether a secret is sealed for a workload of that name. */
  readonly sealed: (workload: string, secret: string) => boolean;
  readonly offers: () => readonly string[];
}

export function createChecks(deps: ChecksDeps): (request: CheckRequest) => Promise<CheckReply> {
  const { leaf, config } = deps;
  return (request) =>
    runChecks(
      {
        status: deps.status,
        hub: deps.hub,
        leafRtt: async () => (await leaf.ready(2_000)).rtt(),
        heartbeatAgeSeconds: deps.heartbeatAge,
        manifest: deps.manifest,
        secretExists: async (workload, name) => {
          if (deps.sealed(workload, name)) return true;
          if (config.secretsDirectory === undefined) return false;
          return access(join(config.secretsDirectory, name)).then(
            () => true,
            () => false,
          );
        },
        trusted: config.trust.publishers,
        reachableCapabilities: async (patterns) => {
          const offered = await offeredAnywhere(leaf, deps.offers());
          return new Map(
            patterns.map((pattern) => [pattern, offered.some((capability) => subjectsOverlap(capability, pattern))]),
          );
        },
      },
      request,
    );
}

/** What any node offers, by the services protocol's own INFO: those that answer within a moment. */
async function offeredAnywhere(leaf: Leaf, here: readonly string[]): Promise<string[]> {
  const offered = new Set(here);
  const connection = leaf.current();
  if (!connection) return [...offered];
  try {
    for await (const reply of await connection.requestMany('$SRV.INFO.cim-node-agent', '', {
      maxWait: 1_000,
      strategy: 'stall' as never,
    })) {
      const { endpoints } = reply.json<{ endpoints?: { subject?: string }[] }>();
      for (const { subject } of endpoints ?? [])
        if (subject?.startsWith('cim.v1.call.')) offered.add(subject.slice('cim.v1.call.'.length));
    }
  } catch {
    // Nobody else answered: what is offered here is all we know.
  }
  return [...offered];
}
