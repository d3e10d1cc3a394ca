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
import type { Caller } from '../auth.ts';
import { type Permission, whoMay } from './permissions.ts';
import type { RouteRow } from './route.ts';

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
    readonly permission?: Permission;
  }
  interface FastifyRequest {
    /** Known once token or certificate has been looked at; undefined for strangers. */
    caller: Caller | undefined;
    /** True when a token was sent, good or not. */
    proofGiven: boolean;
  }
}

/** A row of the route table as options of `app.route`. */
export function at<R extends RouteRow>(row: R) {
  const { method, url, permission, tag, summary } = row;
  const schema = {
    ...row.schema,
    // For the description alone: faults go around the schema of a good answer.
    response: { ...row.schema.response, default: Problem },
    tags: [tag],
    summary: `${summary}${permission.access === 'open' ? '' : ` [${whoMay(permission)}]`}`,
    security: securityOf(permission),
    'x-cim-roles': permission.access === 'open' ? [] : permission.roles,
    'x-cim-scope': permission.scope,
  };
  return { method, url, config: { permission }, schema: schema as unknown as R['schema'] };
}

/** As OpenAPI says who may: any one of the list; an empty object is nobody in particular. */
function securityOf({ access }: Permission): Record<string, string[]>[] {
  const known = [{ token: [] }, { certificate: [] }];
  return access === 'role' ? known : access === 'here' ? [...known, {}] : [{}];
}

const LONGEST_REASON = 500;

/** @throws Fault `invalid-input` */
function reasonOf(header: string): string {
  const wrong = (message: string) =>
    new Fault('invalid-input', `header.cim-reason: ${message}`, { issues: [{ path: 'header.cim-reason', message }] });
  let text = header;
  if (/^utf-8''/i.test(header)) {
    try {
      text = decodeURIComponent(header.slice("utf-8''".length));
    } catch {
      throw wrong('expected percent-encoded UTF-8');
    }
  }
  if (text.length > LONGEST_REASON) throw wrong(`expected at most ${LONGEST_REASON} characters, found ${text.length}`);
  return text;
}

/** Who asks for a change. Only behind a route that needs a token. */
export function actorOf(request: FastifyRequest): Actor {
  if (!request.caller) throw new Fault('unauthenticated', 'this change needs a token');
  const reason = request.headers['cim-reason'];
  return {
    caller: request.caller,
    requestId: request.id,
    address: request.ip,
    reason: typeof reason === 'string' ? reasonOf(reason) : undefined,
  };
}
