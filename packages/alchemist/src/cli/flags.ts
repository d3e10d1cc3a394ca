/** Readers of flag values: a bad one is named with its flag, what was found and what was expected. */
import { InvalidArgumentError } from 'commander';

export function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= low && value <= high) return value;
    throw new InvalidArgumentError(`expected a whole number from ${low} to ${high}`);
  };
}

/** Kept as text: the SDK turns it into milliseconds. */
export function duration(text: string): string {
  if (/^(?:\d{1,12}(?:ms|s|m|h|d))+$/.test(text)) return text;
  throw new InvalidArgumentError('expected a length of time such as "500ms", "30s" or "5m"');
}

/** An instance's id. */
export function instanceId(text: string): string {
  if (/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text)) return text;
  throw new InvalidArgumentError('expected an instance id: 1 to 63 of a-z, 0-9 and "-", e.g. "cim-prod-001"');
}

export function jsonObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`expected a JSON object (${(error as Error).message})`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InvalidArgumentError('expected a JSON object such as {"language":"de"}');
}

/** `"1.2.0"` of `"hello@1.2.0"`. */
export function nameAndRef(text: string): { readonly name: string; readonly ref: string | undefined } {
  const at = text.indexOf('@', 1);
  return at < 0 ? { name: text, ref: undefined } : { name: text.slice(0, at), ref: text.slice(at + 1) };
}

/** True for what is meant as a place on disk and not as a name of the catalog. */
export const looksLikePath = (text: string): boolean => /^\.|[\\/]|\.cim$|\.m?[jt]s$/.test(text);
