/** JSON Schemas of what goes in and out. */
import type { JsonSchema } from '@cim/alchemist/agent';
import { steps } from './steps.ts';

const text = { type: 'string' } as const;
const count = { type: 'integer', minimum: 0 } as const;
const object = (properties: Record<string, JsonSchema>, optional: readonly string[] = []): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
});
const list = (items: JsonSchema): JsonSchema => ({ type: 'array', items });
const format = { enum: ['markdown', 'html', 'text'] } as const;

export const documentInput: JsonSchema = object(
  {
    content: { type: 'string', description: 'The document' },
    format: { ...format, description: 'Detected when absent' },
    title: { type: 'string', maxLength: 500, description: 'Used instead of the one in the document' },
  },
  ['format', 'title'],
);

export const documentOutput: JsonSchema = object(
  {
    format,
    title: text,
    frontMatter: object({
      format: { enum: ['yaml', 'toml'] },
      raw: text,
      values: { type: 'object', additionalProperties: { anyOf: [text, list(text)] } },
    }),
    outline: list(
      object({
        level: { type: 'integer', minimum: 1, maximum: 6 },
        text,
        anchor: text,
        path: text,
        position: object({ line: { type: 'integer', minimum: 1 }, offset: count }),
      }),
    ),
    statistics: object({
      words: count,
      uniqueWords: count,
      sentences: count,
      paragraphs: count,
      characters: count,
      readingSeconds: count,
      averageSentenceLength: { type: 'number', minimum: 0 },
    }),
    links: list(
      object({ text, href: text, kind: { enum: ['internal', 'external', 'mail', 'anchor', 'image', 'other'] }, title: text }, [
        'title',
      ]),
    ),
    code: list(object({ language: text, lines: count, content: text, cut: { const: true } }, ['language', 'cut'])),
    images: list(object({ source: text, alt: text, title: text }, ['title'])),
    tables: count,
    language: object(
      {
        code: { type: 'string', description: 'ISO 639-3, "und" for undetermined' },
        iso6391: text,
        confidence: { type: 'number', minimum: 0, maximum: 1 },
      },
      ['iso6391'],
    ),
    keyPhrases: list(object({ text, score: { type: 'number', minimum: 0 }, count })),
    truncated: {
      type: 'object',
      additionalProperties: count,
      description: 'Full lengths of the lists that are longer than shown',
    },
  },
  ['title', 'frontMatter'],
);

export const workflowInput: JsonSchema = object({
  document: documentInput,
  steps: {
    type: 'array',
    minItems: 1,
    maxItems: 32,
    // The names of steps are checked by the handler, which says what there is; here is the shape.
    items: object(
      {
        use: { type: 'string', maxLength: 100, description: `One of ${Object.keys(steps).join(', ')}` },
        name: { type: 'string', pattern: '^[a-z0-9-]{1,40}$' },
        input: { type: 'string', maxLength: 40, description: '"document", or the name of an earlier step that makes text' },
        with: { type: 'object', description: 'Options of the step' },
      },
      ['name', 'input', 'with'],
    ),
  },
});

export const workflowOutput: JsonSchema = object({
  steps: list(object({ name: text, use: text, milliseconds: count, result: true })),
  milliseconds: count,
});
