/**
 * The one place where what went wrong becomes an answer: a problem document (RFC 9457) with the request's id.
 */
import { Fault, fieldIssues, type Logger } from '@cim/contracts';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';

/** Retry-After of faults that a while may mend, seconds. */
const LATER_S = '2';

const PREFIX: Readonly<Record<string, string>> = { querystring: 'query', params: 'path', headers: 'header' };

/**
 * Checks a part of a request with its zod schema; what is wrong is a fault with the path of every field.
 * Used as fastify's validator compiler.
 */
export function validator({ schema, httpPart }: { schema: z.ZodType; httpPart?: string | undefined }) {
  const part = httpPart === undefined ? '' : (PREFIX[httpPart] ?? '');
  return (data: unknown) => {
    const parsed = schema.safeParse(data);
    if (parsed.success) return { value: parsed.data };
    const issues = fieldIssues(parsed.error).map(({ path, message }) => ({
      path: part === '' ? path : path === '(whole)' ? part : `${part}.${path}`,
      message,
    }));
    const listed = issues.slice(0, 5).map(({ path, message }) => `${path}: ${message}`);
    const more = issues.length > 5 ? ` (and ${issues.length - 5} more)` : '';
    return { error: new Fault('invalid-input', `${listed.join('; ')}${more}`, { issues }) };
  };
}

/** Anything thrown, as a fault. Fastify's own refusals of a request keep their meaning. */
export function faultOf(error: unknown): Fault {
  if (error instanceof Fault) return error;
  const { code = '', statusCode = 500, message = '' } = (error ?? {}) as Partial<FastifyError>;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new Fault('too-large', 'the body is larger than limits.maxBody', { cause: error });
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return new Fault('invalid-input', `header.content-type: ${message}`, {
      cause: error,
      issues: [{ path: 'header.content-type', message }],
    });
  if (statusCode >= 400 && statusCode < 500) return new Fault('invalid-input', message, { cause: error });
  return Fault.of(error);
}

/** Faults of this server's own that say nothing of its inside: what the caller may know of why. */
const TELLING: ReadonlySet<string> = new Set(['overloaded', 'unsupported', 'deadline-exceeded']);

/** What a stranger may read: of what went wrong inside, no more than its kind and where the log has the rest. Pure. */
function toldFault(fault: Fault, requestId: string): Fault {
  if (fault.row.status < 500 || TELLING.has(fault.code)) return fault;
  return new Fault(
    fault.code,
    `${fault.row.title.toLowerCase()}; the log of the registry has the cause under request ${requestId}`,
  );
}

export function answerFault(log: Logger, error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const fault = faultOf(error);
  const { status, retry } = fault.row;
  if (status >= 500) {
    const shown = { requestId: request.id, code: fault.code, error: fault.message, cause: String(fault.cause ?? '') };
    if (fault.code === 'internal')
      log.error({ ...shown, stack: (fault.cause as Error | undefined)?.stack }, 'a request failed');
    else log.warn(shown, 'a request could not be served');
  }
  if (retry === 'later' && !reply.hasHeader('retry-after')) reply.header('retry-after', LATER_S);
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  // A raw string: the answer must not go through the schema of a good one.
  reply
    .status(status)
    .type('application/problem+json')
    .serializer(String)
    .send(JSON.stringify(toldFault(fault, request.id).toProblem(request.id)));
}
