/** Who is let in, and what the refusal says. */
import { Manifest } from '@cim/contracts';
import { describe, expect, test } from 'vitest';
import { admit, type Candidate, shortOf } from '../../src/core/admit.ts';

const capacity = { memoryBytes: 1000, milliCpu: 2000, replicas: 10 };
const host = { capabilities: ['ssd'], gpu: false };
const candidate = (manifest: object = {}, rest: Partial<Candidate> = {}): Candidate => ({
  manifest: Manifest.parse({ api: 1, name: 'hello', version: '1.0.0', kind: 'agent', capabilities: {}, ...manifest }),
  demand: { memoryBytes: 100, milliCpu: 0 },
  limits: { memoryBytes: 100, milliCpu: 0, storageBytes: 0 },
  publisher: 'acme',
  replicas: 1,
  sequence: 5,
  floor: 0,
  rollback: false,
  ...rest,
});
const refusal = (manifest: object, rest?: Partial<Candidate>, on = host) => {
  const admission = admit(candidate(manifest, rest), on, capacity);
  return admission.kind === 'refused' ? [admission.fault.code, admission.fault.detail] : ['admitted'];
};

test('a plain bundle is admitted, with reasons', () => {
  expect(admit(candidate(), host, capacity)).toEqual({ kind: 'admitted', reasons: ['sequence 5 (floor 0)'] });
});

test('what the instance lacks is named, and what it offers', () => {
  expect(refusal({ requires: { capabilities: ['ssd', 'lidar'] } })).toEqual([
    'requirement-unmet',
    'hello@1.0.0: requires.capabilities: lidar not offered here; this instance offers ssd',
  ]);
  expect(refusal({ requires: { gpu: true } })[0]).toBe('requirement-unmet');
  expect(refusal({ resources: { gpu: '1' } })[0]).toBe('requirement-unmet');
  expect(refusal({ resources: { gpu: 0 } })).toEqual(['admitted']);
  expect(refusal({ requires: { gpu: true, capabilities: ['gpu'] } }, {}, { capabilities: [], gpu: true })).toEqual([
    'admitted',
  ]);
  expect(refusal({ requires: { gpu: true } }, {}, { capabilities: ['gpu'], gpu: false })).toEqual(['admitted']);
});

describe('subjects that are nobody’s', () => {
  test.each([
    [{ grants: { publish: ['orders.created', 'cim.v1.cmd.x.drain'] } }, 'grants.publish[1]'],
    [{ grants: { publish: ['>'] } }, 'grants.publish[0]'],
    [{ grants: { publish: ['*.created'] } }, 'grants.publish[0]'],
    [{ grants: { publish: ['$JS.API.STREAM.DELETE.X'] } }, 'grants.publish[0]'],
    [{ grants: { publish: ['_INBOX_node_a.x'] } }, 'grants.publish[0]'],
    [{ grants: { publish: ['cim.v1.evt.a.b.c.d'] } }, 'grants.publish[0]'],
    [{ grants: { subscribe: ['cim.v1.call.>'] } }, 'grants.subscribe[0]'],
    [{ subscribe: ['$SYS.>'] }, 'subscribe[0]'],
  ])('%j', (manifest, path) => {
    const [code, detail] = refusal(manifest);
    expect(code).toBe('policy-refused');
    expect(detail).toContain(path);
  });
  test('own subjects and listening to events are allowed', () => {
    expect(
      refusal({ grants: { publish: ['orders.>'], subscribe: ['cim.v1.evt.>'] }, subscribe: ['orders.*.created'] }),
    ).toEqual(['admitted']);
  });
});

test('what the policy does not allow is refused, every excess named', () => {
  const admission = admit(candidate({ grants: { publish: ['a.b', 'c.d'], secrets: ['root'] } }), host, capacity, {
    publish: ['a.>'],
    secrets: [],
  });
  expect(admission.kind === 'refused' && [admission.fault.code, admission.fault.detail]).toEqual([
    'policy-refused',
    'hello@1.0.0: grants.publish[1]: "c.d" is not within policy.publish [a.>]; grants.secrets[0]: "root" is not in policy.secrets []',
  ]);
  expect(admit(candidate({ grants: { publish: ['a.b'] } }), host, capacity, { publish: ['a.>'] }).kind).toBe('admitted');
});

test('an older sequence needs a rollback', () => {
  expect(refusal({}, { floor: 6 })[0]).toBe('sequence-rollback');
  expect(refusal({}, { floor: 6, rollback: true })).toEqual(['admitted']);
  expect(refusal({}, { floor: 5 })).toEqual(['admitted']);
});

test('what can never fit is refused with the amounts', () => {
  expect(refusal({}, { demand: { memoryBytes: 400, milliCpu: 0 }, replicas: 3 })).toEqual([
    'resources-exhausted',
    'hello@1.0.0: memory: asks for 1200, 1kB of 1kB left',
  ]);
  expect(shortOf({ memoryBytes: 0, milliCpu: 1500 }, 1, { memoryBytes: 5000, milliCpu: 1000, replicas: 3 }, capacity)).toBe(
    'cpu: asks for 1500m, 1 of 2 left',
  );
  expect(shortOf({ memoryBytes: 0, milliCpu: 0 }, 1, { memoryBytes: 0, milliCpu: 0, replicas: 10 }, capacity)).toContain(
    'replicas',
  );
});
