/**
 * Are the options of a `settings` and the keys of a configuration schema the same? Pure: lists in, differences out.
 */
import { z } from 'zod';

/** One difference, as a sentence for whoever changed one of the two. */
export type Drift = string;

/** Paths of the leaves of a schema, dotted and sorted; what is free or a list ends the path. */
export function keysOf(schema: z.ZodType): string[] {
  return leaves(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Node, []).sort();
}

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
}

function leaves({ properties = {} }: Node, path: readonly string[]): string[] {
  const entries = Object.entries(properties);
  return entries.length === 0 ? [path.join('.')] : entries.flatMap(([name, inner]) => leaves(inner, [...path, name]));
}

/**
 * @param prefix where the options stand, e.g. `cim.nodeAgent.settings.`
 * @param declared option paths below it
 * @param keys paths of the schema, as {@link keysOf} gives them
 */
export function settingsDrift(prefix: string, declared: readonly string[], keys: readonly string[]): Drift[] {
  // A key whose inside is free, in one of the two, covers everything below it in the other.
  const covers = (list: readonly string[], key: string) =>
    list.some((other) => other === key || key.startsWith(`${other}.`) || other.startsWith(`${key}.`));
  return [
    ...keys.filter((key) => !covers(declared, key)).map((key) => `${prefix}${key}: the daemon knows it, no option does`),
    ...declared.filter((key) => !covers(keys, key)).map((key) => `${prefix}${key}: an option, and the daemon refuses the key`),
  ];
}
