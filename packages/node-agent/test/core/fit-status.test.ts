/** A status always fits into one message, says what it lost, and loses last what somebody needs to know. */
import { NodeStatus } from '@cim/contracts';
import { expect, test } from 'vitest';
import { fitStatus } from '../../src/core/fit-status.ts';

const at = '2025-06-01T00:00:00.000Z';
const digest = `sha256:${'a'.repeat(64)}`;

function statusOf(count: number, failed: (i: number) => boolean, detail = 'x'): NodeStatus {
  const facts = { arch: 'x64', kernel: '6', os: 'linux', cores: 2, memoryBytes: 1, memoryFreeBytes: 1, diskBytes: 1 };
  const machine = { ...facts, diskFreeBytes: 1, loadAverage: 0, gpus: [], versions: {} };
  return NodeStatus.parse({
    api: 1,
    instance: 'cim-a',
    name: 'cim-a',
    capabilities: [],
    offers: Array.from({ length: count }, (_, i) => `crowd.w-${i}`),
    machine,
    phase: 'running',
    health: 'healthy',
    conditions: [],
    workloads: Array.from({ length: count }, (_, i) => ({
      kind: 'agent',
      name: `workload-${i}`,
      version: '1.0.0',
      digest,
      state: failed(i) ? 'failed' : 'ready',
      ...(failed(i) ? { reason: { code: 'start-failed', detail } } : {}),
      generation: 1,
      converged: !failed(i),
      replicas: { desired: 1, ready: 1 },
      restarts: 0,
      isolation: 'shared',
      capabilities: [`crowd.w-${i}`],
      calls: { total: 0, failed: 0, inFlight: 0 },
      since: at,
    })),
    limits: 'watchdog',
    startedAt: at,
    at,
    heartbeatSeconds: 10,
  });
}
const read = (text: string) => NodeStatus.parse(JSON.parse(text));
const MIB = 2 ** 20;

test('a thousand ordinary workloads fit as they are, with half of a mebibyte to spare', () => {
  const status = statusOf(1_000, () => false);
  const text = fitStatus(status, MIB - 1024);
  expect(read(text)).toEqual(status);
  expect(text.length).toBeLessThan(MIB / 2);
});

test('a thousand that failed with long reasons: the reasons are cut, and it is said', () => {
  const text = fitStatus(
    statusOf(1_000, () => true, 'because '.repeat(1_000)),
    MIB,
  );
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MIB);
  const { workloads, conditions } = read(text);
  expect(workloads).toHaveLength(1_000);
  expect(workloads.every(({ reason, capabilities }) => reason!.detail.startsWith('because') && capabilities.length === 1)).toBe(
    true,
  );
  expect(conditions.map(({ code }) => code)).toEqual(['status-cut']);
});

test('where that is not enough, those that are well go first, and how many went is said', () => {
  const limit = 60_000;
  const text = fitStatus(
    statusOf(500, (i) => i % 10 === 0),
    limit,
  );
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(limit);
  const { workloads, conditions } = read(text);
  expect(workloads.filter(({ state }) => state === 'failed')).toHaveLength(50);
  expect(conditions).toHaveLength(1);
  expect(conditions[0]!.detail).toContain(`${500 - workloads.length} workloads`);
});
