/** What of the list is in an isolate, looked up in one of the real sandbox; and the page that says so. */
import { ask, openOf, sandboxOf } from '../../packages/node-agent/test/sandbox/fixture.ts';
import { type Entry, interfaces, properties } from './common-api.ts';

/** What was found of one entry. */
interface Found {
  readonly there: boolean;
  /** Members and statics the standard has and we do not. */
  readonly missing: readonly string[];
}

/** Runs inside. */
const LOOK = `return input.map(({ name, members = '', statics = '' }) => {
  let at = globalThis;
  for (const part of name.split('.')) at = at === undefined || at === null ? undefined : at[part];
  if (at === undefined) return { there: false, missing: [] };
  const has = (object, key) => object !== undefined && object !== null && key in object;
  const holder = typeof at === 'function' && at.prototype !== undefined ? at.prototype : at;
  const split = (text) => text.split(' ').filter((key) => key !== '');
  return { there: true, missing: [...split(members).filter((key) => !has(holder, key)), ...split(statics).filter((key) => !has(at, key))] };
});`;

/** @returns the state of every entry, in order */
export async function survey(entries: readonly Entry[]): Promise<readonly Found[]> {
  const sandbox = sandboxOf();
  await sandbox.start();
  try {
    const isolate = await sandbox.open(openOf({ source: LOOK }, { limits: { turnMs: 20_000 } }));
    return await ask(isolate, entries);
  } finally {
    await sandbox.stop(1000);
  }
}

type State = 'present' | 'partial' | 'absent';
const stateOf = ({ there, missing }: Found, { note }: Entry): State =>
  !there ? 'absent' : missing.length > 0 || note !== undefined ? 'partial' : 'present';

/** @throws Error for what is not wholly there and has no reason */
export async function renderPlatformPage(): Promise<string> {
  const all = [...interfaces, ...properties];
  const found = await survey(all);
  const rows = all.map((entry, i) => {
    const state = stateOf(found[i]!, entry);
    if (state !== 'present' && entry.note === undefined)
      throw new Error(
        `${entry.name} is ${state} (${found[i]!.missing.join(', ')}) and test/platform/common-api.ts says no reason`,
      );
    const missing = found[i]!.missing.length > 0 ? `without ${found[i]!.missing.map((key) => `\`${key}\``).join(', ')}: ` : '';
    return { entry, state, text: `${missing}${entry.note ?? ''}` };
  });
  const count = (state: State) => rows.filter((row) => row.state === state).length;
  const table = (entries: readonly Entry[]) =>
    [
      '| API | standard | in the isolate | |',
      '| --- | --- | --- | --- |',
      ...rows
        .filter(({ entry }) => entries.includes(entry))
        .map(({ entry, state, text }) => `| \`${entry.name}\` | ${entry.standard} | ${state} | ${text} |`),
    ].join('\n');
  return `# The platform of an isolate

Written by \`npm run docs\`; not to be edited by hand. The list is the Minimum Common Web API (Ecma TC55, snapshot of 2025); what is there is
looked up in an isolate of the real sandbox, member by member, and \`test/platform\` checks how it behaves. Of ${rows.length} entries
${count('present')} are present, ${count('partial')} are there with the difference named, ${count('absent')} are absent for the reason named.

What most workloads do not use is loaded when it is first touched, so that it costs nothing until then.

## Interfaces

${table(interfaces)}

## Methods and properties

${table(properties)}

## The public tests

\`npm run test:wpt -- FOLDER\` runs the public web platform tests of a checkout in isolates (the files \`*.any.js\` of the parts that make sense
here) and prints every file that does not pass whole. They are not part of this repository. With those that Node 20.19 carries, in November 2026:

| part | passed | of | what fails |
| --- | --- | --- | --- |
| console | 17 | 18 | the prototype of the namespace |
| dom: abort, events | 68 | 72 | \`isTrusted\` is no own accessor, an event's target is forgotten after it was dispatched, the global is no EventTarget |
| encoding | 11,228 | 11,650 | multi-byte decoders of East Asia, which are not there; tests that need XMLHttpRequest |
| FileAPI: blob, file | 261 | 312 | uploads to a test server; the order in which options are read |
| hr-time | 6 | 7 | Performance is no EventTarget |
| html: atob, microtasks, structured clone, timers | 499 | 501 | a MessagePort in a transfer list, the global is no EventTarget |
| streams | 1,096 | 1,112 | \`type: 'owning'\`, which is a proposal; seven single ones |
| url | 1,966 | 1,980 | written for an older state of the standard than the one that is here |
| WebCryptoAPI | 13,859 | 16,588 | RSA beyond what the table says, X448, Ed448, tags of GCM of other lengths; PBKDF2 with a million rounds takes longer than an entry may |

## What is not there on purpose

No files, no sockets, no processes, no threads, no \`process\`, \`require\` or \`Buffer\` (npm's \`buffer\` bundles in). No code from strings
(\`eval\`, \`new Function\`) and no WebAssembly, SharedArrayBuffer or Atomics unless the manifest asks (\`grants.codegen\`, \`grants.wasm\`,
\`grants.sharedMemory\`) and the instance allows it. No \`Error.prepareStackTrace\`, and no callbacks of FinalizationRegistry.
`;
}
