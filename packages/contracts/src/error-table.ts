/**
 * THE error table: every code a process of CIM may answer with, and for each the status, whether trying again helps, who can mend it,
 * and what to do. A code is never reused for another meaning. docs/errors.md is generated from here.
 */

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
