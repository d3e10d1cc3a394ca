/**
 * THE route table: every path the registry answers, and what goes in and out. Handlers, authorization (permissions.ts), `/openapi.json`,
 * docs/api.md and the tests of all of them derive from the row.
 */
import {
  CatalogEntry,
  ChannelEntry,
  ChannelNameSchema,
  CimEvent,
  Condition,
  DesiredRecord,
  Digest,
  InstanceId,
  NodeStatus,
  TokenScope,
  Version,
  WorkloadKind,
  WorkloadName,
  WorkloadStatus,
} from '@cim/contracts';
import { z } from 'zod';
import { permissions } from './permissions.ts';
import { Reason, type RouteRow, raw, wholeNumber } from './route.ts';
import { accessRoutes } from './routes-access.ts';
import { identityRoutes } from './routes-identity.ts';
import { trustRoutes } from './routes-trust.ts';

/** Media type of a bundle's bytes. */
export const BUNDLE_MEDIA_TYPE = 'application/vnd.cim.bundle';

const Named = z.object({ name: WorkloadName });

const Published = z.object({
  name: WorkloadName,
  version: Version,
  kind: WorkloadKind,
  digest: Digest,
  size: z.number().int().describe('Bytes.'),
  sequence: z.number().int(),
  created: z.boolean().describe('False when these very bytes were published as this version before.'),
});

const CatalogItem = z.object({
  name: WorkloadName,
  kind: WorkloadKind,
  description: z.string().optional(),
  versions: z
    .array(
      z.object({
        version: Version,
        digest: Digest,
        size: z.number().int().describe('Bytes.'),
        publishedAt: z.iso.datetime(),
        publishedBy: z.string(),
      }),
    )
    .readonly()
    .describe('Highest version first.'),
  channels: z.record(z.string(), Version).readonly().describe('Channel to version.'),
});

const DesiredIds = z.object({ instance: InstanceId, kind: WorkloadKind, name: WorkloadName });
const Stored = z.object({
  revision: z.number().int().describe('What `If-Match` names; 0 for a dry run of a new document.'),
  record: DesiredRecord,
});

const Presence = z
  .enum(['online', 'unknown'])
  .describe('unknown: its heartbeat is gone, so nobody can say; its last status is shown with its age.');

const NodeView = z.object({
  instance: InstanceId,
  presence: Presence,
  ageSeconds: z.number().nullable().describe('Age of the status; null when none was ever heard.'),
  status: NodeStatus.nullable(),
});

const WorkloadView = z.object({
  instance: InstanceId,
  kind: WorkloadKind,
  name: WorkloadName,
  presence: Presence,
  desired: z
    .object({
      version: Version,
      digest: Digest,
      replicas: z.number().int(),
      generation: z.number().int(),
      state: z.enum(['running', 'removed']),
      revision: z.number().int(),
    })
    .nullable(),
  observed: WorkloadStatus.nullable(),
  converged: z.boolean().describe('True when the node, heard within its heartbeat, says that this generation is as asked.'),
});

/** `since`: an ISO time, or a sequence after which to begin. */
const Since = z
  .string()
  .max(40)
  .refine(
    (text) => /^\d{1,15}$/.test(text) || z.iso.datetime({ offset: true }).safeParse(text).success,
    'expected an ISO time such as "2026-01-31T12:00:00Z" or a sequence number',
  )
  .describe('Begin at this ISO time, or after this sequence.');

const EventQuery = z.object({
  instance: z
    .union([InstanceId, z.literal('hub')])
    .optional()
    .describe('Only this instance; "hub" for what the registry itself says.'),
  pattern: z.string().min(1).max(255).optional().describe('e.g. "agent.*.deployed" (entity, id, event) or "error.*".'),
  since: Since.optional(),
});

const Health = z.object({
  status: z.enum(['healthy', 'degraded', 'unhealthy']),
  hub: z.enum(['reachable', 'unreachable']),
  ready: z.boolean(),
  version: z.string(),
  conditions: z.array(Condition).readonly(),
});

