/**
 * The files of a new project. Pure but for the type declarations of the author's door, which are copied in, so that editors know it
 * without an install.
 */
import { readFile } from 'node:fs/promises';

/** Path to text. */
export async function scaffold(name: string, kind: 'agent' | 'service'): Promise<Map<string, string>> {
  const define = kind === 'agent' ? 'defineAgent' : 'defineService';
  return new Map([
    [
      'package.json',
      json({
        name,
        version: '1.0.0',
        private: true,
        description: 'Counts words',
        type: 'module',
        main: './src/main.ts',
        scripts: { test: 'node --test', bundle: 'alchemist bundle', publish: 'alchemist publish --channel stable' },
      }),
    ],
    [
      'tsconfig.json',
      json({
        compilerOptions: {
          target: 'es2024',
          lib: ['es2024'],
          module: 'esnext',
          moduleResolution: 'bundler',
          strict: true,
          noEmit: true,
          allowImportingTsExtensions: true,
          erasableSyntaxOnly: true,
          verbatimModuleSyntax: true,
          types: [],
          paths: { '@cim/alchemist/agent': ['./types/cim-agent.d.ts'] },
        },
        include: ['src', 'types'],
      }),
    ],
    ['types/cim-agent.d.ts', await doorTypes()],
    ['src/main.ts', main(name, define)],
    ['src/count.ts', COUNT],
    ['test/count.test.js', TEST],
    ['sample/input.json', json({ text: 'To be, or not to be, that is the question.' })],
    ['.gitignore', 'node_modules/\n.cim/\n*.cim\n*.cim.sig\n'],
    ['README.md', readme(name, kind)],
  ]);
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

/** The built declarations, whether this runs built or from its sources. */
async function doorTypes(): Promise<string> {
  const place = import.meta.url.endsWith('.ts') ? '../../dist/agent.d.ts' : '../agent.d.ts';
  return (await readFile(new URL(place, import.meta.url), 'utf8')).replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n');
}

const main = (name: string, define: string) => `import { ${define} } from '@cim/alchemist/agent';
import { count } from './count.ts';

interface Input {
  readonly text: string;
}

interface Config extends Record<string, number> {
  /** How many of the most frequent words to answer with. */
  readonly top: number;
}

export default ${define}<Config>({
  name: '${name}',
  config: { top: 3 },
  configSchema: {
    type: 'object',
    properties: { top: { type: 'integer', minimum: 1, maximum: 100 } },
    additionalProperties: false,
  },
  capabilities: {
    'text.count': {
      description: 'Counts characters, words and the most frequent words of a text',
      input: {
        type: 'object',
        properties: { text: { type: 'string', maxLength: 100000 } },
        required: ['text'],
        additionalProperties: false,
      },
      handle({ text }: Input, ctx) {
        const counted = count(text, ctx.config.top);
        ctx.log.info('counted', { words: counted.words });
        ctx.metrics.increment('texts');
        return counted;
      },
    },
  },
});
`;

const COUNT = `/** The work itself: plain code, easy to test. */
export function count(text: string, top: number) {
  const words = text.toLowerCase().match(/[\\p{L}\\p{N}]+/gu) ?? [];
  const tally = new Map<string, number>();
  for (const word of words) tally.set(word, (tally.get(word) ?? 0) + 1);
  const frequent = [...tally]
    .map(([word, times]) => ({ word, times }))
    .sort((a, b) => b.times - a.times || (a.word < b.word ? -1 : 1))
    .slice(0, top);
  return { characters: [...text].length, words: words.length, frequent };
}
`;

const TEST = `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { count } from '../src/count.ts';

test('counts words whatever their case', () => {
  assert.deepEqual(count('To be, or not to be', 2), {
    characters: 19,
    words: 6,
    frequent: [
      { word: 'be', times: 2 },
      { word: 'to', times: 2 },
    ],
  });
});

test('an empty text has no words', () => {
  assert.deepEqual(count('', 3), { characters: 0, words: 0, frequent: [] });
});
`;

const readme = (name: string, kind: string) => `# ${name}

A CIM ${kind} with one capability, \`text.count\`.

| file | what it is |
| --- | --- |
| \`src/main.ts\` | the definition: capabilities, configuration, grants |
| \`src/count.ts\` | the work itself |
| \`test/count.test.js\` | \`node --test\` (Node 24) |
| \`sample/input.json\` | an input to call it with |
| \`types/cim-agent.d.ts\` | what \`@cim/alchemist/agent\` offers, for your editor |

\`\`\`sh
node --test
alchemist publish --channel stable
alchemist deploy ${name} --instance <id>
alchemist call text.count @sample/input.json
alchemist logs ${name} -f
\`\`\`

A published version never changes: raise \`version\` in package.json before the next \`publish\`.
Files in \`assets/\` go into the bundle and are read with \`ctx.assets.text('name')\`.
`;
