/**
 * Events: CloudEvents 1.0 in structured JSON (cloudevents/spec v1.0.2, NATS binding), with correlation as extensions.
 * `type` carries no ids, so that it can be a metric label; ids are in `subject` and in the NATS subject.
 */
import { z } from 'zod';
import { EventType, newId } from '../ids.ts';

export const CimEvent = z.looseObject({
  specversion: z.literal('1.0'),
  id: z.string().min(1).max(64),
  source: z.string().min(1).max(300).describe('cim://<instance>/<part>'),
  type: EventType,
  subject: z.string().max(300).optional(),
  time: z.iso.datetime(),
  datacontenttype: z.literal('application/json').optional(),
  data: z.unknown(),
  ciminstance: z.string(),
  correlationid: z.string(),
  causationid: z.string(),
});
export type CimEvent = z.infer<typeof CimEvent>;

export interface EventInput {
  readonly instance: string;
  /** The part that speaks, e.g. `node-agent` or a workload's name. */
  readonly part: string;
  readonly type: string;
  readonly subject?: string;
  readonly data: unknown;
  readonly correlationId?: string;
  readonly causationId?: string;
}

/** A new event; the root of a chain has all three ids equal. @param now ms since 1970 */
export function cimEvent(input: EventInput, now: number): CimEvent {
  const id = newId();
  return {
    specversion: '1.0',
    id,
    source: `cim://${input.instance}/${input.part}`,
    type: EventType.parse(input.type),
    ...(input.subject === undefined ? {} : { subject: input.subject }),
    time: new Date(now).toISOString(),
    datacontenttype: 'application/json',
    data: input.data,
    ciminstance: input.instance,
    correlationid: input.correlationId ?? id,
    causationid: input.causationId ?? id,
  };
}

/** What the product itself says; a workload may not use these entities (see `reservedEntities`). */
export const eventTypes = {
  'node.started': 'A node-agent came up; data says whether the hub was reachable.',
  'node.stopped': 'A node-agent went down in order.',
  'node.hub-lost': 'The hub stopped answering.',
  'node.hub-found': 'The hub answers again.',
  'node.limit-hit': 'A cell went over a limit and was ended.',
  'bundle.fetched': 'A bundle was pulled and verified.',
  'bundle.refused': 'A bundle was refused; data has the code.',
  'bundle.channel-set': 'A channel of a bundle was pointed at a version at the registry.',
  'bundle.attested': 'Build provenance of a published version was stored at the registry.',
  'bundle.published': 'A bundle was published at the registry.',
  'token.created': 'A token was made at the registry.',
  'token.revoked': 'A token was revoked at the registry.',
  'instance.enrolment-ordered': 'An enrolment token was ordered for an instance.',
  'instance.token-used': 'A key of an instance took its enrolment token.',
  'instance.enrolled': 'An instance was given its first credential.',
  'instance.renewed': 'An instance was given its next credential.',
  'instance.revoked': 'An instance is given no more credentials.',
  'agent.deployed': 'An agent answers in the version asked for.',
  'agent.starting': 'An agent is being started.',
  'agent.draining': 'An agent, or an old version of it, is draining.',
  'agent.removed': 'An agent was removed.',
  'agent.restarted': 'An agent was restarted after an exit.',
  'agent.limit-hit': 'An agent ran into a limit; data names it, with how often since the last such event.',
  'agent.failed': 'An agent could not start or gave up restarting.',
  'service.deployed': 'A service answers in the version asked for.',
  'service.starting': 'A service is being started.',
  'service.draining': 'A service, or an old version of it, is draining.',
  'service.removed': 'A service was removed.',
  'service.restarted': 'A service was restarted after an exit.',
  'service.limit-hit': 'A service ran into a limit; data names it, with how often since the last such event.',
  'service.failed': 'A service could not start or gave up restarting.',
  'desired.changed': 'A desired document was written at the registry.',
  'desired.refused': 'A node refused a desired document and keeps the last good one.',
  'trust.published': 'A trust document was written at the registry.',
  'trust.changed': 'A node took in a trust document.',
  'trust.refused': 'A node refused a trust document and keeps the last good one.',
  'trust.log-broken': 'A node saw a transparency log that is not what it was, and takes in no new bundle.',
  'trust.log-whole': 'The transparency log is again what a node knew.',
} as const;

/** First tokens of event types that only the product may emit. */
export const reservedEntities: ReadonlySet<string> = new Set([
  ...Object.keys(eventTypes).map((type) => type.split('.')[0]!),
  'domain',
  'workflow',
  'graph',
  'rollout',
  'error',
  'audit',
]);

/** One line of a workload's log. */
export const LogLine = z.object({
  time: z.iso.datetime(),
  instance: z.string(),
  kind: z.string(),
  workload: z.string(),
  version: z.string(),
  replica: z.number().int(),
  level: z.enum(['debug', 'info', 'warn', 'error']),
  message: z.string(),
  fields: z.record(z.string(), z.unknown()).default({}),
});
export type LogLine = z.infer<typeof LogLine>;
