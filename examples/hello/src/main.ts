/**
 * The smallest agent: one capability, a default an operator can override, a line of log, a counter.
 *
 * Promises:
 * H1. `greeting.say` answers in the language asked for; in the configured one when none is asked for.
 * H2. A language it does not speak is answered in English and said so in `language`, never a failure.
 */
import { type Context, defineAgent } from '@cim/alchemist/agent';
import { greet, languages } from './greetings.ts';

export interface Config extends Record<string, string> {
  /** Language of the greeting when the caller names none: a code of {@link languages}. */
  readonly language: string;
  /** What stands at the end of the sentence. */
  readonly mark: string;
}

export interface Input {
  readonly name: string;
  readonly language?: string;
}

/** Answers one greeting. Exported so that a test can call it without a node. */
export function say(input: Input, ctx: Context<Config>) {
  const greeting = greet(input.name, input.language ?? ctx.config.language, ctx.config.mark);
  ctx.log.info('greeted', { name: input.name, language: greeting.language });
  ctx.metrics.increment('greetings');
  return { ...greeting, from: `${ctx.workload.name}@${ctx.workload.instance}` };
}

export default defineAgent<Config>({
  name: 'hello',
  version: '1.0.0',
  description: 'Greets a name',
  config: { language: 'en', mark: '!' },
  configSchema: {
    type: 'object',
    properties: { language: { enum: languages }, mark: { type: 'string', maxLength: 3 } },
    additionalProperties: false,
  },
  capabilities: {
    'greeting.say': {
      description: 'Greets a name in one of a few languages',
      input: {
        type: 'object',
        properties: {
          name: { type: 'string', minLength: 1, maxLength: 100, description: 'Who is greeted' },
          language: { type: 'string', pattern: '^[a-z]{2}(-[A-Za-z0-9]+)*$', description: 'Language tag: de, fr, en-GB' },
        },
        required: ['name'],
        additionalProperties: false,
      },
      output: {
        type: 'object',
        properties: {
          text: { type: 'string' },
          language: { enum: languages, description: 'The language of the text' },
          from: { type: 'string', description: 'Workload and instance that answered' },
        },
        required: ['text', 'language', 'from'],
        additionalProperties: false,
      },
      handle: say,
    },
  },
});
