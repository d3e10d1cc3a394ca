/** A schema in one line: `{ drain }`, `{ workload?, checks }`. For the whole of it there is the source. */
import { z } from 'zod';

/** Keys that are shown before the rest is cut. */
const SHOWN = 6;

interface Node {
  readonly type?: unknown;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly required?: readonly string[];
}

export function shapeOf(schema: z.ZodType | undefined): string {
  if (schema === undefined) return '-';
  const { properties, required = [] } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Node;
  if (properties === undefined) return 'any JSON';
  const keys = Object.keys(properties).map((key) => (required.includes(key) ? key : `${key}?`));
  return `\`{ ${[...keys.slice(0, SHOWN), ...(keys.length > SHOWN ? ['…'] : [])].join(', ')} }\``;
}
