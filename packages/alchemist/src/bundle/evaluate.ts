/**
 * Loads a built entry once and brings home what its definition says, as data.
 *
 * Promises:
 * V1. The entry runs in a child process with Node's permission model on, an empty environment and a deadline, inside a context that
 *     has only what the isolate has: what would fail to load on a node fails here first.
 * V2. Only JSON comes back. A function or other value that JSON cannot say, in a place that must be data, is named by its path.
 */
import { spawn } from 'node:child_process';
import { SourceMap } from 'node:module';
import { type Clock, DeadlineError, Fault, type FieldIssue, withDeadline } from '@cim/contracts';
import { Duration, type DurationLike } from '../duration.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Built } from './compile.ts';
import { PROBE } from './probe.ts';

/** The definition without its functions: capabilities, schedule and so on as the manifest wants them. */
export type Definition = Readonly<Record<string, unknown>>;

type Answer =
  | { readonly kind: 'definition'; readonly definition: Definition; readonly issues: readonly FieldIssue[] }
  | { readonly kind: 'threw'; readonly message: string; readonly stack: string };

const ANSWER_LIMIT = 4 * 2 ** 20;

/** @throws Fault `invalid-input` when the entry throws, hangs or exports no definition */
export async function evaluateEntry(built: Built, { node, clock }: Surroundings, timeout: DurationLike): Promise<Definition> {
  const limit = Duration.from(timeout, 'timeout').milliseconds;
  const answer = await runProbe(built.entry, node, clock, limit);
  if (answer.kind === 'threw') {
    const where = inSources(answer.stack, built.sourceMap);
    throw new Fault(
      'invalid-input',
      `the entry file throws while it is loaded: ${answer.message}${where === '' ? '' : `\n${where}`}`,
      {
        issues: [{ path: '(entry)', message: answer.message }],
      },
    );
  }
  if (answer.issues.length > 0) {
    const listed = answer.issues.map(({ path, message }) => `${path}: ${message}`).join('; ');
    throw new Fault('invalid-input', `definition: ${listed}`, { issues: answer.issues });
  }
  return answer.definition;
}

async function runProbe(entry: string, node: string, clock: Clock, limit: number): Promise<Answer> {
  const child = spawn(
    node,
    ['--permission', '--experimental-vm-modules', '--no-warnings', '--input-type=module', '--eval', PROBE],
    { env: {}, stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' },
  );
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  let size = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > ANSWER_LIMIT) child.kill('SIGKILL');
    else out.push(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    if (err.length < 64) err.push(chunk);
  });
  child.stdin.on('error', () => {}); // A child that ended early has closed it; its exit says why.
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', (cause) => reject(new Fault('internal', `cannot start ${node}: ${cause.message}`, { cause })));
    child.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  child.stdin.end(entry);
  let ending: string;
  try {
    ending = await withDeadline(clock, limit, 'loading the entry file', () => ended);
  } catch (error) {
    child.kill('SIGKILL');
    if (!(error instanceof DeadlineError)) throw error;
    throw new Fault(
      'invalid-input',
      `the entry file did not finish loading within ${Duration.ms(limit)}: it waits or loops at top level; do such work in start()`,
      { issues: [{ path: '(entry)', message: 'loops or waits at top level' }] },
    );
  }
  if (size > ANSWER_LIMIT) throw new Fault('too-large', `the definition is larger than ${ANSWER_LIMIT} bytes`);
  try {
    return JSON.parse(Buffer.concat(out).toString('utf8')) as Answer;
  } catch (cause) {
    const said = Buffer.concat(err).toString('utf8').trim().split('\n').slice(-6).join('\n');
    throw new Fault(
      'invalid-input',
      `the entry file ended the process that read it (${ending})${said === '' ? '' : `:\n${said}`}`,
      {
        cause,
      },
    );
  }
}

/** The frames of a stack that lie in the entry, as places in the author's own files. */
function inSources(stack: string, sourceMap: string): string {
  const map = new SourceMap(JSON.parse(sourceMap));
  const frames: string[] = [];
  for (const [, line, column] of stack.matchAll(/main\.mjs:(\d+):(\d+)/g)) {
    const found = map.findEntry(Number(line) - 1, Number(column) - 1);
    if ('originalSource' in found && found.originalSource)
      frames.push(`    at ${found.originalSource}:${found.originalLine + 1}:${found.originalColumn + 1}`);
  }
  return frames.slice(0, 5).join('\n');
}
