/** What the node says of a workload whose capabilities have not reached the server: all but that it is there. */
import { systemClock } from '@cim/contracts';
import { expect, test } from 'vitest';
import { createConditions } from '../src/conditions.ts';
import { type StatusSources, statusReader } from '../src/status.ts';

test('nothing is converged while a capability of it is on its way', () => {
  const workload = (name: string, converged: boolean) => ({
    kind: 'agent',
    name,
    state: 'ready',
    converged,
    capabilities: [name],
  });
  const travelling = new Set(['b.b']);
  const sources: Partial<Record<keyof StatusSources, unknown>> = {
    clock: systemClock,
    config: { instance: { id: 'cim-a', capabilities: [] } },
    conditions: createConditions(systemClock),
    machine: { read: () => ({ diskFreeBytes: 1, diskBytes: 1, gpus: [] }) },
    phase: () => 'running',
    workloads: () => [workload('a.a', true), workload('b.b', true), workload('c.c', false)],
    reached: (capabilities: readonly string[]) => !capabilities.some((one) => travelling.has(one)),
    offers: () => [],
    others: () => [],
    trust: { now: () => ({}), logHead: () => undefined },
    sandbox: { limits: 'watchdog', layers: [] },
    http: () => undefined,
  };
  const status = statusReader(sources as unknown as StatusSources);
  const converged = () => status().workloads.map((one) => one.converged);
  expect(converged()).toEqual([true, false, false]);
  expect(status().workloads[1]).toMatchObject({ name: 'b.b', state: 'ready' });
  travelling.clear();
  expect(converged()).toEqual([true, true, false]);
});
