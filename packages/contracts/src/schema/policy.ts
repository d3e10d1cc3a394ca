/**
 * The policy of an instance: what workloads may ask for here, whoever signed them. A bound that is absent bounds nothing.
 */
import { z } from 'zod';
import { CapabilityPattern, SecretName, SubjectPattern } from '../ids.ts';
import { Bytes, Cpu } from '../quantity.ts';

/** A host a guest may speak to: exact, all below one (`*.example.org`), or any (`*`). */
export const HostPattern = z
  .string()
  .max(253)
  .regex(
    /^(?:\*|(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:]+\])$/,
    'expected a host such as "api.example.org", all below one as "*.example.org", or "*"',
  );

const subjects = z.array(SubjectPattern).max(256);
const bounds = {
  publish: subjects
    .optional()
    .describe('Subjects a workload may be granted to publish to; each pattern asked for must lie within one.'),
  subscribe: subjects.optional().describe('Subjects a workload may listen to, likewise.'),
  call: z.array(CapabilityPattern).max(256).optional().describe('Capabilities a workload may call, likewise.'),
  offer: z.array(CapabilityPattern).max(256).optional().describe('Capabilities a workload may offer here, likewise.'),
  egress: z.array(HostPattern).max(256).optional().describe('Hosts a workload may fetch from. Empty: none.'),
  secrets: z.array(SecretName).max(256).optional().describe('Secrets a workload may be granted, by name. Empty: none.'),
  kv: z.boolean().optional().describe('Whether a workload may have a key-value bucket on this instance.'),
  memory: Bytes.optional().describe('Memory one replica may ask for.'),
  cpu: Cpu.optional().describe('Cores one replica may ask for.'),
  storage: Bytes.optional().describe('Storage one workload may ask for.'),
  replicas: z.number().int().min(0).max(64).optional().describe('Replicas of one workload.'),
  deny: z
    .strictObject({
      publish: subjects.default([]).describe('Subjects no workload may publish to; a pattern that could reach one is refused.'),
      subscribe: subjects.default([]).describe('Subjects no workload may listen to, likewise.'),
      call: z.array(CapabilityPattern).max(256).default([]).describe('Capabilities no workload may call, likewise.'),
    })
    .optional()
    .describe('What nobody gets, whatever is allowed above.'),
};

export const PolicyBounds = z.strictObject(bounds);
export type PolicyBounds = z.infer<typeof PolicyBounds>;

export const Policy = z.strictObject({
  ...bounds,
  publishers: z
    .record(z.string().min(1).max(100), PolicyBounds)
    .optional()
    .describe('Further bounds for one publisher, by the name it has under trust.publishers. Both must allow.'),
});
export type Policy = z.infer<typeof Policy>;
