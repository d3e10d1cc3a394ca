/** docs/config.md: every key of both daemons, with the smallest file that works. */
import { z } from 'zod';
import { NodeAgentConfig, RegistryConfig } from '../schema/config.ts';
import { block, code, GENERATED, table } from './markdown.ts';

/** The smallest configurations of use; a test decodes them. */
export const smallestConfigs = {
  nodeAgent: {
    instance: { id: 'cim-prod-001' },
    nats: { url: 'nats://127.0.0.1:4222' },
    trust: { publishers: [{ name: 'acme', key: 'ADRHP5JDWBXHKZ4WYLLBTUV2SHVQ5JZ2OWZ4MUDWLD5JZ5HHLL7YRXCV' }] },
  },
  registry: {
    nats: { url: 'nats://127.0.0.1:4222', user: 'registry', passwordFile: '/run/secrets/nats-registry' },
    tokensFile: '/etc/cim/tokens.json',
    trust: { publishers: [{ name: 'acme', key: 'ADRHP5JDWBXHKZ4WYLLBTUV2SHVQ5JZ2OWZ4MUDWLD5JZ5HHLL7YRXCV' }] },
  },
} as const;

/** JSON Schema as zod writes it, as far as these tables read it. */
interface SchemaNode {
  readonly title?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly additionalProperties?: SchemaNode | boolean;
}

export function renderConfigDoc(): string {
  return `# Configuration

${GENERATED}
Both daemons read one JSON file, named with \`--config\`. A key that is not listed here is refused by name, and so is a value that does not
fit: the daemon says which field, what it found and what it expected, and does not start. What has a default can be left out.

| type | written as |
| --- | --- |
| size | \`"4Gi"\`, \`"512Mi"\`, \`"64GB"\`, or a number of bytes |
| cores | \`"2"\`, \`"500m"\` (half a core), or a number |
| time | \`"500ms"\`, \`"30s"\`, \`"5m"\`, \`"1h30m"\` |

${daemon('node-agent', '/etc/cim/config.json', NodeAgentConfig, smallestConfigs.nodeAgent)}

${daemon('registry', '/etc/cim/registry.json', RegistryConfig, smallestConfigs.registry)}
`;
}

function daemon(name: string, file: string, schema: z.ZodType, smallest: unknown): string {
  const root = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as SchemaNode;
  const keys = Object.entries(root.properties ?? {});
  const plain = keys.filter(([, node]) => !isSection(node));
  const top = table(
    HEAD,
    plain.flatMap(([key, node]) => rowsOf(node, key, root.required?.includes(key) ?? false)),
  );
  const sections = keys
    .filter(([, node]) => isSection(node))
    .map(([key, node]) => {
      const needed = root.required?.includes(key) ? ' **Required.**' : '';
      return `### ${name}: ${key}\n\n${node.description ?? ''}${needed}\n\n${table(HEAD, below(node, key))}`;
    });
  return [
    `## ${name}`,
    `${code(file)}. The smallest file of use:`,
    block(JSON.stringify(smallest, null, 2).split('\n'), 'json'),
    top,
    ...sections,
  ].join('\n\n');
}

const HEAD = ['key', 'type', 'default', 'what'];

/** An object with keys of its own, or with names a person chooses. */
const isSection = (node: SchemaNode): boolean => node.properties !== undefined || typeof node.additionalProperties === 'object';

/** Rows of what stands below a node: its keys, those of its list's entries, those under names a person chooses. */
function below(node: SchemaNode, path: string): string[][] {
  const rows = Object.entries(node.properties ?? {}).flatMap(([key, child]) =>
    rowsOf(child, `${path}.${key}`, node.required?.includes(key) ?? false),
  );
  if (node.items) rows.push(...below(node.items, `${path}[]`));
  if (typeof node.additionalProperties === 'object' && node.additionalProperties.properties)
    rows.push(...below(node.additionalProperties, `${path}.<name>`));
  return rows;
}

function rowsOf(node: SchemaNode, path: string, required: boolean): string[][] {
  const fallback = node.default === undefined ? (required ? '**required**' : '-') : code(JSON.stringify(node.default));
  return [[code(path), typeText(node), fallback, node.description ?? ''], ...below(node, path)];
}

function typeText(node: SchemaNode): string {
  if (node.title !== undefined) return node.title;
  if (node.enum) return listed(node.enum.map((value) => code(JSON.stringify(value))));
  if (node.anyOf) return listed([...new Set(node.anyOf.map(typeText))]);
  if (node.type === 'array') return `list of ${node.items ? typeText(node.items) : 'anything'}s`;
  if (node.type === 'integer') return `whole number${rangeText(node)}`;
  if (node.type === 'boolean') return '`true` or `false`';
  if (node.type === 'string') return 'text';
  return node.type === undefined ? 'anything' : listed([node.type].flat());
}

function rangeText({ minimum, maximum }: SchemaNode): string {
  const bounded = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER;
  if (bounded) return `, ${minimum ?? 0} to ${maximum}`;
  return minimum === undefined ? '' : `, ${minimum} or more`;
}

const listed = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
