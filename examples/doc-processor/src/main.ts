/**
 * The agent of the guide: says what a document is made of, and runs small lists of steps over one.
 *
 * Promises:
 * A1. Markdown, HTML or plain text; whatever the text is, it is read, in time linear in its length. Refused is only what is
 *     too long and what the steps get wrong, with an InputError that names the field.
 * A2. It asks for nothing: no store, no subject, no other capability. The same document gives the same answer.
 */
import { type Context, defineAgent, type Json } from '@cim/alchemist/agent';
import { type Description, type Document, describe, type Limits, readSource } from './analysis.ts';
import { documentInput, documentOutput, workflowInput, workflowOutput } from './schema.ts';
import { inTurns } from './turns.ts';
import { runWorkflow, type Step, type StepResult } from './workflow.ts';

export interface Config extends Limits, Record<string, Json> {}

/** `document.process`. @throws InputError when the content is too long */
export async function processDocument(document: Document, ctx: Context<Config>): Promise<Description> {
  const source = await inTurns(readSource(document, ctx.config, 'content'));
  const description = await inTurns(describe(source, ctx.config));
  ctx.metrics.increment(`documents_${source.format}`);
  ctx.metrics.observe('document_characters', document.content.length);
  ctx.log.debug('document processed', {
    format: source.format,
    words: description.statistics.words,
    language: source.language.code,
  });
  return description;
}

/** `workflow.execute`. @throws InputError naming the step and the field */
export async function executeWorkflow(
  input: { readonly document: Document; readonly steps: readonly Step[] },
  ctx: Context<Config>,
): Promise<{ steps: StepResult[]; milliseconds: number }> {
  const began = Date.now();
  const results = await runWorkflow(input.document, input.steps, ctx.config);
  ctx.metrics.increment('workflows');
  ctx.log.debug('workflow executed', { steps: results.map(({ use }) => use) });
  return { steps: results, milliseconds: Date.now() - began };
}

export default defineAgent<Config>({
  name: 'doc-processor',
  version: '1.0.0',
  description: 'Reads Markdown, HTML or plain text: outline, statistics, links, code, language, key phrases',
  configuration: { maxConcurrent: 10, timeout: '5m', turn: '10s' },
  config: { maxCharacters: 1_000_000, maxListed: 2000, keyPhrases: 15 },
  configSchema: {
    type: 'object',
    properties: {
      maxCharacters: { type: 'integer', minimum: 1, maximum: 5_000_000 },
      maxListed: { type: 'integer', minimum: 1, maximum: 20_000 },
      keyPhrases: { type: 'integer', minimum: 0, maximum: 100 },
    },
    additionalProperties: false,
  },
  capabilities: {
    'document.process': {
      description: 'What a document is made of: outline, statistics, links, code, images, language, key phrases',
      input: documentInput,
      output: documentOutput,
      handle: processDocument,
    },
    'workflow.execute': {
      description: 'Runs a list of steps over one document',
      input: workflowInput,
      output: workflowOutput,
      handle: executeWorkflow,
    },
  },
});
