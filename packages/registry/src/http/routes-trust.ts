/** Rows of the route table about trust: the trust document, the transparency log, build provenance. */
import { Attestation, ChainHead, TrustRecord, Version, WorkloadName } from '@cim/contracts';
import { z } from 'zod';
import { permissions } from './permissions.ts';
import { Reason, type RouteRow, raw, wholeNumber } from './route.ts';
import { LINES_MEDIA_TYPE, MOST_ENTRIES } from './routes-access.ts';

const Stored = z.object({
  revision: z.number().int(),
  record: TrustRecord,
});
const OneVersion = z.object({ name: WorkloadName, version: Version });

export const trustRoutes = {
  trust: {
    method: 'GET',
    url: '/api/v1/trust',
    permission: permissions.trust,
    tag: 'trust',
    summary: 'The trust document: publishers added, keys and bundles revoked, with the signatures of operators',
    schema: { response: { 200: Stored } },
  },
  putTrust: {
    method: 'PUT',
    url: '/api/v1/trust',
    permission: permissions.putTrust,
    tag: 'trust',
    summary: 'Publish a trust document that enough operators signed; nodes take it in within moments',
    schema: {
      querystring: z.object({ dryRun: z.enum(['true', 'false']).optional().describe('Check and write nothing.') }),
      headers: z.looseObject({ 'cim-reason': Reason }),
      body: TrustRecord,
      response: { 200: Stored.extend({ changed: z.boolean().describe('False when this very document stands already.') }) },
    },
  },
  log: {
    method: 'GET',
    url: '/api/v1/log',
    permission: permissions.log,
    tag: 'trust',
    summary: 'Entries of the transparency log, one JSON document a line, oldest first; an empty answer is the end',
    schema: {
      querystring: z.object({
        after: z
          .string()
          .regex(/^\d{1,15}$/, 'expected a sequence number')
          .optional()
          .describe('Begin after this entry. Default 0: with the first.'),
        limit: wholeNumber(MOST_ENTRIES).describe(`Most entries. Default and most ${MOST_ENTRIES}.`),
      }),
      response: { 200: raw(LINES_MEDIA_TYPE, 'One entry a line.') },
    },
  },
  logHead: {
    method: 'GET',
    url: '/api/v1/log/head',
    permission: permissions.logHead,
    tag: 'trust',
    summary: 'Where the transparency log ends, and the key that signs it here',
    schema: { response: { 200: z.object({ head: ChainHead.nullable(), key: z.string().nullable() }) } },
  },
  provenance: {
    method: 'GET',
    url: '/api/v1/catalog/:name/versions/:version/provenance',
    permission: permissions.provenance,
    tag: 'trust',
    summary: 'Build provenance and bill of materials of a version',
    schema: { params: OneVersion, response: { 200: Attestation } },
  },
  putProvenance: {
    method: 'PUT',
    url: '/api/v1/catalog/:name/versions/:version/provenance',
    permission: permissions.putProvenance,
    tag: 'trust',
    summary: 'Store build provenance of a version whose signed statement names it',
    schema: {
      params: OneVersion,
      headers: z.looseObject({ 'cim-reason': Reason }),
      body: Attestation,
      response: { 200: z.object({ created: z.boolean() }) },
    },
  },
} as const satisfies Record<string, RouteRow>;
