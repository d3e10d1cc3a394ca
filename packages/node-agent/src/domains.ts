/**
 * Health of the domains switched on for this instance. The agent domain is the node-agent itself; any other domain is what a workload
 * of that name makes of it, and honest about being absent.
 */
import type { Condition, NodeAgentConfig, WorkloadStatus } from '@cim/contracts';
import type { DomainHealth } from './http/server.ts';

/** @param workloads all of the node's; @param conditions those of the node */
export function domainHealth(
  domains: NodeAgentConfig['domains'],
  workloads: readonly WorkloadStatus[],
  conditions: readonly Condition[],
): DomainHealth[] {
  return Object.entries(domains).map(([domain, { enable }]) => {
    if (!enable) return { domain, status: 'disabled', detail: 'switched off in the configuration', conditions: [] };
    if (domain === 'agent') return agentDomain(workloads, conditions);
    const backing = workloads.find(({ name }) => name === domain || name === `cim-${domain}`);
    if (!backing) {
      return {
        domain,
        status: 'unhealthy',
        detail: `no workload named "${domain}" is deployed to serve this domain`,
        conditions: [],
      };
    }
    const ready = backing.state === 'ready';
    return {
      domain,
      status: ready ? 'healthy' : 'unhealthy',
      detail: ready
        ? `served by ${backing.kind} ${backing.name}@${backing.version}`
        : `${backing.kind} ${backing.name} is ${backing.state}: ${backing.reason?.detail ?? ''}`,
      conditions: [],
    };
  });
}

function agentDomain(workloads: readonly WorkloadStatus[], conditions: readonly Condition[]): DomainHealth {
  const agents = workloads.filter(({ kind }) => kind === 'agent');
  const bad = agents.filter(({ state }) => state === 'failed' || state === 'quarantined');
  const errors = conditions.filter(({ severity }) => severity === 'error');
  const ready = agents.filter(({ state }) => state === 'ready').length;
  return {
    domain: 'agent',
    status: errors.length > 0 ? 'unhealthy' : bad.length > 0 ? 'degraded' : 'healthy',
    detail: `${ready} of ${agents.length} agents ready${bad.length > 0 ? `, not running: ${bad.map(({ name }) => name).join(', ')}` : ''}`,
    conditions: [...errors],
  };
}
