/**
 * What the sandbox tells of itself: limits that were run into as events and a metric, layers around cells as conditions and a metric.
 */
import type { Clock, NodeAgentConfig, SandboxLayer } from '@cim/contracts';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Conditions } from './conditions.ts';
import { createLimitHits, type LimitHits } from './host/limit-hits.ts';
import type { Sandbox } from './sandbox/sandbox.ts';

export interface SandboxReportDeps {
  readonly clock: Clock;
  readonly registry: Registry;
  readonly conditions: Conditions;
  readonly sandbox: Sandbox;
  readonly config: NodeAgentConfig['sandbox'];
  readonly emit: (type: string, data: unknown, subject: string) => void;
}

/** Without one of these, code that breaks out of V8 meets the machine. */
const WALLS: readonly SandboxLayer[] = ['namespaces', 'no-network', 'own-files', 'seccomp'];

/** @returns where limits that were run into are told of */
export function reportSandbox({ clock, registry, conditions, sandbox, config, emit }: SandboxReportDeps): LimitHits {
  const hits = new Counter({
    name: 'cim_workload_limit_hits_total',
    help: 'Limits workloads ran into, by workload and limit.',
    labelNames: ['workload', 'limit'],
    registers: [registry],
  });
  const layers = new Gauge({
    name: 'cim_sandbox_layer',
    help: '1 for each layer around cells that is active, 0 for each that is not.',
    labelNames: ['layer'],
    registers: [registry],
  });
  for (const { layer, active } of sandbox.layers) layers.set({ layer }, active ? 1 : 0);
  if (sandbox.limits === 'watchdog') {
    conditions.set(
      'limits-watchdog',
      'info',
      'Limits are kept by a watchdog',
      'no cgroup v2 is delegated to this process, so memory and cpu limits are sampled, not kept by the kernel',
    );
  }
  const missing = sandbox.layers.filter(({ layer, active }) => !active && WALLS.includes(layer));
  if (missing.length > 0) {
    const said = missing.map(({ layer, detail }) => `${layer}: ${detail}`).join('; ');
    conditions.set('layers-missing', 'info', 'Not every layer stands around cells', said);
  }
  if (config.debug)
    conditions.set(
      'debug-allowed',
      'warning',
      'Workloads may be debugged here',
      "sandbox.debug is set: for a developer's machine only",
    );
  return createLimitHits({
    clock,
    emit: (type, data, subject) => emit(type, data, subject),
    count: (workload, limit, count) => hits.inc({ workload, limit }, count),
  });
}
