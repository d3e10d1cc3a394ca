/**
 * What the node answers to others over NATS: the services protocol, so that the plain `nats` CLI sees it, and an operator's commands.
 */
import { type NodeAgentConfig, type NodeStatus, newId } from '@cim/contracts';
import { createChecks } from './check-view.ts';
import type { Conditions } from './conditions.ts';
import type { createCallServer } from './hub/calls.ts';
import { serveCommands } from './hub/commands.ts';
import type { Leaf } from './hub/leaf.ts';
import { serveServicesProtocol } from './hub/services.ts';
import type { Router } from './supervise/router.ts';
import type { Supervisor } from './supervise/supervisor.ts';

export interface AnswerDeps {
  readonly config: NodeAgentConfig;
  readonly version: string;
  readonly startedAt: string;
  readonly leaf: Leaf;
  readonly router: Router;
  readonly supervisor: Supervisor;
  readonly calls: ReturnType<typeof createCallServer>;
  readonly conditions: Conditions;
  readonly status: () => NodeStatus;
  readonly hub: () => { readonly reachable: boolean; readonly detail: string };
  readonly heartbeatAge: () => number | undefined;
  /** Whether a secret is sealed for a workload of that name. */
  readonly sealed: (workload: string, secret: string) => boolean;
  /** Takes the node out of service or back in, where its phase allows; answers the phase it is in then. */
  readonly drained: (drain: boolean) => NodeStatus['phase'];
}

export function answerOthers(deps: AnswerDeps): void {
  const { config, leaf, router, supervisor, conditions, status, hub, heartbeatAge } = deps;
  const instance = config.instance.id;
  serveServicesProtocol({
    leaf,
    instance,
    id: newId(),
    version: deps.version,
    startedAt: deps.startedAt,
    offers: () => router.offers(),
    counts: () => deps.calls.counts(),
  });
  serveCommands({
    leaf,
    instance,
    status,
    check: createChecks({
      status,
      hub,
      leaf,
      heartbeatAge,
      config,
      manifest: (name) => supervisor.manifest(name),
      sealed: deps.sealed,
      offers: () => router.offers(),
    }),
    drain: (drain) => {
      if (drain)
        conditions.set('drained', 'warning', 'The node is drained', 'an operator took it out of service; calls go elsewhere');
      else conditions.clear('drained');
      return deps.drained(drain);
    },
  });
}
