/**
 * THE error table and the one class that carries a row of it.
 *
 * Promises:
 * F1. Every fault that leaves a process has a code of this table; a code is never reused for another meaning.
 * F2. A row says who can mend it, whether trying again helps, and what to do: the text a person at 3 a.m. reads.
 * F3. `detail` is for people and carries no secret; `cause` never crosses a process border.
 * Wire form: problem details, RFC 9457.
 */
import { z } from 'zod';

/** Whether trying the same again can help: never, at once, or after a while. */
export type Retry = 'no' | 'now' | 'later';
/** Who can mend it. */
export type Whose = 'caller' | 'author' | 'operator' | 'node' | 'hub';

export interface ErrorRow {
  readonly status: number;
  readonly retry: Retry;
  readonly whose: Whose;
  readonly title: string;
  readonly advice: string;
}

const row = (status: number, retry: Retry, whose: Whose, title: string, advice: string): ErrorRow => ({
  status,
  retry,
  whose,
  title,
  advice,
});

export const errorTable = {
  'invalid-input': row(
    400,
    'no',
    'caller',
    'The input is not what was expected',
    'Mend the fields named under "errors" and send it again.',
  ),
  unauthenticated: row(
    401,
    'no',
    'caller',
    'No valid token was given',
    'Send "Authorization: Bearer <token>" with a token of this registry.',
  ),
  forbidden: row(
    403,
    'no',
    'operator',
    'The token does not allow this',
    'Ask an admin of the registry for a token with the role named.',
  ),
  'not-found': row(
    404,
    'no',
    'caller',
    'There is no such thing',
    'List what exists: alchemist status, nodes, workloads or the catalog.',
  ),
  conflict: row(
    409,
    'no',
    'caller',
    'It exists with other content',
    'A published version never changes: raise the version and publish again.',
  ),
  'revision-conflict': row(
    409,
    'now',
    'caller',
    'Someone else changed it first',
    'Read it again, look at what changed, then apply your change to that.',
  ),
  'too-large': row(
    413,
    'no',
    'caller',
    'It is larger than allowed',
    'Make it smaller, or raise the limit named in the configuration.',
  ),
  'rate-limited': row(429, 'later', 'caller', 'Too many requests', 'Wait as long as Retry-After says.'),
  'digest-mismatch': row(
    422,
    'now',
    'hub',
    'The bytes are not those the digest names',
    'Send or fetch them again; when it repeats, the store or the link corrupts data.',
  ),
  'signature-invalid': row(
    422,
    'no',
    'author',
    'The signature does not fit',
    'Sign the bundle again with alchemist bundle; never edit a signed file.',
  ),
  'signer-unknown': row(
    403,
    'no',
    'operator',
    'The signer is not trusted here',
    'Add the publisher key to cim.trust.publishers (alchemist keys show), or sign with a trusted key.',
  ),
  'sequence-rollback': row(
    409,
    'no',
    'operator',
    'An older bundle than the one already run',
    'Publish a newer one, or deploy with --rollback to allow the older one knowingly.',
  ),
  'bundle-malformed': row(422, 'no', 'author', 'The bundle is not well formed', 'Build it again with alchemist bundle.'),
  'grant-refused': row(
    403,
    'no',
    'author',
    'The manifest does not grant this',
    'Add the subject, capability or secret named to grants in the definition and publish again.',
  ),
  'policy-refused': row(
    403,
    'no',
    'operator',
    'The policy of the instance does not allow what the manifest asks',
    'Lower what the manifest asks for, or widen the policy of the instance.',
  ),
  'requirement-unmet': row(
    409,
    'no',
    'operator',
    'The instance lacks what the bundle requires',
    'Deploy to an instance that offers it (alchemist nodes), or change requires.',
  ),
  'resources-exhausted': row(
    507,
    'later',
    'operator',
    'The instance has no room for it',
    'Undeploy something, lower resources, or use a larger machine.',
  ),
  'storage-full': row(
    507,
    'later',
    'operator',
    'The disk is full',
    'Free space under the state directory of the node-agent; the version that ran keeps running.',
  ),
  'capability-unknown': row(
    404,
    'later',
    'caller',
    'Nothing offers this capability',
    'See alchemist workloads; deploy a workload that offers it, or check the spelling.',
  ),
  'workload-not-ready': row(
    503,
    'later',
    'node',
    'The workload is not ready',
    'Wait for it, or see alchemist status for the reason.',
  ),
  'workload-draining': row(503, 'now', 'node', 'The workload is draining', 'Send the call again: another replica takes it.'),
  overloaded: row(
    503,
    'later',
    'node',
    'Too many calls are in flight',
    'Slow down, raise configuration.maxConcurrent, or deploy more replicas.',
  ),
  'deadline-exceeded': row(
    504,
    'later',
    'caller',
    'The deadline passed',
    'Allow more time with --timeout, or make the handler faster.',
  ),
  'handler-failed': row(
    500,
    'no',
    'author',
    'The handler threw',
    "Read the stack in the detail and in alchemist logs; it is the bundle's own code.",
  ),
  'output-invalid': row(
    500,
    'no',
    'author',
    'The answer does not fit the output schema',
    'Mend the handler or its output schema and publish again.',
  ),
  'reply-too-large': row(
    500,
    'no',
    'author',
    'The answer is larger than allowed',
    'Answer with less, or store the result and answer with where it is.',
  ),
  'turn-exceeded': row(
    500,
    'no',
    'author',
    'The handler held the thread too long',
    'Yield with await between pieces of work, or raise configuration.turn.',
  ),
  'out-of-memory': row(
    500,
    'later',
    'author',
    'The workload went over its memory limit',
    'Use less memory, or raise resources.memory.',
  ),
  'cell-died': row(
    503,
    'now',
    'node',
    'The process that ran the workload ended',
    'Send the call again; see the restart count and reason in alchemist status.',
  ),
  'start-failed': row(
    500,
    'no',
    'author',
    'The workload did not start',
    'Read the reason in alchemist status; it is thrown by the entry file or by start().',
  ),
  quarantined: row(
    503,
    'no',
    'author',
    'The workload misbehaved too often and is kept off',
    'Publish a mended version; a new version lifts the quarantine.',
  ),
  'kv-failed': row(500, 'later', 'node', 'The key-value store did not answer', "See the leaf's JetStream in alchemist doctor."),
  'secret-missing': row(
    404,
    'no',
    'operator',
    'The secret is not on this instance',
    'Put a file of that name into the secrets directory of the node-agent.',
  ),
  'leaf-unreachable': row(
    503,
    'later',
    'node',
    "The leaf's nats-server does not answer",
    'On the machine: systemctl status nats; journalctl -u nats.',
  ),
  'hub-unreachable': row(
    503,
    'later',
    'hub',
    'The hub does not answer',
    'Local workloads keep running. Check the link and the hub: alchemist doctor.',
  ),
  'instance-unknown': row(
    404,
    'later',
    'caller',
    'No such instance is registered',
    'See alchemist nodes; an instance shows up with its first heartbeat.',
  ),
  'not-confirmed': row(
    504,
    'later',
    'node',
    'The change was not confirmed in time',
    'It is stored and will be applied; see alchemist status for how far it is.',
  ),
  'topology-drift': row(
    503,
    'no',
    'operator',
    'A stream or bucket is not as declared',
    'Compare the fields named; mend it with the nats command or let an empty one be created anew.',
  ),
  unsupported: row(501, 'no', 'caller', 'This is not supported', 'See the documentation for what is.'),
  'configuration-invalid': row(
    500,
    'no',
    'operator',
    'The configuration is not valid',
    'Mend the fields named under "errors"; docs/config.md lists every key.',
  ),
  internal: row(
    500,
    'later',
    'node',
    'Something unexpected went wrong',
    'Look for the request id in the log of the process that answered; please report it.',
  ),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;
export const ErrorCode = z.enum(Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]]);

/** One wrong field: where, what was found, what was expected. */
export interface FieldIssue {
  readonly path: string;
  readonly message: string;
}

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

/** The issues of a zod error as paths a person can find: `workloads[2].name`. */
export function fieldIssues(error: z.ZodError): FieldIssue[] {
  const out: FieldIssue[] = [];
  const visit = (issues: readonly z.core.$ZodIssue[], prefix: readonly PropertyKey[]) => {
    for (const issue of issues) {
      const path = [...prefix, ...issue.path];
      if (issue.code === 'unrecognized_keys') {
        for (const key of issue.keys)
          out.push({ path: pathText([...path, key]), message: 'unknown key; remove it or check its spelling' });
      } else out.push({ path: pathText(path), message: issue.message });
    }
  };
  visit(error.issues, []);
  return out;
}

function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else
      text += /^[A-Za-z_][\w-]*$/.test(String(part))
        ? text === ''
          ? String(part)
          : `.${String(part)}`
        : `[${JSON.stringify(String(part))}]`;
  }
  return text === '' ? '(whole)' : text;
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
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = fieldIssues(parsed.error);
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
