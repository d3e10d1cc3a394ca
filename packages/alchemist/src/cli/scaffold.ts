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
        description: 'Greets a name',
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
    ['src/greet.ts', GREET],
    ['test/greet.test.js', TEST],
    ['sample/input.json', json({ name: 'Ada' })],
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

/** What the new project answers: a name of its own, so that two projects on one fleet do not answer for each other. */
export const capabilityOf = (name: string): string => `${/^[a-z]/.test(name) ? name : `w-${name}`}.hello`;

const main = (name: string, define: string) => `import { ${define} } from '@cim/alchemist/agent';
import { greet } from './greet.ts';

interface Config extends Record<string, string> {
  /** What stands before the name; an operator may set it with --config '{"greeting":"Hallo"}'. */
  readonly greeting: string;
}

export default ${define}<Config>({
  config: { greeting: 'Hello' },
  configSchema: {
    type: 'object',
    properties: { greeting: { type: 'string', minLength: 1, maxLength: 40 } },
    additionalProperties: false,
  },
  capabilities: {
    '${capabilityOf(name)}': {
      description: 'Greets a name',
      input: {
        type: 'object',
        properties: { name: { type: 'string', minLength: 1, maxLength: 100 } },
        required: ['name'],
        additionalProperties: false,
      },
      handle({ name }: { name: string }, ctx) {
        ctx.log.info('greeted', { name });
        ctx.metrics.increment('greetings');
        return { text: greet(ctx.config.greeting, name) };
      },
    },
  },
});
`;

const GREET = `/** The work itself: plain code, easy to test. */
export function greet(greeting: string, name: string): string {
  return \`\${greeting}, \${name.trim()}!\`;
}
`;

const TEST = `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { greet } from '../src/greet.ts';

test('greets a name', () => {
  assert.equal(greet('Hello', 'Ada'), 'Hello, Ada!');
});

test('leaves out the space around it', () => {
  assert.equal(greet('Hallo', '  Ada '), 'Hallo, Ada!');
});
`;

const readme = (name: string, kind: string) => `# ${name}

A CIM ${kind} with one capability, \`${capabilityOf(name)}\`.

| file | what it is |
| --- | --- |
| \`src/main.ts\` | the definition: capabilities, configuration, grants |
| \`src/greet.ts\` | the work itself |
| \`test/greet.test.js\` | \`node --test\` (Node 24) |
| \`sample/input.json\` | an input to call it with |
| \`types/cim-agent.d.ts\` | what \`@cim/alchemist/agent\` offers, for your editor |

\`\`\`sh
node --test
alchemist deploy . --instance <id>
alchemist call ${capabilityOf(name)} @sample/input.json
alchemist logs ${name} -f
\`\`\`

A published version never changes: raise \`version\` in package.json before the next \`deploy\`.
Files in \`assets/\` go into the bundle and are read with \`ctx.assets.text('name')\`.
`;