export const routes = {
  publish: {
    method: 'POST',
    url: '/api/v1/bundles',
    permission: permissions.publish,
    tag: 'catalog',
    summary: 'Publish a bundle: its bytes as the body, its signed statement as a header',
    schema: {
      querystring: z.object({ channel: ChannelNameSchema.optional().describe('Set this channel to the version afterwards.') }),
      headers: z.looseObject({
        'cim-envelope': z
          .string({ error: 'expected the header "Cim-Envelope: base64(JSON of the DSSE envelope)"' })
          .max(131_072)
          .describe('base64 of the JSON of the DSSE envelope.'),
        'cim-reason': Reason,
      }),
      response: { 200: Published, 201: Published },
    },
  },
  bytes: {
    method: 'GET',
    url: '/api/v1/bundles/:digest',
    permission: permissions.bytes,
    tag: 'catalog',
    summary: 'Bytes of a bundle',
    schema: { params: z.object({ digest: Digest }), response: { 200: raw(BUNDLE_MEDIA_TYPE, 'The bytes.') } },
  },
  catalog: {
    method: 'GET',
    url: '/api/v1/catalog',
    permission: permissions.catalog,
    tag: 'catalog',
    summary: 'All that is published',
    schema: { response: { 200: z.object({ bundles: z.array(CatalogItem).readonly() }) } },
  },
  catalogItem: {
    method: 'GET',
    url: '/api/v1/catalog/:name',
    permission: permissions.catalogItem,
    tag: 'catalog',
    summary: 'One name with its versions and channels',
    schema: { params: Named, response: { 200: CatalogItem } },
  },
  resolve: {
    method: 'GET',
    url: '/api/v1/catalog/:name/resolve',
    permission: permissions.resolve,
    tag: 'catalog',
    summary: 'The version that a reference means, with manifest and signed statement',
    schema: {
      params: Named,
      querystring: z.object({
        ref: z
          .string()
          .min(1)
          .max(128)
          .optional()
          .describe('Exact version, channel or semver range. Absent: channel "stable", else the highest release.'),
      }),
      response: { 200: CatalogEntry },
    },
  },
  setChannel: {
    method: 'PUT',
    url: '/api/v1/catalog/:name/channels/:channel',
    permission: permissions.setChannel,
    tag: 'catalog',
    summary: 'Point a channel at a version',
    schema: {
      params: z.object({ name: WorkloadName, channel: ChannelNameSchema }),
      headers: z.looseObject({ 'cim-reason': Reason }),
      body: z.strictObject({ version: Version }),
      response: { 200: ChannelEntry },
    },
  },
  desiredList: {
    method: 'GET',
    url: '/api/v1/desired',
    permission: permissions.desiredList,
    tag: 'desired',
    summary: 'Desired documents',
    schema: { querystring: DesiredIds.partial(), response: { 200: z.object({ desired: z.array(Stored).readonly() }) } },
  },
  desired: {
    method: 'GET',
    url: '/api/v1/desired/:instance/:kind/:name',
    permission: permissions.desired,
    tag: 'desired',
    summary: 'One desired document; its revision also as ETag',
    schema: { params: DesiredIds, response: { 200: Stored } },
  },
  putDesired: {
    method: 'PUT',
    url: '/api/v1/desired/:instance/:kind/:name',
    permission: permissions.putDesired,
    tag: 'desired',
    summary: 'Change a desired document if it still is as it was seen',
    schema: {
      params: DesiredIds,
      querystring: z.object({ dryRun: z.enum(['true', 'false']).optional().describe('Check and write nothing.') }),
      headers: z.looseObject({
        'if-match': z
          .string()
          .regex(/^"[1-9]\d{0,15}"$/, 'expected a revision in quotes, e.g. "7"')
          .optional()
          .describe('The revision seen, in quotes.'),
        'if-none-match': z.literal('*', { error: 'expected *' }).optional().describe('`*`: there must be none yet.'),
        'cim-reason': Reason,
      }),
      body: DesiredRecord,
      response: { 200: Stored },
    },
  },
  nodes: {
    method: 'GET',
    url: '/api/v1/nodes',
    permission: permissions.nodes,
    tag: 'fleet',
    summary: 'All instances and what each last said of itself',
    schema: { response: { 200: z.object({ nodes: z.array(NodeView).readonly() }) } },
  },
  node: {
    method: 'GET',
    url: '/api/v1/nodes/:instance',
    permission: permissions.node,
    tag: 'fleet',
    summary: 'One instance',
    schema: { params: z.object({ instance: InstanceId }), response: { 200: NodeView } },
  },
  workloads: {
    method: 'GET',
    url: '/api/v1/workloads',
    permission: permissions.workloads,
    tag: 'fleet',
    summary: 'Workloads: what is asked for beside what is',
    schema: {
      querystring: z.object({ instance: InstanceId.optional() }),
      response: { 200: z.object({ workloads: z.array(WorkloadView).readonly() }) },
    },
  },
  events: {
    method: 'GET',
    url: '/api/v1/events',
    permission: permissions.events,
    tag: 'events',
    summary: 'Events of the fleet: from `since` on, or the newest; oldest first',
    schema: {
      querystring: EventQuery.extend({ limit: wholeNumber(1000).describe('Most events. Default 100, at most 1000.') }),
      response: {
        200: z.object({ events: z.array(z.object({ sequence: z.number().int(), event: CimEvent })).readonly() }),
      },
    },
  },
  eventStream: {
    method: 'GET',
    url: '/api/v1/events/stream',
    permission: permissions.eventStream,
    tag: 'events',
    summary: 'Events as they happen (server-sent events); Last-Event-ID resumes',
    schema: {
      querystring: EventQuery,
      headers: z.looseObject({
        'last-event-id': z
          .string()
          .regex(/^\d{1,15}$/, 'expected the id of the last event that was seen')
          .optional()
          .describe('The id of the last event seen; goes before `since`.'),
      }),
      response: {
        200: raw('text/event-stream', '`id` is the sequence, `event` the type, `data` the CloudEvent as JSON.'),
      },
    },
  },
  whoami: {
    method: 'GET',
    url: '/api/v1/whoami',
    permission: permissions.whoami,
    tag: 'process',
    summary: 'Whose token this is',
    schema: {
      response: {
        200: z.object({
          name: z.string(),
          roles: z.array(z.string()).readonly(),
          scope: TokenScope.optional(),
          expiresAt: z.string().optional(),
        }),
      },
    },
  },
  health: {
    method: 'GET',
    url: '/health',
    permission: permissions.health,
    tag: 'process',
    summary: '200 when healthy or degraded, 503 when not, with every condition',
    schema: { response: { 200: Health, 503: Health } },
  },
  live: {
    method: 'GET',
    url: '/health/live',
    permission: permissions.live,
    tag: 'process',
    summary: '200 while the process answers',
    schema: { response: { 200: z.object({ live: z.literal(true) }) } },
  },
  ready: {
    method: 'GET',
    url: '/health/ready',
    permission: permissions.ready,
    tag: 'process',
    summary: '200 when requests can be answered',
    schema: { response: { 200: z.object({ ready: z.boolean() }), 503: z.object({ ready: z.boolean() }) } },
  },
  metrics: {
    method: 'GET',
    url: '/metrics',
    permission: permissions.metrics,
    tag: 'process',
    summary: 'Metrics in the Prometheus text format',
    schema: { response: { 200: raw('text/plain', 'Prometheus text format.') } },
  },
  openapi: {
    method: 'GET',
    url: '/openapi.json',
    permission: permissions.openapi,
    tag: 'process',
    summary: 'This description',
    schema: {
      response: {
        200: z.looseObject({ openapi: z.string(), paths: z.record(z.string(), z.unknown()) }).describe('OpenAPI 3.1.'),
      },
    },
  },
  ...accessRoutes,
  ...identityRoutes,
  ...trustRoutes,
} as const satisfies Record<keyof typeof permissions, RouteRow>;
