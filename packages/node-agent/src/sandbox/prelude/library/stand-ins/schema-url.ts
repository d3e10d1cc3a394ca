/**
 * URL for the schema library. It makes one while it loads, as the base nobody reads: that one is a plain object, so that the URL parser
 * is not loaded for every workload with a schema. A schema with `$id` or `$ref` has the platform's.
 */
import { part } from '../given.ts';

function standIn(text: string, base?: string): unknown {
  if (base === undefined && text.startsWith('https://github.com/')) return { href: text };
  return new (part('url').URL)(text, base);
}

export { standIn as URL };
