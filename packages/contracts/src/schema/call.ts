/**
 * A call on the wire: JSON in, JSON out, the rest in headers. Failures answer with a problem document and the two headers of the
 * NATS services protocol (ADR-32), so that the plain `nats` command shows them.
 */
import { z } from 'zod';

/** Milliseconds the caller still waits: a length and not an instant, since clocks differ between machines. */
export const TIMEOUT_HEADER = 'Cim-Timeout-Ms';
export const CALL_ID_HEADER = 'Cim-Call-Id';
export const CORRELATION_HEADER = 'Cim-Correlation-Id';
export const TRACEPARENT_HEADER = 'traceparent';
/** On a reply: which instance, workload and version answered. */
export const SERVED_BY_HEADER = 'Cim-Served-By';
export const ERROR_CODE_HEADER = 'Nats-Service-Error-Code';
export const ERROR_HEADER = 'Nats-Service-Error';

/** Most a caller may wait, ms. */
export const LONGEST_CALL_MS = 3_600_000;
/** What a call that says nothing waits, ms. */
export const DEFAULT_CALL_MS = 30_000;

/** Queue group of every call subject: one of the offering instances answers. */
export const CALL_QUEUE = 'cim';

/** Answer of a node to `cim.v1.cmd.<instance>.probe`. */
export const ProbeReply = z.object({
  instance: z.string(),
  phase: z.string(),
  health: z.string(),
  at: z.iso.datetime(),
});
export type ProbeReply = z.infer<typeof ProbeReply>;

/** Request of the `check` command: what an operator or `alchemist doctor` asks about one workload. */
export const CheckRequest = z.strictObject({
  workload: z.string().optional(),
  checks: z.array(z.enum(['connectivity', 'resources', 'permissions', 'dependencies'])).min(1),
});
export type CheckRequest = z.infer<typeof CheckRequest>;

export const CheckResult = z.object({
  check: z.string(),
  result: z.enum(['pass', 'warn', 'fail']),
  evidence: z.string(),
  fix: z.string().optional(),
});
export type CheckResult = z.infer<typeof CheckResult>;
export const CheckReply = z.object({ instance: z.string(), results: z.array(CheckResult) });
export type CheckReply = z.infer<typeof CheckReply>;

export const DrainReply = z.object({ instance: z.string(), phase: z.string() });
