/** Rows of the route table about who may do what, and who did: tokens and the audit log. */
import { ChainHead, TokenId, TokenRequest, TokenView } from '@cim/contracts';
import { z } from 'zod';
import { permissions } from './permissions.ts';
import { Reason, type RouteRow, raw, wholeNumber } from './route.ts';

/** Most entries of the audit log in one answer. */
export const MOST_ENTRIES = 1_000;
/** One JSON document a line. */
export const LINES_MEDIA_TYPE = 'application/x-ndjson';

export const accessRoutes = {
  tokens: {
    method: 'GET',
    url: '/api/v1/tokens',
    permission: permissions.tokens,
    tag: 'access',
    summary: 'Managed tokens, revoked and expired ones too; never a token itself',
    schema: { response: { 200: z.object({ tokens: z.array(TokenView).readonly() }) } },
  },
  createToken: {
    method: 'POST',
    url: '/api/v1/tokens',
    permission: permissions.createToken,
    tag: 'access',
    summary: 'Make a token; this answer is the only place it is ever shown',
    schema: {
      headers: z.looseObject({ 'cim-reason': Reason }),
      body: TokenRequest,
      response: { 201: TokenView.extend({ token: z.string().describe('The token. Keep it: it is not kept here.') }) },
    },
  },
  revokeToken: {
    method: 'DELETE',
    url: '/api/v1/tokens/:id',
    permission: permissions.revokeToken,
    tag: 'access',
    summary: 'Revoke a token, at once and for good',
    schema: {
      params: z.object({ id: TokenId }),
      headers: z.looseObject({ 'cim-reason': Reason }),
      response: { 200: TokenView },
    },
  },
  audit: {
    method: 'GET',
    url: '/api/v1/audit',
    permission: permissions.audit,
    tag: 'access',
    summary: 'Entries of the audit log, one JSON document a line, oldest first; an empty answer is the end',
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
  auditHead: {
    method: 'GET',
    url: '/api/v1/audit/head',
    permission: permissions.auditHead,
    tag: 'access',
    summary: 'Where the audit log ends: what to keep elsewhere to notice a log that was cut or rewritten',
    schema: {
      response: { 200: z.object({ head: ChainHead.nullable(), open: z.number().int().describe('Changes without outcome.') }) },
    },
  },
} as const satisfies Record<string, RouteRow>;
