/** What a cell says, and what may happen to it on the way: records of every kind with any content, and mutations of frames and bytes. */
import fc from 'fast-check';
import { type Frame, frame } from '../../../packages/node-agent/src/sandbox/frames.ts';

/** One record of a batch: its numbers before the length, and its body; `length` where a lie is told about that. */
export interface Said {
  readonly numbers: readonly unknown[];
  readonly body: string | undefined;
  readonly lie: number | undefined;
}

const interesting = fc.constantFrom(0, 1, 2, 3, 7, 255, 4096, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1);
const json = fc.json({ maxDepth: 3 });
const text = fc.oneof(
  fc.string({ maxLength: 40 }),
  json,
  fc.constantFrom('{}', '[]', 'null', '"', '{"code":1}', '[1', '__proto__'),
);
const operation = fc.constantFrom(
  'kv.get',
  'kv.put',
  'kv.update',
  'kv.keys',
  'publish',
  'emit',
  'call',
  'secret',
  'asset',
  'nothing',
  '__proto__',
  'constructor',
);
const anything = fc.jsonValue({ maxDepth: 2 });
const code = fc.constantFrom(
  'handler-failed',
  'turn-exceeded',
  'out-of-memory',
  'reply-too-large',
  'invalid-input',
  'internal',
  'unauthenticated',
  '',
);

const bodies: Readonly<Record<number, fc.Arbitrary<string>>> = {
  0: text,
  1: fc.oneof(
    text,
    fc
      .record({ code, detail: fc.string({ maxLength: 30 }), stack: fc.oneof(anything, fc.string()), issues: anything })
      .map((one) => JSON.stringify(one)),
  ),
  2: fc.oneof(
    text,
    fc.tuple(operation, anything, anything, anything).map((one) => JSON.stringify(one)),
  ),
  3: fc.oneof(
    text,
    fc
      .tuple(fc.constantFrom('info', 'error', 'shout'), fc.string(), fc.dictionary(fc.string(), anything))
      .map((one) => JSON.stringify(one)),
  ),
  4: fc.oneof(
    text,
    fc
      .tuple(fc.constantFrom('counter', 'gauge', 'x'), fc.constantFrom('a', 'A B', '__proto__'), anything)
      .map((one) => JSON.stringify(one)),
  ),
  6: fc.oneof(
    text,
    fc.tuple(fc.constantFrom('timers', 'requests', 'x'), anything).map((one) => JSON.stringify(one)),
  ),
};
const number = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 12 }) },
  { weight: 1, arbitrary: fc.oneof(interesting, fc.double(), fc.constantFrom(-1, 1.5, 'x', null)) },
);
/** Records of every kind; the numbers a kind has before its length. */
const FIELDS: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 0, 4: 0, 5: 1, 6: 0 };

export const said: fc.Arbitrary<Said> = fc.constantFrom(0, 0, 0, 1, 2, 2, 3, 4, 5, 6).chain((kind) =>
  fc.record({
    numbers: fc.tuple(fc.constant(kind), ...Array.from({ length: FIELDS[kind]! }, () => number)),
    body: kind === 5 ? fc.constant(undefined) : bodies[kind]!,
    lie: fc.option(interesting, { freq: 20, nil: undefined }),
  }),
);

export function batchOf(records: readonly Said[]): { readonly head: string; readonly body: string } {
  const head = records.flatMap(({ numbers, body, lie }) => [...numbers, ...(body === undefined ? [] : [lie ?? body.length])]);
  return {
    head: head.map((one) => (typeof one === 'number' ? `${one}` : JSON.stringify(one))).join(','),
    body: records.map(({ body }) => body ?? '').join(''),
  };
}

/** What happens to a stream of frames on its way. */
export type Mutation =
  | { readonly kind: 'drop' | 'double' | 'swap'; readonly at: number }
  | {
      readonly kind: 'field';
      readonly at: number;
      readonly field: 'kind' | 'isolate' | 'mark' | 'length';
      readonly value: number;
    }
  | { readonly kind: 'bit'; readonly at: number; readonly bit: number }
  | { readonly kind: 'cut' | 'remove'; readonly at: number; readonly bytes: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array };

const at = fc.nat({ max: 5_000 });
export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constantFrom('drop', 'double', 'swap'), at }),
  fc.record({
    kind: fc.constant('field' as const),
    at,
    field: fc.constantFrom('kind', 'isolate', 'mark', 'length'),
    value: fc.oneof(interesting, fc.nat({ max: 8 })),
  }),
  fc.record({ kind: fc.constant('bit' as const), at, bit: fc.nat({ max: 7 }) }),
  fc.record({ kind: fc.constantFrom('cut', 'remove'), at, bytes: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ kind: fc.constant('insert' as const), at, bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }) }),
);

/** The bytes of the frames after all that has happened to them. */
export function mutated(frames: readonly Frame[], mutations: readonly Mutation[]): Buffer {
  let list = frames.map((one) => ({ ...one, length: one.payload.length }));
  const bytewise: Mutation[] = [];
  for (const one of mutations) {
    const i = list.length === 0 ? 0 : one.at % list.length;
    if (one.kind === 'drop') list = list.filter((_, k) => k !== i);
    else if (one.kind === 'double') list = list.flatMap((each, k) => (k === i ? [each, each] : [each]));
    else if (one.kind === 'swap' && list.length > 1)
      [list[i], list[(i + 1) % list.length]] = [list[(i + 1) % list.length]!, list[i]!];
    else if (one.kind === 'field' && list[i]) list[i] = { ...list[i], [one.field]: one.value };
    else bytewise.push(one);
  }
  let bytes = Buffer.concat(
    list.map(({ kind, isolate, mark, payload, length }) => {
      const out = frame(kind & 255, isolate, mark, payload.length, (into, from) => payload.copy(into, from));
      out.writeUInt32BE(length, 0);
      return out;
    }),
  );
  for (const one of bytewise) {
    if (bytes.length === 0) break;
    const i = one.at % bytes.length;
    if (one.kind === 'bit') bytes[i]! ^= 1 << one.bit;
    else if (one.kind === 'cut') bytes = bytes.subarray(0, i);
    else if (one.kind === 'remove') bytes = Buffer.concat([bytes.subarray(0, i), bytes.subarray(i + one.bytes)]);
    else if (one.kind === 'insert') bytes = Buffer.concat([bytes.subarray(0, i), one.bytes, bytes.subarray(i)]);
  }
  return bytes;
}
