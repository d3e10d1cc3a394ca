/**
 * Values from a JSON Schema as an API describes itself with: mostly such as fit, so that they reach what is behind the door, and now and then
 * one that does not, in one place or altogether.
 */
import fc from 'fast-check';

/** As far as OpenAPI 3.1 documents of ours go. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly $ref?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly pattern?: string;
  readonly format?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
}

/** Texts that have broken somebody's parser before. */
export const nasty = fc.constantFrom(
  '',
  ' ',
  '\0',
  '..',
  '../../etc/passwd',
  '%2e%2e%2f',
  '*',
  '>',
  '$KV.CIM_TOKENS.>',
  "' or 1=1 --",
  '<script>alert(1)</script>',
  '__proto__',
  'constructor',
  'toString',
  'hub',
  '-1',
  '1e999',
  '99999999999999999999',
  '0x10',
  'NaN',
  'null',
  'true',
  '\ud800',
  '\u202e\u0000\uffff',
  'ä'.repeat(300),
  'a'.repeat(5_000),
  '1.0.0-'.concat('a.'.repeat(200)),
);

export const anything: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  nasty,
  fc.constantFrom<unknown>(null, true, 0, -1, 1e308, 2 ** 53, [], {}, { __proto__: null }, { constructor: { prototype: {} } }),
);

/** One value somewhere inside is replaced by anything, or a key is taken out or put in. */
export function spoiled(value: unknown): fc.Arbitrary<unknown> {
  if (Array.isArray(value) && value.length > 0)
    return fc.oneof(
      anything,
      fc.nat(value.length - 1).chain((i) => spoiled(value[i]).map((put) => value.with(i, put))),
      fc.constant([...value, ...value, ...value, ...value]),
    );
  if (typeof value === 'object' && value !== null && Object.keys(value).length > 0) {
    const keys = Object.keys(value);
    return fc.oneof(
      anything,
      ...[1, 2, 3, 4].map(() =>
        fc
          .constantFrom(...keys)
          .chain((key) => spoiled((value as Record<string, unknown>)[key]).map((put) => ({ ...value, [key]: put }))),
      ),
      fc.constantFrom(...keys).map((key) => {
        const { [key]: _, ...rest } = value as Record<string, unknown>;
        return rest;
      }),
      fc.tuple(nasty, anything).map(([key, put]) => ({ ...value, [key]: put })),
    );
  }
  return fc.oneof(anything, nasty);
}

/** Half of them fit the schema, the other half is spoiled in some place. */
export const around = (schema: Schema, known: Known): fc.Arbitrary<unknown> => {
  const good = fitting(schema, known, 0);
  return fc.oneof({ arbitrary: good, weight: 3 }, { arbitrary: good.chain(spoiled), weight: 2 });
};

/** Named schemas, and values that stand for something that is there: tried for texts whose pattern they fit. */
export interface Known {
  readonly components: Readonly<Record<string, Schema>>;
  readonly words: readonly string[];
}

export function fitting(schema: Schema, known: Known, depth: number): fc.Arbitrary<unknown> {
  if (schema.$ref !== undefined) return fitting(known.components[schema.$ref.split('/').at(-1)!] ?? {}, known, depth + 1);
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  const either = schema.anyOf ?? schema.oneOf;
  if (either) return fc.oneof(...either.map((one) => fitting(one, known, depth + 1)));
  if (schema.allOf)
    return fc.tuple(...schema.allOf.map((one) => fitting(one, known, depth + 1))).map((all) => Object.assign({}, ...all));
  const type = Array.isArray(schema.type) ? schema.type[0] : (schema.type as string | undefined);
  switch (type) {
    case 'string':
      return text(schema, known);
    case 'integer':
      return fc.integer({
        min: Math.max(schema.minimum ?? (schema.exclusiveMinimum === undefined ? -100 : schema.exclusiveMinimum + 1), -1e9),
        max: Math.min(schema.maximum ?? 1e9, 1e9),
      });
    case 'number':
      return fc.double({ min: schema.minimum ?? -1e6, max: schema.maximum ?? 1e6, noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(depth > 6 ? fc.constant(null) : fitting(schema.items ?? {}, known, depth + 1), {
        minLength: schema.minItems ?? 0,
        maxLength: Math.min(schema.maxItems ?? 3, 3 + (schema.minItems ?? 0)),
      });
    case 'object':
      return object(schema, known, depth);
    default:
      return depth > 6 ? fc.constant({}) : fc.jsonValue({ maxDepth: 2 });
  }
}

function text(schema: Schema, { words }: Known): fc.Arbitrary<unknown> {
  const { pattern, format, minLength = 0, maxLength = 200 } = schema;
  if (format === 'date-time')
    return fc.constantFrom('2026-01-31T12:00:00.000Z', '2099-12-31T23:59:59Z', '1970-01-01T00:00:00Z');
  if (format === 'binary') return fc.constant('');
  if (pattern === undefined) {
    const length = { minLength, maxLength: Math.min(maxLength, 60) };
    return fc.oneof(fc.string(length), fc.string({ ...length, unit: 'grapheme' }), fc.constantFrom(...words.slice(0, 5)));
  }
  const expression = new RegExp(pattern);
  const fits = words.filter((word) => expression.test(word) && word.length <= maxLength);
  const made = matching(pattern);
  return fits.length === 0
    ? made
    : fc.oneof({ arbitrary: fc.constantFrom(...fits), weight: 6 }, { arbitrary: made, weight: 1 });
}

const matches = new Map<string, fc.Arbitrary<string>>();
/** A text of a pattern, where fast-check can read it. */
function matching(pattern: string): fc.Arbitrary<string> {
  let found = matches.get(pattern);
  if (!found) {
    try {
      found = fc.stringMatching(new RegExp(pattern), { maxLength: 80 });
      fc.sample(found, 1);
    } catch {
      found = fc.string({ maxLength: 20 });
    }
    matches.set(pattern, found);
  }
  return found;
}

function object(schema: Schema, known: Known, depth: number): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties, propertyNames } = schema;
  const model = Object.fromEntries(Object.entries(properties).map(([key, one]) => [key, fitting(one, known, depth + 1)]));
  const own = fc.record(model, { requiredKeys: Object.keys(model).filter((key) => required.includes(key)) });
  if (typeof additionalProperties !== 'object' || depth > 4) return own;
  const keys = propertyNames
    ? (fitting({ type: 'string', ...propertyNames }, known, depth) as fc.Arbitrary<string>)
    : fc.string({ maxLength: 8 });
  const more = fc.dictionary(keys, fitting(additionalProperties, known, depth + 1), { maxKeys: 2 });
  return fc.tuple(own, more).map(([a, b]) => ({ ...a, ...b }));
}
