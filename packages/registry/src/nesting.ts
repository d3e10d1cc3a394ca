/**
 * How deep a value may be nested: what is deeper overflows the stack of whoever writes it as JSON, here or on a node.
 */
import { canonicalBytes } from '@cim/contracts';

const MOST_LEVELS = 100;

/** What is wrong with a value that shall be signed and stored as JSON, or undefined. Never recurses. */
export function formFault(value: unknown): string | undefined {
  let level = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MOST_LEVELS) return `is nested deeper than ${MOST_LEVELS} levels`;
    level = level.flatMap((one) => (typeof one === 'object' && one !== null ? Object.values(one) : []));
  }
  try {
    canonicalBytes(value);
    return undefined;
  } catch (cause) {
    return `has no canonical JSON form (${(cause as Error).message})`;
  }
}
