/**
 * What the handlers stand on: the typed fastify, a row of the route table as fastify wants it, and who asks.
 */
import { Fault, Problem } from '@cim/contracts';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyRequest,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
  RawServerDefault,
} from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Actor } from '../audit.ts';
import type { Caller, Need } from '../auth.ts';
import type { RouteRow } from './routes.ts';

export type App = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression<RawServerDefault>,
  RawReplyDefaultExpression<RawServerDefault>,
  FastifyBaseLogger,
  ZodTypeProvider
>;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may ask; a route without it is open (docs page, not found). */
    readonly need?: Need;
  }
  interface FastifyRequest {
    /** Known once the token has been looked at; undefined for strangers. */
    caller: Caller | undefined;
    /** True when a token was sent, good or not. */
    tokenGiven: boolean;
  }
}

/** A row of the route table as options of `app.route`. */
export function at<R extends RouteRow>(row: R) {
  const { method, url, need, tag, summary } = row;
  const schema = {
    ...row.schema,
    // For the description alone: faults go around the schema of a good answer.
    response: { ...row.schema.response, default: Problem },
    tags: [tag],
    summary: `${summary}${need === 'open' ? '' : ` [${need}]`}`,
    ...(need === 'open' ? {} : { security: [{ token: [] }] }),
  };
  return { method, url, config: { need }, schema: schema as unknown as R['schema'] };
}

/** Who asks for a change. Only behind a route that needs a token. */
export function actorOf(request: FastifyRequest): Actor {
  if (!request.caller) throw new Fault('unauthenticated', 'this change needs a token');
  const reason = request.headers['cim-reason'];
  return { caller: request.caller, requestId: request.id, reason: typeof reason === 'string' ? reason : undefined };
}
