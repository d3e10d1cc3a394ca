/**
 * The one class that carries a row of THE error table (error-table.ts), and the decoders that make one of bad input.
 *
 * Promises:
 * F1. Every fault that leaves a process has a code of this table; a code is never reused for another meaning.
 * F2. A row says who can mend it, whether trying again helps, and what to do: the text a person at 3 a.m. reads.
 * F3. `detail` is for people and carries no secret; `cause` never crosses a process border.
 * Wire form: problem details, RFC 9457.
 */
import { z } from 'zod';
import { type ErrorRow, errorTable } from './error-table.ts';
import { type FieldIssue, fieldIssues } from './field-issues.ts';

export type ErrorCode = keyof typeof errorTable;
export const ErrorCode = z.enum(Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]]);

/** Problem details (RFC 9457), the wire form of a {@link Fault}. `type` is `urn:cim:error:<code>`. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
  code: ErrorCode,
  retry: z.enum(['no', 'now', 'later']),
  advice: z.string(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  requestId: z.string().optional(),
});
export type Problem = z.infer<typeof Problem>;

/** The one error class of the product: a row of {@link errorTable} with the particulars. */
export class Fault extends Error {
  override readonly name = 'Fault';
  readonly code: ErrorCode;
  readonly detail: string;
  readonly issues: readonly FieldIssue[];

  constructor(
    code: ErrorCode,
    detail: string,
    options: { readonly cause?: unknown; readonly issues?: readonly FieldIssue[] } = {},
  ) {
    super(`${code}: ${detail}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = detail;
    this.issues = options.issues ?? [];
  }

  get row(): ErrorRow {
    return errorTable[this.code];
  }

  /** The wire form (F3: no cause, no stack). */
  toProblem(requestId?: string): Problem {
    const { title, status, retry, advice } = this.row;
    return {
      type: `urn:cim:error:${this.code}`,
      title,
      status,
      detail: this.detail,
      code: this.code,
      retry,
      advice,
      ...(this.issues.length > 0 ? { errors: this.issues.map(({ path, message }) => ({ path, message })) } : {}),
      ...(requestId === undefined ? {} : { requestId }),
    };
  }

  /** The fault a problem describes; anything that is no problem of ours becomes `internal`. */
  static fromProblem(value: unknown): Fault {
    const parsed = Problem.safeParse(value);
    if (!parsed.success) return new Fault('internal', 'an answer that is no problem document of CIM');
    const { code, detail, errors } = parsed.data;
    return new Fault(code, detail, errors === undefined ? {} : { issues: errors });
  }

  /** `error` as it is when it is a Fault, else wrapped as `internal` with a detail that gives nothing away. */
  static of(error: unknown, detail = 'unexpected error'): Fault {
    return error instanceof Fault ? error : new Fault('internal', detail, { cause: error });
  }
}

/**
 * `value` as the schema types it.
 * @param what names the thing in the fault's detail, e.g. "manifest"
 * @throws Fault `invalid-input` (or `code`) with every wrong field
 */
export function decode<S extends z.ZodType>(
  schema: S,
  value: unknown,
  what: string,
  code: ErrorCode = 'invalid-input',
): z.output<S> {
  let issues: FieldIssue[];
  try {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    issues = fieldIssues(parsed.error, value);
  } catch (cause) {
    // A value that cannot even be looked at (a getter that throws) is wrong input like any other.
    throw new Fault(code, `${what}: cannot be read`, { cause });
  }
  const listed = issues.slice(0, 5).map(({ path, message }) => `${path}: ${message}`);
  const more = issues.length > 5 ? ` (and ${issues.length - 5} more)` : '';
  throw new Fault(code, `${what}: ${listed.join('; ')}${more}`, { issues });
}

/**
 * JSON text or bytes as the schema types them.
 * @throws Fault `invalid-input` (or `code`) when it is no JSON or a field is wrong
 */
export function decodeJson<S extends z.ZodType>(
  schema: S,
  text: string | Uint8Array,
  what: string,
  code: ErrorCode = 'invalid-input',
): z.output<S> {
  let value: unknown;
  try {
    value = JSON.parse(typeof text === 'string' ? text : new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (error) {
    throw new Fault(code, `${what}: not JSON (${(error as Error).message})`, {
      cause: error,
      issues: [{ path: '(whole)', message: `expected JSON: ${(error as Error).message}` }],
    });
  }
  return decode(schema, value, what, code);
}
