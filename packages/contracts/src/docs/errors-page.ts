/** docs/errors.md: the error table, and how to read a row of it. */
import { errorTable } from '../error-table.ts';
import { Fault } from '../errors.ts';
import { ERROR_CODE_HEADER, ERROR_HEADER } from '../schema/call.ts';
import { block, code, GENERATED, table } from './markdown.ts';

const example = new Fault('invalid-input', 'desired: replicas: expected at most 64, found 100', {
  issues: [{ path: 'replicas', message: 'expected at most 64, found 100' }],
}).toProblem();

export function renderErrorsDoc(): string {
  const rows = Object.entries(errorTable).map(([name, row]) => [
    code(name),
    String(row.status),
    row.retry,
    row.whose,
    row.title,
    row.advice,
  ]);
  return `# Errors

${GENERATED}
Every fault that leaves a process of CIM has a code of this table, wherever you meet it: in an answer of the registry, on NATS, in
${code('alchemist status')}, in an event or in a log. Look the code up here. Program against the code, never against the text.

Over HTTP a fault is a problem document (RFC 9457) with the status of its row:

${block(JSON.stringify(example, null, 2).split('\n'), 'json')}

Over NATS the same document is the answer, with the headers ${code(ERROR_CODE_HEADER)} (the status) and ${code(ERROR_HEADER)} (code and title).

| column | says |
| --- | --- |
| again | whether sending the same again can help: \`no\`, \`now\`, or \`later\` (wait a little longer each time) |
| whose | who can mend it: the \`caller\`, the \`author\` of the bundle, an \`operator\`, or whoever looks after the \`node\` or the \`hub\` |

${table(['code', 'status', 'again', 'whose', 'what', 'what to do'], rows)}
`;
}
