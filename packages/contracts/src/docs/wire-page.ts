/** docs/wire.md: what is said on NATS, what is kept there, and who may say and read it. */
import { crossings } from '../accounts.ts';
import { type Channel, channels, type Party } from '../channels.ts';
import { permissionsOf } from '../permissions.ts';
import { renderBytes, renderDuration } from '../quantity.ts';
import {
  CALL_ID_HEADER,
  CALL_QUEUE,
  CORRELATION_HEADER,
  DEFAULT_CALL_MS,
  ERROR_CODE_HEADER,
  ERROR_HEADER,
  LONGEST_CALL_MS,
  SERVED_BY_HEADER,
  TIMEOUT_HEADER,
  TRACEPARENT_HEADER,
} from '../schema/call.ts';
import { eventTypes } from '../schema/event.ts';
import { rowsAt, streamSubjects, type TopologyRow } from '../topology.ts';
import { block, code, GENERATED, table } from './markdown.ts';
import { shapeOf } from './shape.ts';

const PARTIES: readonly Party[] = ['node', 'registry', 'alchemist'];

export function renderWireDoc(): string {
  return `# Wire

${GENERATED}
CIM speaks NATS and nothing of its own: the plain \`nats\` command can listen, call and look into everything below.

Three parties speak: a *node* (one instance's node-agent, through its leaf), the *registry* on the hub, and *alchemist* (the operator's
command and SDK, and any program of yours).

## Channels

In a subject \`{name}\` is one token, \`{name...}\` the rest. An *event* is published and not answered; a *request* has one answer; a
*stream* is taken in and acknowledged by JetStream.

${table(['subject', 'kind', 'from', 'to', 'what'], Object.values(channels).map(channelCells))}

${table(['request or event', 'payload', 'answer'], Object.values(channels).map(payloadCells))}

## Calls

The payload is JSON, the answer is JSON, the rest is in headers, all of them optional. One of the instances that offer the capability
answers (queue group ${code(CALL_QUEUE)}), a near one first. Without CIM at hand:

${block(['nats request cim.v1.call.document.process \'{"id":"42"}\' --header Cim-Timeout-Ms:5000'], 'sh')}

${table(['header', 'on', 'what'], headerRows)}

## Events

CloudEvents 1.0 in structured JSON (${shapeOf(channels.event.payload)}). A workload adds types of its own with \`ctx.emit\`; these are the product's.

${table(
  ['type', 'what'],
  Object.entries(eventTypes).map(([type, what]) => [code(type), what]),
)}

## Streams, buckets and object stores

Made by the registry (hub) and by each node-agent (its own leaf) when they start. What is there with other settings is reported and never
changed. Access *own* means the keys or subjects of that one instance.

${table(
  ['name', 'where', 'kind', 'settings', 'node', 'registry', 'what'],
  (['hub', 'leaf'] as const).flatMap((place) =>
    rowsAt(place).map((row) => [
      code(row.name),
      place,
      KINDS[row.type],
      settings(row),
      ACCESS[row.access.node],
      ACCESS[row.access.registry],
      row.what,
    ]),
  ),
)}

Alchemist reads and writes none of them: it asks the registry. A workload with \`grants.kv\` also has a bucket \`CIM_WL_<kind>_<name>\` on its leaf.

## Permissions on the hub

The hub has two accounts: \`HUB\`, where the registry and JetStream are, and \`CIM\`, where leaves, alchemist and monitoring are and JetStream
is not. These services are given by \`HUB\` and taken by \`CIM\` under the same subject, and nothing else crosses
([why](decisions/0013-two-accounts-at-the-hub.md)):

${table(
  ['subject', 'answers'],
  crossings().map(({ subject, answers }) => [code(subject), answers]),
)}

What each party may say and hear in its account is derived from the tables above and never typed by hand. \`ID\` stands for the instance
(node) or for the name of the user. A line under \`$JS.API.\` holds under \`$JS.hub.API.\` too; a leaf reaches the hub's JetStream in this second way alone.

${PARTIES.map(permissionsText).join('\n\n')}
`;
}

const channelCells = (row: Channel): string[] => [
  code(row.template),
  row.kind,
  row.from.join(', '),
  row.to.join(', ') || 'the hub’s stream',
  row.what,
];

const payloadCells = (row: Channel): string[] => [code(row.template), shapeOf(row.payload), shapeOf(row.reply)];

const headerRows: readonly (readonly string[])[] = [
  [
    code(TIMEOUT_HEADER),
    'call',
    `Milliseconds the caller still waits; ${DEFAULT_CALL_MS} when it says nothing, at most ${LONGEST_CALL_MS}.`,
  ],
  [code(CALL_ID_HEADER), 'call', 'Id of this call, for logs. Who sends one is told who served it.'],
  [code(CORRELATION_HEADER), 'call', 'Id of the chain of calls and events this one belongs to; handed on to all that follow.'],
  [code(TRACEPARENT_HEADER), 'call', 'W3C trace context, handed on.'],
  [code(SERVED_BY_HEADER), 'answer', 'Instance, workload and version that answered, when the call had an id.'],
  [code(ERROR_CODE_HEADER), 'answer', 'Status of the fault; the answer is then a problem document (docs/errors.md).'],
  [code(ERROR_HEADER), 'answer', 'Code and title of the fault, as the `nats` command shows them.'],
];

const KINDS = { kv: 'bucket', object: 'object store', stream: 'stream' } as const;
const ACCESS = {
  none: '-',
  'read-own': 'reads own',
  'write-own': 'writes own',
  read: 'reads',
  append: 'makes, reads, appends',
  all: 'all',
} as const;

function settings(row: TopologyRow): string {
  const consumers = `at most ${row.maxConsumers} consumers`;
  if (row.type === 'object') return consumers;
  if (row.type === 'kv') {
    const kept = row.ttlMs === 0 ? 'kept' : `gone ${renderDuration(row.ttlMs)} after the last write`;
    return `${row.history === 1 ? 'newest value' : `last ${row.history} values`} ${kept}, a value at most ${renderBytes(row.maxValueBytes)}, ${consumers}`;
  }
  const subjects = streamSubjects(row, '{instance}').map(code).join(', ');
  const stored = row.transform ? ` stored as ${code(row.transform.dest)}` : '';
  if (row.appendOnly) return `${subjects}${stored}, kept for ever: the server refuses deletes and purges, ${consumers}`;
  return `${subjects}${stored}, ${renderDuration(row.maxAgeMs)} or ${renderBytes(row.maxBytes)}, ${consumers}`;
}

function permissionsText(party: Party): string {
  const { publish, subscribe } = permissionsOf(party, 'ID');
  const published = publish.allow.filter((subject) => party === 'node' || !subject.startsWith('$JS.hub.API.'));
  return `### ${party}\n\nPublishes:\n\n${block(grouped(published))}\n\nSubscribes:\n\n${block(grouped(subscribe.allow))}`;
}

/** CIM's own subjects first, then those of NATS. */
function grouped(subjects: readonly string[]): string[] {
  const own = (subject: string) => subject.startsWith('cim.');
  return [...subjects.filter(own), ...subjects.filter((subject) => !own(subject))];
}
