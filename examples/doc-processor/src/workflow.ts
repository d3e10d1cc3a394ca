/**
 * A short list of steps over one document, checked as a whole before the first one runs.
 *
 * Promises:
 * L1. A wrong step is refused with its place, `steps[2].use`, before anything is done.
 * L2. A step works on the document, or on the text an earlier step made; what is read once is not read again.
 * L3. Each result says how long it took, in whole milliseconds.
 */
import type { Json } from '@cim/alchemist/agent';
import { InputError } from '@cim/alchemist/agent';
import { type Document, type Limits, readSource, type Source } from './analysis.ts';
import { type StepName, steps } from './steps.ts';
import { inTurns } from './turns.ts';

export interface Step {
  readonly use: string;
  /** What later steps call it; `step<number>` when not given, from 1. */
  readonly name?: string;
  /** `document`, or the name of an earlier step that makes text. */
  readonly input?: string;
  readonly with?: Readonly<Record<string, Json>>;
}

export interface StepResult {
  readonly name: string;
  readonly use: string;
  readonly milliseconds: number;
  readonly result: Json;
}

interface Planned {
  readonly use: StepName;
  readonly name: string;
  readonly input: string;
  readonly options: Readonly<Record<string, number | string>>;
  readonly path: string;
}

/** @throws InputError naming the step and the field */
export async function runWorkflow(document: Document, given: readonly Step[], limits: Limits): Promise<StepResult[]> {
  const planned = plan(given);
  const texts = new Map<string, Document>([['document', document]]);
  const sources = new Map<string, Source>();
  const results: StepResult[] = [];
  for (const { use, name, input, options, path } of planned) {
    const began = Date.now();
    const source =
      sources.get(input) ??
      (await inTurns(readSource(texts.get(input)!, limits, input === 'document' ? 'document.content' : `${path}.input`)));
    sources.set(input, source);
    const result = await inTurns(steps[use].run(source, options, limits, `${path}.with`));
    if (steps[use].text) texts.set(name, { content: (result as { text: string }).text, format: 'text' });
    results.push({ name, use, milliseconds: Date.now() - began, result: result as Json });
  }
  return results;
}

function plan(given: readonly Step[]): Planned[] {
  const names = new Map<string, boolean>([['document', true]]);
  return given.map((step, index) => {
    const path = `steps[${index}]`;
    if (!Object.hasOwn(steps, step.use)) {
      throw new InputError(
        `${path}.use`,
        `found "${step.use}", there is no such step. Expected one of ${Object.keys(steps).join(', ')}`,
      );
    }
    const use = step.use as StepName;
    const name = step.name ?? `step${index + 1}`;
    if (names.has(name)) throw new InputError(`${path}.name`, `"${name}" is taken. Give every step a name of its own`);
    const input = step.input ?? 'document';
    const makesText = names.get(input);
    if (makesText === undefined)
      throw new InputError(`${path}.input`, `found "${input}", no earlier step has this name. Expected ${known(names)}`);
    if (!makesText)
      throw new InputError(`${path}.input`, `the step "${input}" makes no text to work on. Expected ${known(names)}`);
    names.set(name, steps[use].text);
    return { use, name, input, options: readOptions(use, step.with ?? {}, `${path}.with`), path };
  });
}

const known = (names: ReadonlyMap<string, boolean>): string =>
  [...names]
    .filter(([, makesText]) => makesText)
    .map(([name]) => `"${name}"`)
    .join(' or ');

function readOptions(use: StepName, given: Readonly<Record<string, Json>>, path: string): Record<string, number | string> {
  const declared = steps[use].options;
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(declared, key)) {
      throw new InputError(
        `${path}.${key}`,
        `"${use}" has no such option. Expected ${Object.keys(declared).join(', ') || 'none'}`,
      );
    }
  }
  const read: Record<string, number | string> = {};
  for (const [key, option] of Object.entries(declared)) {
    const value = given[key] ?? option.default;
    if (value === undefined) throw new InputError(`${path}.${key}`, `"${use}" needs it. Expected ${option.expected}`);
    if (!option.fits(value))
      throw new InputError(`${path}.${key}`, `found ${JSON.stringify(value)?.slice(0, 100)}. Expected ${option.expected}`);
    read[key] = value as number | string;
  }
  return read;
}
