/** Every decoder there is, against whatever there is: a value of the schema or a Fault, never anything else. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import * as contracts from '../src/index.ts';
import { desiredInput, envelope, manifest, statement } from './samples.ts';

const { channels, decode, decodeJson, Fault } = contracts;

const schemas: [string, z.ZodType][] = [];
for (const [name, one] of Object.entries<unknown>(contracts)) if (one instanceof z.ZodType) schemas.push([name, one]);
for (const [name, row] of Object.entries<contracts.Channel>(channels)) {
  schemas.push([`channel ${name}`, row.payload]);
  if (row.reply) schemas.push([`reply of ${name}`, row.reply]);
}

const anything = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
  maxDepth: 3,
});
/** Good documents with one leaf exchanged for anything: garbage that gets past the door. */
const good: unknown[] = [manifest(), statement(), envelope(), desiredInput(), { document: desiredInput(), signatures: [] }];
const leaves = (value: unknown, path: string[] = []): string[][] =>
  typeof value === 'object' && value !== null
    ? [...(path.length > 0 ? [path] : []), ...Object.entries(value).flatMap(([key, one]) => leaves(one, [...path, key]))]
    : [path];
const nearly = fc
  .constantFrom(...good.flatMap((value) => leaves(value).map((path) => ({ value, path }))))
  .chain(({ value, path }) =>
    anything.map((put) => {
      const copy = structuredClone(value) as Record<string, unknown>;
      let at = copy;
      for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>;
      at[path.at(-1)!] = put;
      return copy;
    }),
  );

function onlyFaults(work: () => unknown): void {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    const { detail, issues } = error as InstanceType<typeof Fault>;
    expect(detail).toMatch(/^thing: /);
    for (const { path, message } of issues) {
      expect(path).not.toBe('');
      expect(message).toMatch(/expected|unknown key|not allowed|reserved|more fields/);
    }
    expect(() => JSON.stringify((error as InstanceType<typeof Fault>).toProblem())).not.toThrow();
  }
}

describe('garbage', () => {
  it('there are decoders to test', () => {
    expect(schemas.length).toBeGreaterThan(50);
  });

  it.each(schemas)('%s answers anything with a value or a Fault that says what was expected', (_, schema) => {
    fc.assert(
      fc.property(fc.oneof(anything, nearly), (value) => onlyFaults(() => decode(schema, value, 'thing'))),
      { numRuns: 60 },
    );
  });

  it.each(schemas)('%s answers any bytes with a value or a Fault', (_, schema) => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.json({ maxDepth: 3 }).map((text) => new TextEncoder().encode(text)),
    );
    fc.assert(
      fc.property(bytes, (one) => onlyFaults(() => decodeJson(schema, one, 'thing'))),
      { numRuns: 40 },
    );
  });

  it('what a strict document accepts has no prototype of the sender', () => {
    const text = JSON.stringify(manifest()).replace('"config":{}', '"config":{"__proto__":{"polluted":true},"constructor":1}');
    const decoded = decodeJson(contracts.Manifest, text, 'thing');
    expect((decoded.config as { polluted?: boolean }).polluted).toBeUndefined();
    expect(Object.getPrototypeOf(decoded.config)).toBe(Object.prototype);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });
});
